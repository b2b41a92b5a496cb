"""Cumulative sample loss: the loss of a sample over the whole of training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def cumulative_loss(trace: Trace) -> NDArray[np.float64]:
    """Mean loss over epochs: (e, n) → (n,), in nats. The paper's sum is this times the number of epochs."""
    return trace["loss"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="cumulative_loss",
    needs=("loss",),
    score=cumulative_loss,
    source="Ravikumar et al. 2025, Towards Memorization Estimation: Fast, Formal and Free, ICML, eq. 5 (per epoch)",
    information={"in_sample"},
    aliases=("CSL",),
    smallest_set="fast",
)
