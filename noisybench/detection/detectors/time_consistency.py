"""Time-consistency: how much a sample's prediction changes from epoch to epoch."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def time_consistency(trace: Trace) -> NDArray[np.float64]:
    """Negative time-consistency after the last epoch: (e, n) → (n,), in nats.

    It sees a label only through the weights: predictions of samples whose label is learnt against what the others say
    change most, and a wrong label that is never learnt leaves none. Its authors choose *unlabeled* samples by it.
    """
    return trace["time_inconsistency"][-1].astype(np.float64)


DETECTOR = Detector(
    name="time_consistency",
    needs=("time_inconsistency",),
    score=time_consistency,
    source="Zhou, Wang and Bilmes 2020, Time-Consistent Self-Supervision for Semi-Supervised Learning, ICML, section 3 "
    "(negated; of labelled samples, from an average that starts at 0)",
    information={"in_sample"},
    smallest_set="fast",
)
