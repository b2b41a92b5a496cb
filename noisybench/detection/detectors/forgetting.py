"""Forgetting events: how often a correct prediction turned wrong."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def forgetting(trace: Trace) -> NDArray[np.float64]:
    """Number of forgetting events between observed epochs: (e, n) → (n,).

    A sample that is never predicted right counts one more than the last epoch, above any number of events; the
    paper's own count is zero for it, its order puts it last as well.
    """
    column = trace.column("correct")
    correct = column.values > 0
    events = (correct[:-1] & ~correct[1:]).sum(0, dtype=np.float64)
    return np.where(correct.any(0), events, column.epochs[-1] + 1.0)


DETECTOR = Detector(
    name="forgetting",
    needs=("correct",),
    score=forgetting,
    source="Toneva et al. 2019, arXiv:1812.05159, section 3 (counted at the observed epochs, not at presentation)",
    information={"in_sample"},
    smallest_set="fast",
)
