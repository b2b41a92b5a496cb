"""What a posterior over classes, made of several people's answers, says of the given label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels, of_given
from noisybench.detection.suggesting import best_other
from noisybench.ground.arrays import Labels
from noisybench.training.trace import Trace


def doubted(trace: Trace, column: str) -> NDArray[np.float64]:
    """One minus the given label's probability: (1, n, k) → (n,), in [0, 1]; columns of single precision tie below 6e-8."""
    return 1 - of_given(trace, column)


def likeliest_other(trace: Trace, column: str) -> Labels:
    """The likeliest class but for the given one: (1, n, k) → (n,); -1 where no other has a chance, as of unanimous votes."""
    return best_other([trace[column][-1]], given_labels(trace))
