"""Self-influence in the last layer after the last epoch, measured by the curvature there."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def self_influence_kronecker(trace: Trace) -> NDArray[np.float64]:
    """gᵀ(A ⊗ G + λI)⁻¹g at the last epoch, with g the gradient in the last layer: (e, n) → (n,).

    A and G are the Kronecker factors of the layer's Gauss-Newton matrix, over the training set, and λ a tenth of its mean
    eigenvalue. It is large where the label is unlikely, and where its features are rare.
    """
    return trace["self_influence_kronecker"][-1].astype(np.float64)


DETECTOR = Detector(
    name="self_influence_kronecker",
    needs=("self_influence_kronecker",),
    score=self_influence_kronecker,
    source="Koh and Liang 2017, arXiv:1703.04730, eq. 2 of a sample on itself; Kronecker factors and damping of Grosse et "
    "al. 2023, arXiv:2308.03296 (last layer)",
    information={"in_sample"},
)
