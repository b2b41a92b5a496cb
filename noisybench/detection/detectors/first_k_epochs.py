"""First-time k-epoch learning: the epoch by which the label was predicted k times in a row."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace

K = 3
"""Observed epochs in a row: the authors' rounds ask for 1, then 2, then 3."""


def first_k_epochs(trace: Trace) -> NDArray[np.float64]:
    """First epoch at which the prediction was the label in it and in the two before: (e, n) → (n,), in epochs.

    Of fewer than three observed epochs all must be right. A sample that never meets it counts one more than the last
    epoch. Unlike ``learning_time`` it does not look at what comes later.
    """
    column = trace.column("correct")
    correct = column.values > 0
    k = min(K, len(correct))
    in_a_row = np.stack([correct[start : start + k].all(0) for start in range(len(correct) - k + 1)])
    ends = np.append(column.epochs[k - 1 :], column.epochs[-1] + 1).astype(np.float64)
    return ends[np.where(in_a_row.any(0), in_a_row.argmax(0), len(in_a_row))]


DETECTOR = Detector(
    name="first_k_epochs",
    needs=("correct",),
    score=first_k_epochs,
    source="Yuan, Feng and Liu 2023, arXiv:2308.13862, first-time k-epoch learning (k = 3; without the removal of samples "
    "between rounds, and with the first epochs, which their code leaves out)",
    information={"in_sample"},
    smallest_set="fast",
)
