"""Shapley values: how much a label helps nearest neighbours to classify the other samples."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def knn_shapley(trace: Trace) -> NDArray[np.float64]:
    """Minus the mean over the other samples of the label's Shapley value for each: (1, n) → (n,), in [-1, 1]."""
    return -trace["features.shapley"][-1].astype(np.float64)


DETECTOR = Detector(
    name="knn_shapley",
    needs=("features.shapley",),
    score=knn_shapley,
    source="Jia et al. 2019, arXiv:1908.08619, theorem 1 (minus the mean over the other samples)",
    information={"held_out"},
    smallest_set="all",
)
