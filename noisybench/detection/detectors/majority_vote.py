"""Majority vote: the share of people whose answer is another one than the given label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._answers import doubted, likeliest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace

COLUMN = "answers.vote_shares"


def majority_vote(trace: Trace) -> NDArray[np.float64]:
    """Share of answers to a sample that are not its given label: (1, n, k) → (n,), in [0, 1]; 1 - 1/k where nobody answered.

    It knows no annotator from another. Where few people answer, most samples share a few values: ties cost it ranks.
    """
    return doubted(trace, COLUMN)


def suggested(trace: Trace) -> Labels:
    """The commonest answer but for the given label, the smallest class of several: (1, n, k) → (n,)."""
    return likeliest_other(trace, COLUMN)


DETECTOR = Detector(
    name="majority_vote",
    needs=("given", COLUMN),
    score=majority_vote,
    source="Dawid and Skene 1979, doi:10.2307/2346806 (the shares of votes that their iteration begins with)",
    information={"annotators"},
    suggest=suggested,
)
