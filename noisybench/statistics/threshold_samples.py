"""Threshold samples: what a class of samples with a label that is certainly wrong tells of the margins of the others."""

from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Floats32

PERCENTILE = 99.0
"""Of the margins of threshold samples: below it lies who is flagged."""


class MarginsBelowCuts(NamedTuple):
    """Areas under the margin of several trainings, each against its own cut.

    Attributes:
        aum: Mean over the trainings in which a sample is no threshold sample, shape (n,), in logits.
        excess: Greatest over these trainings of its area less the cut, shape (n,): below 0, it lies below every cut.
        cuts: 99th percentile of the areas of the threshold samples of each training, shape (t,).
    """

    aum: Floats
    excess: Floats
    cuts: Floats


def margins_below_cuts(margins: Floats32, members: Bools) -> MarginsBelowCuts:
    """Areas under the margin, and how far above the cut of each training: (e, n, t) and (n, t) → (n,) each.

    The area is the mean margin over the recorded epochs. The percentile is interpolated linearly; the authors' code counts
    who lies below more than 1 % of the threshold samples, which differs by one sample of them at most.

    Args:
        margins: Margin of each sample's label after each epoch of each training, shape (e, n, t), in logits.
        members: Whether a sample is a threshold sample of a training, shape (n, t); in one of them at least it is none,
            and each training has some.
    """
    areas = margins.mean(0, dtype=np.float64)
    trainings = range(areas.shape[1])
    cuts: Floats = np.array([np.percentile(areas[members[:, t], t], PERCENTILE) for t in trainings])
    aum = np.where(members, 0.0, areas).sum(1) / (~members).sum(1)
    excess = np.where(members, -np.inf, areas - cuts).max(1)
    return MarginsBelowCuts(aum, excess, cuts)
