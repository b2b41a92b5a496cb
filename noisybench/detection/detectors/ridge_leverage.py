"""Leverage in frozen features: how much a sample decides its own answer. A control, which looks at no label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def ridge_leverage(trace: Trace) -> NDArray[np.float64]:
    """Weight of a sample's own label in its fitted answer by ridge regression: (1, n) → (n,), in [0, 1)."""
    return trace["features.ridge_leverage"][-1].astype(np.float64)


DETECTOR = Detector(
    name="ridge_leverage",
    needs=("features.ridge_leverage",),
    score=ridge_leverage,
    source="Hoaglin and Welsch 1978, doi:10.1080/00031305.1978.10479237 (diagonal of the hat matrix)",
    control=True,
    information={"held_out"},
    smallest_set="fast",
)
