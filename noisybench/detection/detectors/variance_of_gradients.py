"""Variance of gradients (VoG): how much the input gradient of the label's logit moved in training. A control."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def variance_of_gradients(trace: Trace) -> NDArray[np.float64]:
    """Z-score within the given class, of the last epoch, which has seen all: (e, n) → (n,).

    It was published as a measure of difficulty, and is a control here: the logit of a right label is the one that
    training keeps raising, so that its gradient may move more than that of a wrong one. On digits wrong labels stand
    below right ones, as ``tests/benchmarks/curvature.py --steps`` prints.
    """
    return trace["variance_of_gradients"][-1].astype(np.float64)


DETECTOR = Detector(
    name="variance_of_gradients",
    needs=("variance_of_gradients",),
    score=variance_of_gradients,
    source="Agarwal, D'souza and Hooker 2022, arXiv:2008.11600, section 2 (normalised within the given class)",
    control=True,
    information={"in_sample"},
    smallest_set="all",
)
