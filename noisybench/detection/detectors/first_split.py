"""First-split learning: how late a label is learnt for good on its own half of the samples."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def first_split(trace: Trace) -> NDArray[np.float64]:
    """First epoch of the first phase from which on the label is predicted for ever: (e, n) → (n,), in epochs.

    From 1 to e + 1, of a label that is never learnt. Wrong labels are learnt late, and so are rare right ones. Ties are
    broken by how rarely the label was predicted in this phase: by less than an epoch, so that no order of epochs changes.
    """
    missed = trace["second_split.first"] <= 0
    e = len(missed)
    learnt = np.where(missed.any(0), e - missed[::-1].argmax(0), 0) + 1.0
    return learnt + missed.sum(0) / (e + 1)


DETECTOR = Detector(
    name="first_split",
    needs=("second_split.first",),
    score=first_split,
    source="Maini et al. 2022, arXiv:2210.15031, first-split learning time (ties by correctness)",
    information={"in_sample", "several_trainings"},
    aliases=("FSLT",),
    smallest_set="all",
)
