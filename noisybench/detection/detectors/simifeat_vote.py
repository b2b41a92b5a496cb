"""SimiFeat's vote: whether the nearest neighbours have another label than the sample."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels, greatest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.statistics.margins import margin_against
from noisybench.training.trace import Trace


def simifeat_vote(trace: Trace) -> NDArray[np.float64]:
    """Most votes for another class less those for the given one: (1, n, k) → (n,), in [-1, 1]; above 0 it is outvoted.

    Neighbours vote with their cosine. The method takes the two nearest to share the sample's true class;
    ``score --features`` says how often they do, where truth is known.
    """
    return margin_against(trace["features.simifeat_votes"][-1].astype(np.float64), given_labels(trace))


def most_voted_other(trace: Trace) -> Labels:
    """The class, but for the given one, with the most votes: (1, n, k) → (n,)."""
    return greatest_other(trace["features.simifeat_votes"][-1].astype(np.float64), given_labels(trace))


DETECTOR = Detector(
    name="simifeat_vote",
    needs=("given", "features.simifeat_votes"),
    score=simifeat_vote,
    source="Zhu, Dong and Liu 2022, arXiv:2110.06283, section 3 (local voting; without the sample's own vote)",
    information={"held_out"},
    suggest=most_voted_other,
)
