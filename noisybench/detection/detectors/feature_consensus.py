"""What ridge regression, logistic regression and neighbours on frozen features say together."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.detectors._ridge import best_other
from noisybench.detection.scoring import Detector
from noisybench.statistics.consensus import consensus
from noisybench.training.trace import Trace


def feature_consensus(trace: Trace) -> NDArray[np.float64]:
    """Mean of three scaled margins, none of which saw the sample's own label: (1, n[, k]) → (n,); above 0 says another class."""
    return consensus(
        given_labels(trace),
        trace["features.ridge_answers"][-1].astype(np.float64),
        trace["held_out.probabilities"][-1].astype(np.float64),
        trace["neighbours.labels"][-1].astype(np.float64),
    )


DETECTOR = Detector(
    name="feature_consensus",
    needs=("given", "features.ridge_answers", "held_out.probabilities", "neighbours.labels"),
    score=feature_consensus,
    source="noisybench 2026, see statistics/consensus: scaled margins of ridge answers, held-out log probabilities and neighbours",
    information={"held_out"},
    suggest=best_other,
)
