"""Prediction changes: how often the predicted class changed over training, whatever the label is. A control."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def prediction_changes(trace: Trace) -> NDArray[np.float64]:
    """Number of observed epochs whose predicted class is another than that of the one before: (e, n) → (n,).

    It does not look at the label, and so tells what is hard from what is easy.
    """
    predicted = trace["prediction"]
    return (predicted[1:] != predicted[:-1]).sum(0, dtype=np.float64)


DETECTOR = Detector(
    name="prediction_changes",
    needs=("prediction",),
    score=prediction_changes,
    source="Yuan, Feng and Liu 2024, arXiv:2502.07551, prediction changes (counted for each sample over the epochs)",
    control=True,
    information={"in_sample"},
    smallest_set="fast",
)
