"""Self-influence: what training steps on a sample took off its own loss, in the last layer."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def self_influence(trace: Trace) -> NDArray[np.float64]:
    """Sum over epochs of learning rate times squared gradient norm in the last layer: (e, n) → (n,), in nats.

    Every observed epoch is a checkpoint; its rate is that at its end.
    """
    return trace["self_influence"].sum(0, dtype=np.float64)


DETECTOR = Detector(
    name="self_influence",
    needs=("self_influence",),
    score=self_influence,
    source="Pruthi et al. 2020, arXiv:2002.08484, TracInCP of a sample on itself (last layer, every epoch)",
    information={"in_sample"},
)
