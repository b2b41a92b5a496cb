"""Trace of the Gauss-Newton matrix in the input, which at given weights has no label in it. A control."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def gauss_newton_trace(trace: Trace) -> NDArray[np.float64]:
    """Mean over the epochs at which it was observed: (e, n) → (n,).

    It is curvature without the label: on a ReLU model the Hessian of the loss in the input is, wherever it exists, this
    matrix, and at given weights the same whatever the sample is called. What it finds, it finds through the weights.
    """
    return trace["gauss_newton_trace"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="gauss_newton_trace",
    needs=("gauss_newton_trace",),
    score=gauss_newton_trace,
    source="Schraudolph 2002, doi:10.1162/08997660260028683, section 3 (its trace in the input, averaged over epochs)",
    control=True,
    information={"in_sample"},
    smallest_set="all",
)
