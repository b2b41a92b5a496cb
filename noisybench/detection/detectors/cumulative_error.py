"""Share of epochs at which the prediction is not the label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def cumulative_error(trace: Trace) -> NDArray[np.float64]:
    """One minus the share of epochs with a correct prediction: (e, n) → (n,), in [0, 1]."""
    return 1 - trace["correct"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="cumulative_error",
    needs=("correct",),
    score=cumulative_error,
    source="Swayamdipta et al. 2020, arXiv:2009.10795, section 2 (one minus correctness)",
    information={"in_sample"},
    aliases=("Data Maps correctness",),
    smallest_set="fast",
)
