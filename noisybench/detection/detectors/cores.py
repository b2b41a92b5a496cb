"""The sieve criterion of CORES²: the label's logit against the mean of all, over training."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def cores(trace: Trace) -> NDArray[np.float64]:
    """Negative mean over epochs of the logit above the mean logit: (e, n) → (n,), in nats.

    At each epoch this is the label's cross-entropy minus the mean over all classes; the sieve drops what is above zero.
    The model is trained with the recipe's objective, not with the paper's confidence regulariser.
    """
    return -trace["mean_margin"].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="cores",
    needs=("mean_margin",),
    score=cores,
    source="Cheng et al. 2021, arXiv:2010.02347, the sieve's criterion (averaged over epochs, without its regulariser)",
    information={"in_sample"},
    smallest_set="fast",
)
