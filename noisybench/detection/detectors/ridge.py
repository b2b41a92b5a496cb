"""Ridge regression on frozen features: how much the others speak for another class, over penalties."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._ridge import suggested_by_ridge
from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def ridge(trace: Trace) -> NDArray[np.float64]:
    """Mean over penalties of the rank of a sample's leave-one-out margin: (1, n) → (n,), in [0, 1].

    The margin is the best other class's answer minus the given label's, by ridge regression of one-hot labels on all other
    samples. No penalty is chosen: one that predicts the given labels best predicts wrong ones that lie together, too.
    """
    return trace["features.ridge_suspicion"][-1].astype(np.float64)


DETECTOR = Detector(
    name="ridge",
    needs=("features.ridge_suspicion",),
    score=ridge,
    source="Allen 1974, doi:10.1080/00401706.1974.10489157 (leave-one-out answers; margins ranked and averaged over penalties)",
    information={"held_out"},
    smallest_set="fast",
    suggest=suggested_by_ridge,
)
