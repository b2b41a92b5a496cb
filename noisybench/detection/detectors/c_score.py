"""C-score: how well models trained on subsets of several sizes predict the given label, unseen."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def c_score(trace: Trace) -> NDArray[np.float64]:
    """One minus the consistency, averaged over the sizes of the subsets: (1, n) → (n,), in [0, 1]."""
    return 1 - trace["held_out.consistency"][-1].astype(np.float64)


DETECTOR = Detector(
    name="c_score",
    needs=("held_out.consistency",),
    score=c_score,
    source="Jiang, Zhang, Talwar and Mozer 2021, arXiv:2002.03206 (one minus the C-score, over the pool's fractions)",
    information={"held_out", "several_trainings"},
)
