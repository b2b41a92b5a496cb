"""Held-out error: how many models that did not see the sample give another label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import of_given
from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def held_out_error(trace: Trace) -> NDArray[np.float64]:
    """One minus the share of such models that predict the given label: (1, n, k) → (n,), in [0, 1].

    Of a pool on bootstrap samples it is one minus Data-OOB, of a pool of one fraction one minus the C-score at that ratio.
    """
    return 1 - of_given(trace, "held_out.votes")


DETECTOR = Detector(
    name="held_out_error",
    needs=("given", "held_out.votes"),
    score=held_out_error,
    source="Feldman and Zhang 2020, arXiv:2008.03703 (one minus what memorization subtracts)",
    information={"held_out", "several_trainings"},
    aliases=("Data-OOB", "C-score at one ratio"),
)
