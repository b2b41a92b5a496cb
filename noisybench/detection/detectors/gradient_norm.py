"""GraNd: length of the loss's gradient in the last layer early in training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._early import early_mean
from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def gradient_norm(trace: Trace) -> NDArray[np.float64]:
    """Mean gradient norm over the epochs between 5 % and 10 % of training: (e, n) → (n,).

    The paper takes the gradient in all weights, at the start or in an early epoch, and averages over ten runs. Here it is
    that of the last layer, ‖p - e‖·√(‖φ‖² + 1), in the early epochs of one run, the same as for EL2N: that of the
    untrained network was found to tell the length of the input (Kirsch 2023, arXiv:2303.14753).
    """
    return early_mean(trace.column("gradient_norm"))


DETECTOR = Detector(
    name="gradient_norm",
    needs=("gradient_norm",),
    score=gradient_norm,
    source="Paul et al. 2021, arXiv:2107.07075, definition 2.1 (last layer, early epochs of one run)",
    information={"in_sample"},
)
