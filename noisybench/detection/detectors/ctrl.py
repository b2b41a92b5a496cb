"""CTRL: samples whose loss curves lie in the high clusters of their class."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels
from noisybench.detection.scoring import Detector
from noisybench.statistics.loss_curves import cluster_loss_curves
from noisybench.training.trace import Trace


def ctrl(trace: Trace) -> NDArray[np.float64]:
    """Windows in which a sample is in a noisy cluster, ties by mean loss: (e, n) → (n,).

    The mean loss adds ℓ / (1 + ℓ), less than one window. The authors give a mask: of the chosen w windows and threshold
    t, samples with w - t or fewer noisy windows are kept (``cluster_loss_curves``). How to cluster is chosen by the
    losses; the authors' accuracy of the *best* epoch, chosen by a test set, is left out.
    """
    losses, labels = trace["loss"], given_labels(trace)
    classes = max(2, int(labels.max()) + 1)
    votes = cluster_loss_curves(losses, trace["correct"][-1] > 0, labels, classes).votes
    mean = losses.mean(0, dtype=np.float64)
    return votes + mean / (1 + mean)


DETECTOR = Detector(
    name="ctrl",
    needs=("given", "loss", "correct"),
    score=ctrl,
    source="Yue and Jha 2022, arXiv:2208.08464, eq. 1 and the authors' code (votes of windows, then mean loss)",
    information={"in_sample"},
)
