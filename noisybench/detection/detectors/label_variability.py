"""Data Maps' variability: how much the label's probability moves over training. A control."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def label_variability(trace: Trace) -> NDArray[np.float64]:
    """Standard deviation of the label's probability over epochs (divided by e): (e, n) → (n,), in [0, 1/2].

    High for ambiguous samples; low both for those learnt at once and for those never learnt.
    """
    return np.exp(-trace["loss"]).std(0, dtype=np.float64)


DETECTOR = Detector(
    name="label_variability",
    needs=("loss",),
    score=label_variability,
    source="Swayamdipta et al. 2020, arXiv:2009.10795, section 2",
    control=True,
    information={"in_sample"},
    smallest_set="fast",
)
