"""What ridge regression, logistic regression and neighbours on frozen features say together."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.detectors._ridge import best_other
from noisybench.detection.scoring import Detector
from noisybench.statistics.consensus import consensus
from noisybench.training.trace import Trace


def feature_consensus(trace: Trace) -> NDArray[np.float64]:
    """Mean rank of three suspicions, none of which saw the sample's own label: (1, n[, k]) → (n,), in [0, 1]."""
    return consensus(
        given_labels(trace),
        trace["features.ridge_suspicion"][-1].astype(np.float64),
        trace["held_out.probabilities"][-1].astype(np.float64),
        trace["neighbours.labels"][-1].astype(np.float64),
    )


DETECTOR = Detector(
    name="feature_consensus",
    needs=("given", "features.ridge_suspicion", "held_out.probabilities", "neighbours.labels"),
    score=feature_consensus,
    source="noisybench 2026, mean rank of `ridge`, a margin of held-out log probabilities, and `knn`",
    information={"held_out"},
    suggest=best_other,
)
