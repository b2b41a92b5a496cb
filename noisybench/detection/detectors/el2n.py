"""EL2N: length of the error vector early in training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._early import early_mean
from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def el2n(trace: Trace) -> NDArray[np.float64]:
    """Mean error norm over the epochs between 5 % and 10 % of training: (e, n) → (n,), in [0, √2].

    The paper takes one of the epochs 10 to 20 of 200 and averages over ten runs; here the epochs of that window in
    one run are averaged. Where none of them was observed, it is the first observed epoch after the window's start.
    """
    return early_mean(trace.column("error_norm"))


DETECTOR = Detector(
    name="el2n",
    needs=("error_norm",),
    score=el2n,
    source="Paul et al. 2021, arXiv:2107.07075, definition 2.3 (epochs of one run instead of several runs)",
    information={"in_sample"},
    smallest_set="fast",
)
