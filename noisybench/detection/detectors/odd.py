"""On-the-fly data denoising: where a sample's loss stands among those of uniformly random labels."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector
from noisybench.training.trace import Column, Trace

WINDOW = 5
"""Observed epochs that a loss is averaged over: a few, as the authors do."""


def odd(trace: Trace) -> NDArray[np.float64]:
    """Share of counterfactual losses below a sample's, both as means over a few epochs: (e, n) → (n,), in [0, 1].

    Equal ones count half. A score has a meaning of its own: the authors drop samples above the 10 % quantile, scores
    above 0.1, so that a label that tells nothing is kept with probability 0.1. That holds while such labels are not yet
    learnt: the authors look at the last few epochs of the phase of the large rate. In noisybench's recipes the rate falls
    from a quarter of the training on, so these are the last five observed epochs of that quarter, or the first observed
    one where there is none; which they are was fixed before any figure of it was looked at, and neither number is
    checked against the paper. Samples order as by their mean loss there, but for those with no counterfactual loss
    between them, which tie: all of them below the least, above all.
    """
    losses, reference = (_before_the_fall(trace.column(name)) for name in ("loss", "counterfactual_loss"))
    reference = np.sort(reference)
    below, up_to = (np.searchsorted(reference, losses, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(reference))


def _before_the_fall(column: Column) -> NDArray[np.float64]:
    """Mean over the last ``WINDOW`` observed epochs of the first quarter of training: (e, n) → (n,)."""
    stop = max(1, int(np.searchsorted(4 * column.epochs, column.epochs[-1], side="right")))
    return column.values[max(0, stop - WINDOW) : stop].mean(0, dtype=np.float64)


DETECTOR = Detector(
    name="odd",
    needs=("loss", "counterfactual_loss"),
    score=odd,
    source="Song et al. 2020, arXiv:2003.10647, quantile of the counterfactual loss distribution (five epochs before the "
    "rate falls)",
    information={"in_sample"},
    smallest_set="fast",
)
