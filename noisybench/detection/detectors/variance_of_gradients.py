"""Variance of gradients (VoG): how much the gradient of the label's logit at the input moved in training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def variance_of_gradients(trace: Trace) -> NDArray[np.float64]:
    """Z-score within the given class, of the last epoch, which has seen all: (e, n) → (n,)."""
    return trace["variance_of_gradients"][-1].astype(np.float64)


DETECTOR = Detector(
    name="variance_of_gradients",
    needs=("variance_of_gradients",),
    score=variance_of_gradients,
    source="Agarwal, D'souza and Hooker 2022, arXiv:2008.11600, section 2 (normalised within the given class)",
    information={"in_sample"},
    smallest_set="all",
)
