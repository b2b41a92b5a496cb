"""The target that an objective has estimated (car, elr, selc): how little of it is left for the given label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._answers import doubted, likeliest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace

COLUMN = "objective.target"


def objective_target(trace: Trace) -> NDArray[np.float64]:
    """One minus the given label's share of the target after the last epoch: (1, n, k) → (n,), in [0, 1].

    Targets are what the training was held to in place of the given labels. Those of early-learning regularization begin at
    zero, those of the others as the given label, where they stay until the correction begins.
    """
    return doubted(trace, COLUMN)


def suggested(trace: Trace) -> Labels:
    """The corrected label: the class with the greatest share of the target, but for the given one: (1, n, k) → (n,)."""
    return likeliest_other(trace, COLUMN)


DETECTOR = Detector(
    name="objective_target",
    needs=("given", COLUMN),
    score=objective_target,
    source="Liu et al. 2020, arXiv:2007.00151, section 4; Lu and He 2022, arXiv:2205.01156, section 3 (corrected labels)",
    information={"in_sample"},
    smallest_set="fast",
    suggest=suggested,
)
