"""Learning time: the epoch from which on the prediction stays the label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def learning_time(trace: Trace) -> NDArray[np.float64]:
    """First epoch from which on every observed prediction is right: (e, n) → (n,), in epochs.

    A sample that is wrong at the last epoch is never learnt and counts one more than it.
    """
    column = trace.column("correct")
    wrong = column.values <= 0
    after = np.append(column.epochs, column.epochs[-1] + 1).astype(np.float64)
    # Index of the epoch after the last wrong one; 0 where none is wrong.
    learnt = np.where(wrong.any(0), len(wrong) - wrong[::-1].argmax(0), 0)
    return after[learnt]


DETECTOR = Detector(
    name="learning_time",
    needs=("correct",),
    score=learning_time,
    source="Maini et al. 2022, arXiv:2210.15031, learning time on the first split (here the whole training set)",
    information={"in_sample"},
    smallest_set="fast",
)
