"""What the models of a detector pool that did not see a sample say of its given label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace


def given_labels(trace: Trace) -> Labels:
    """The given labels: (1, n) → (n,), int64."""
    return trace["given"][-1].astype(np.int64)


def of_given(trace: Trace, name: str) -> NDArray[np.float64]:
    """The given label's entry of a column with one for each class: (1, n, k) → (n,)."""
    return np.take_along_axis(trace[name][-1], given_labels(trace)[:, None], axis=1)[:, 0].astype(np.float64)


def greatest_other(evidence: NDArray[np.float64], labels: Labels) -> Labels:
    """The class, but for the given one, with the greatest evidence: (n, k) and (n,) → (n,), int64."""
    others = np.where(np.arange(evidence.shape[1]) == labels[:, None], -np.inf, evidence)
    best: Labels = others.argmax(1)
    return best
