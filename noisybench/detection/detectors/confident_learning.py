"""Confident learning: the label issues pruned by noise rate come first, in the order of self-confidence."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.scoring import Detector
from noisybench.statistics.confident_learning import find_issues, self_confidence
from noisybench.training.trace import Trace


def confident_learning(trace: Trace) -> NDArray[np.float64]:
    """One minus self-confidence, plus 1 for an issue: (1, n, k) → (n,), in [0, 2]; above 1 is the flagged set."""
    labels, probabilities = given_labels(trace), trace["held_out.probabilities"][-1]
    return find_issues(labels, probabilities) + 1 - self_confidence(labels, probabilities)


DETECTOR = Detector(
    name="confident_learning",
    needs=("given", "held_out.probabilities"),
    score=confident_learning,
    source="Northcutt, Jiang and Chuang 2021, arXiv:1911.00068, prune by noise rate (as in cleanlab)",
    information={"held_out"},
    smallest_set="fast",
)
