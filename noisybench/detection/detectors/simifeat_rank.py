"""SimiFeat's ranking: how few neighbours have a label, against the share of right ones of its class."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels, greatest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace


def simifeat_rank(trace: Trace) -> NDArray[np.float64]:
    """Rank in its class by -log q of the given label, less the class's share of right labels: (1, n) → (n,), in [-1, 1].

    q are the votes of the neighbours. Above 0 are as many labels of a class as are estimated to be wrong, from how often
    the two nearest neighbours agree (HOC). They are taken to share the sample's true class; ``score --features`` says how
    often they do, where truth is known.
    """
    return trace["features.simifeat_ranks"][-1].astype(np.float64)


def most_voted_other(trace: Trace) -> Labels:
    """The class, but for the given one, with the most votes: (1, n, k) → (n,)."""
    return greatest_other(trace["features.simifeat_votes"][-1].astype(np.float64), given_labels(trace))


DETECTOR = Detector(
    name="simifeat_rank",
    needs=("features.simifeat_ranks",),
    score=simifeat_rank,
    source="Zhu, Dong and Liu 2022, arXiv:2110.06283, section 3 (ranking, thresholds by Zhu, Song and Liu 2021, arXiv:2102.05291)",
    information={"held_out"},
    suggest=most_voted_other,
)
