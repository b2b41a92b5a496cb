"""Curvature of the loss in the input, over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def loss_curvature(trace: Trace) -> NDArray[np.float64]:
    """Mean curvature over the epochs at which it was observed: (e, n) → (n,)."""
    return trace["curvature"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="loss_curvature",
    needs=("curvature",),
    score=loss_curvature,
    source="Garg, Ravikumar and Roy 2024, arXiv:2307.05831, epoch average (norm, as in the code; squared as an option)",
    information={"in_sample"},
)
