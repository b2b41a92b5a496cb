"""Dawid and Skene: the given label's probability by a confusion matrix for each annotator."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._answers import doubted, likeliest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace

COLUMN = "answers.dawid_skene"


def dawid_skene(trace: Trace) -> NDArray[np.float64]:
    """One minus the given label's probability given all answers: (1, n, k) → (n,), in [0, 1].

    Of a sample that nobody answered it is that by the prior of the classes. See ``statistics.annotators``.
    """
    return doubted(trace, COLUMN)


def suggested(trace: Trace) -> Labels:
    """The likeliest class but for the given one: (1, n, k) → (n,)."""
    return likeliest_other(trace, COLUMN)


DETECTOR = Detector(
    name="dawid_skene",
    needs=("given", COLUMN),
    score=dawid_skene,
    source="Dawid and Skene 1979, doi:10.2307/2346806, equations 2.3 to 2.5",
    information={"annotators"},
    suggest=suggested,
)
