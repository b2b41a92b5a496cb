"""Loss at the last observed epoch: the small-loss criterion."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def final_loss(trace: Trace) -> NDArray[np.float64]:
    """Loss at the last epoch: (e, n) → (n,), in nats.

    At one epoch every decreasing function of the label's probability ranks alike, so that one name stands for all; what is
    averaged over epochs, or looks at other classes too, ranks otherwise.
    """
    return trace["loss"][-1].astype(np.float64)


DETECTOR = Detector(
    name="final_loss",
    needs=("loss",),
    score=final_loss,
    source="Han et al. 2018, arXiv:1804.06872, section 2 (small losses are taken for clean)",
    information={"in_sample"},
    aliases=("cross-entropy", "small loss", "in-confidence", "GCE", "Jensen-Shannon to the one-hot label"),
    smallest_set="fast",
)
