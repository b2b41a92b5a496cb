"""What ridge regression on frozen features says of a sample's class."""

import numpy as np

from noisybench.detection.detectors._held_out import given_labels, greatest_other
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace


def suggested_by_ridge(trace: Trace) -> Labels:
    """The class, but for the given one, with the greatest leave-one-out answer: (1, n, k) → (n,)."""
    return greatest_other(trace["features.ridge_answers"][-1].astype(np.float64), given_labels(trace))
