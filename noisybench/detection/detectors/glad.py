"""GLAD: the given label's probability by each annotator's ability and each sample's difficulty."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._answers import doubted, likeliest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace

COLUMN = "answers.glad"


def glad(trace: Trace) -> NDArray[np.float64]:
    """One minus the given label's probability given all answers: (1, n, k) → (n,), in [0, 1]; 1 - 1/k where nobody answered.

    See ``statistics.glad``.
    """
    return doubted(trace, COLUMN)


def suggested(trace: Trace) -> Labels:
    """The likeliest class but for the given one: (1, n, k) → (n,)."""
    return likeliest_other(trace, COLUMN)


DETECTOR = Detector(
    name="glad",
    needs=("given", COLUMN),
    score=glad,
    source="Whitehill, Ruvolo, Wu, Bergsma and Movellan 2009, NeurIPS 22, equations 1 to 6",
    information={"annotators"},
    suggest=suggested,
)
