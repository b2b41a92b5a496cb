"""Confident learning's self-confidence: the held-out probability of the given label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.scoring import Detector
from noisybench.statistics.confident_learning import self_confidence as confidence_of_given
from noisybench.training.trace import Trace


def self_confidence(trace: Trace) -> NDArray[np.float64]:
    """One minus the given label's probability by models that did not see the sample: (1, n, k) → (n,), in [0, 1]."""
    return 1 - confidence_of_given(given_labels(trace), trace["held_out.probabilities"][-1])


DETECTOR = Detector(
    name="self_confidence",
    needs=("given", "held_out.probabilities"),
    score=self_confidence,
    source="Northcutt, Jiang and Chuang 2021, arXiv:1911.00068 (one minus self-confidence)",
    information={"held_out"},
    aliases=("held-out cross-entropy",),
    smallest_set="fast",
)
