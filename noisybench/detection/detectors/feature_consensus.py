"""What ridge regression, logistic regression and neighbours on frozen features say together."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.detectors._ridge import suggested_by_ridge
from noisybench.detection.scoring import Detector
from noisybench.statistics.consensus import consensus
from noisybench.training.trace import Trace

NEEDS = ("given", "features.ridge_answers", "held_out.probabilities", "neighbours.labels")


def feature_consensus(trace: Trace) -> NDArray[np.float64]:
    """Mean of three scaled margins, none of which saw the sample's own label: (1, n, k) → (n,); 0 is undecided.

    The best other class against the given one, by ridge regression, by the logarithm of logistic regression's held-out
    probabilities and by the share of neighbours, each divided by its root mean square.
    """
    answers, probabilities, shares = (trace[name][-1] for name in NEEDS[1:])
    return consensus(given_labels(trace), answers, probabilities, shares)


DETECTOR = Detector(
    name="feature_consensus",
    needs=NEEDS,
    score=feature_consensus,
    source="noisybench 2026, statistics/consensus.py, decided on its TUNING_SETS alone",
    information={"held_out"},
    smallest_set="fast",
    suggest=suggested_by_ridge,
)
