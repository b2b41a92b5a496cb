"""FINE: how badly a sample's features lie along the main direction of its class."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def fine(trace: Trace) -> NDArray[np.float64]:
    """Minus the absolute cosine with the class's first singular vector: (1, n) → (n,), in [-1, 0]."""
    return -trace["features.alignment"][-1].astype(np.float64)


DETECTOR = Detector(
    name="fine",
    needs=("features.alignment",),
    score=fine,
    source="Kim et al. 2021, arXiv:2102.11628, equation 2 (minus the alignment; the vector by samples of other folds)",
    information={"held_out"},
)
