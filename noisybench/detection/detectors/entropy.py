"""Mean entropy of the prediction: hardness that does not look at the label. A control."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def entropy(trace: Trace) -> NDArray[np.float64]:
    """Mean entropy of the predicted probabilities over epochs: (e, n) → (n,), in nats."""
    return trace["entropy"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="entropy",
    needs=("entropy",),
    score=entropy,
    source="Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x, section 6 (averaged over epochs)",
    control=True,
    information={"in_sample"},
    smallest_set="fast",
)
