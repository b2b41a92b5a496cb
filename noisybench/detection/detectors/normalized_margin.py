"""Confident learning's normalized margin: the given label's held-out probability against the best other."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.scoring import Detector
from noisybench.statistics.confident_learning import normalized_margin as margin_of_given
from noisybench.training.trace import Trace


def normalized_margin(trace: Trace) -> NDArray[np.float64]:
    """One minus the normalized margin by models that did not see the sample: (1, n, k) → (n,), in [0, 1]."""
    return 1 - margin_of_given(given_labels(trace), trace["held_out.probabilities"][-1])


DETECTOR = Detector(
    name="normalized_margin",
    needs=("given", "held_out.probabilities"),
    score=normalized_margin,
    source="Northcutt, Jiang and Chuang 2021, arXiv:1911.00068 (brought to [0, 1] as in cleanlab, one minus)",
    information={"held_out"},
    smallest_set="fast",
)
