"""Curvature of the loss in the input from losses alone, over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def curvature_zeroth(trace: Trace) -> NDArray[np.float64]:
    """Mean over the epochs at which it was observed: (e, n) → (n,)."""
    return trace["curvature_zeroth"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="curvature_zeroth",
    needs=("curvature_zeroth",),
    score=curvature_zeroth,
    source="Ravikumar, Soufleri and Roy 2024, arXiv:2407.02747, zeroth-order estimate (as in the code; averaged over epochs)",
    information={"in_sample"},
    smallest_set="all",
)
