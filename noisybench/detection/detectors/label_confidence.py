"""Data Maps' confidence: the probability that the model gives to the label, over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def label_confidence(trace: Trace) -> NDArray[np.float64]:
    """One minus the mean probability of the label over epochs: (e, n) → (n,), in [0, 1]."""
    # 1 - exp(-loss) without cancellation, so that well fitted samples do not tie.
    return -np.expm1(-trace["loss"]).mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="label_confidence",
    needs=("loss",),
    score=label_confidence,
    source="Swayamdipta et al. 2020, arXiv:2009.10795, section 2 (one minus confidence)",
    information={"in_sample"},
    aliases=("Data Maps confidence", "Data-IQ confidence"),
    smallest_set="fast",
)
