"""Curvature of the loss in the input by its exact Hessian, over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def exact_curvature(trace: Trace) -> NDArray[np.float64]:
    """Mean over the epochs at which it was observed: (e, n) → (n,).

    It is ``loss_curvature`` without a step, meant for smooth models (SiLU, tanh). On ReLU and max-pooling models it is
    the Gauss-Newton part alone, which at given weights is the same whatever the sample is called.
    """
    return trace["curvature_exact"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="exact_curvature",
    needs=("curvature_exact",),
    score=exact_curvature,
    source=(
        "Garg, Ravikumar and Roy 2024, arXiv:2307.05831, epoch average; Pearlmutter 1994, "
        "doi:10.1162/neco.1994.6.1.147 (exact products with the Hessian)"
    ),
    information={"in_sample"},
    smallest_set="all",
)
