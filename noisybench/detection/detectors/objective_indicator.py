"""The trust that an objective learns for each sample (car): one minus what its branch says in training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def objective_indicator(trace: Trace) -> NDArray[np.float64]:
    """One minus the trust τ in the last epoch: (e, n) → (n,), in [0, 1].

    It is a function of the input alone, so that it tells a wrong label only where the features have come to hold that the
    sample is one whose label disagrees with what else is learnt.
    """
    return 1 - trace["objective.indicator"][-1].astype(np.float64)


DETECTOR = Detector(
    name="objective_indicator",
    needs=("objective.indicator",),
    score=objective_indicator,
    source="Lu, Bo and He 2021, arXiv:2108.08212, section 3 (confidence of the indicator branch, negated)",
    information={"in_sample"},
    smallest_set="fast",
)
