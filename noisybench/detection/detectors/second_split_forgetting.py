"""Second-split forgetting: how soon a label is forgotten for good while the model learns the other half."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def second_split_forgetting(trace: Trace) -> NDArray[np.float64]:
    """Negative first epoch of the second phase from which on the label is missed for ever: (e, n) → (n,), in epochs.

    From -(e + 1), of a label that is never forgotten, to -1. Wrong labels are forgotten at once, rare right ones slowly.
    Ties, of which whole epochs have many, are broken by how rarely the label was predicted in the second phase, then by
    how rarely in the first: by less than an epoch, so that no order of epochs changes.
    """
    first, second = trace["second_split.first"] > 0, trace["second_split.second"] > 0
    e = len(second)
    forgotten = np.where(second.any(0), e - second[::-1].argmax(0), 0) + 1.0
    steps = len(first) + 1
    within = (second.sum(0) * steps + first.sum(0)) / ((e + 1) * steps)
    return -(forgotten + within)


DETECTOR = Detector(
    name="second_split_forgetting",
    needs=("second_split.first", "second_split.second"),
    score=second_split_forgetting,
    source="Maini et al. 2022, arXiv:2210.15031, second-split forgetting time (negated; ties by correctness)",
    information={"in_sample", "several_trainings"},
    aliases=("SSFT",),
    smallest_set="all",
)
