"""CROWDLAB: the given label's probability by people's answers and a classifier that did not see the sample."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._answers import doubted, likeliest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace

COLUMN = "answers.crowdlab"


def crowdlab(trace: Trace) -> NDArray[np.float64]:
    """One minus the given label's probability by the weighted mean: (1, n, k) → (n,), in [0, 1].

    Of a sample that nobody answered it is the classifier's. See ``statistics.crowdlab``.
    """
    return doubted(trace, COLUMN)


def suggested(trace: Trace) -> Labels:
    """The likeliest class but for the given one: (1, n, k) → (n,)."""
    return likeliest_other(trace, COLUMN)


DETECTOR = Detector(
    name="crowdlab",
    needs=("given", COLUMN),
    score=crowdlab,
    source="Goh, Tkachenko and Mueller 2022, arXiv:2210.06812, section 3",
    information={"annotators", "held_out"},
    suggest=suggested,
)
