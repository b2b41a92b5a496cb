"""Area under the margin beside threshold samples, whose labels are certainly wrong and give the cut."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def aum_threshold(trace: Trace) -> NDArray[np.float64]:
    """Negative mean margin over the trainings in which a sample is no threshold sample: (1, n) → (n,), in logits.

    Margins are over k + 1 classes. The method has its own cut, so that nobody says how many labels are wrong: whose area
    is below the 99th percentile of the threshold samples in each of these trainings is flagged (``threshold.excess``
    below 0), and ``suspects`` flags as many.
    """
    return -trace["threshold.aum"][-1].astype(np.float64)


DETECTOR = Detector(
    name="aum_threshold",
    needs=("threshold.aum",),
    score=aum_threshold,
    source="Pleiss et al. 2020, arXiv:2001.10528, AUM with threshold samples (negated)",
    information={"in_sample", "several_trainings"},
    smallest_set="all",
)
