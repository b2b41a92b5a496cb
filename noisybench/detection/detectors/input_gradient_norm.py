"""Norm of the gradient of the loss at the input, over training: loss sensitivity."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def input_gradient_norm(trace: Trace) -> NDArray[np.float64]:
    """Mean norm over the epochs at which it was observed: (e, n) → (n,).

    The gradient is the one that curvature starts from: beside that it costs nothing.
    """
    return trace["input_gradient_norm"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="input_gradient_norm",
    needs=("input_gradient_norm",),
    score=input_gradient_norm,
    source="Arpit et al. 2017, arXiv:1706.05394, loss sensitivity (Euclidean norm, averaged over observed epochs)",
    information={"in_sample"},
)
