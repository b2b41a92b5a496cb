"""Nearest neighbours: how many of them have another label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import of_given
from noisybench.detection.scoring import Detector
from noisybench.training.trace import Trace


def knn(trace: Trace) -> NDArray[np.float64]:
    """One minus the share of neighbours with the given label: (1, n, k) → (n,), in [0, 1].

    The neighbours are those in the run's features by cosine; the paper's are those in the logits of a network trained
    on the same data.
    """
    return 1 - of_given(trace, "neighbours.labels")


DETECTOR = Detector(
    name="knn",
    needs=("given", "neighbours.labels"),
    score=knn,
    source="Bahri, Jiang and Gupta 2020, arXiv:2004.12289 (share of neighbours that disagree, in frozen features)",
    information={"held_out"},
    aliases=("kDN", "deep kNN"),
    smallest_set="fast",
)
