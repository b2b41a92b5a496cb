"""Ridge regression on frozen features with the one penalty that answers most given labels."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._ridge import suggested_by_ridge
from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def ridge_chosen(trace: Trace) -> NDArray[np.float64]:
    """Best other class's leave-one-out answer minus the given label's, at the chosen penalty: (1, n) → (n,).

    The penalty is the one under which most samples are answered with their *given* label; no truth chooses it. It is a good
    one where a wrong label depends on the right class alone and each class's commonest label is the right one. Where wrong
    labels lie together in feature space it is the one that predicts them: take ``ridge`` where nothing is known.
    """
    return trace["features.ridge_chosen"][-1].astype(np.float64)


DETECTOR = Detector(
    name="ridge_chosen",
    needs=("features.ridge_chosen",),
    score=ridge_chosen,
    source="Allen 1974, doi:10.1080/00401706.1974.10489157 (leave-one-out answers, the penalty by their accuracy)",
    information={"held_out"},
    smallest_set="fast",
    suggest=suggested_by_ridge,
)
