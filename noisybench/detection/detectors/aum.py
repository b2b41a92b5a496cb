"""Area under the margin: how far the label's logit stays behind the best other one, over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def aum(trace: Trace) -> NDArray[np.float64]:
    """Negative mean margin over epochs: (e, n) → (n,), in logits."""
    return -trace["margin"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="aum",
    needs=("margin",),
    score=aum,
    source="Pleiss et al. 2020, arXiv:2001.10528, eq. 2 (negated)",
    information={"in_sample"},
    smallest_set="fast",
)
