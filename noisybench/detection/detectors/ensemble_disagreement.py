"""Disagreement of an ensemble about an unseen sample, whatever its given label. A control."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def ensemble_disagreement(trace: Trace) -> NDArray[np.float64]:
    """Chance that two votes, drawn with replacement, are for different classes: (1, n, k) → (n,), in [0, 1 - 1/k]."""
    return 1 - np.square(trace["held_out.votes"][-1], dtype=np.float64).sum(1)


DETECTOR = Detector(
    name="ensemble_disagreement",
    needs=("held_out.votes",),
    score=ensemble_disagreement,
    source="Simpson 1949, doi:10.1038/163688a0 (one minus the concentration, of held-out votes)",
    control=True,
    information={"held_out", "several_trainings"},
)
