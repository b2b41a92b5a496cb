"""Four regions of models by training accuracy and susceptibility, and choosing a model out of a pool. Arrays in, numbers out.

Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461; thresholds as in their README.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Indices, Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName

Thresholds = tuple[float, float]
"""Least training accuracy of a trainable model, and largest susceptibility of a resistant one."""
RULES: Mapping[str, tuple[float | None, float | None]] = {
    "mean": (None, None),
    "median": (0.5, 0.5),
    "tercile": (2 / 3, 2 / 3),
}
"""Rule of a threshold → quantile of training accuracy and of susceptibility over the pool; None: the mean, which is the paper's.
``tercile``: the third of highest training accuracy, without the third of highest susceptibility."""


def thresholds_of(accuracy: Floats, susceptibility: Floats, rule: str = "mean") -> Thresholds:
    """Where the four regions meet: of a pool of models, shape (m,) each; models that are unknown in one are left out.

    Raises:
        UnknownName: There is no such rule.
    """
    if rule not in RULES:
        raise UnknownName(unknown(rule, tuple(RULES), "rule of thresholds"))
    known = np.isfinite(accuracy) & np.isfinite(susceptibility)
    if not known.any():
        return float("nan"), float("nan")
    ends = [
        float(values[known].mean() if part is None else np.quantile(values[known], part))
        for values, part in zip((accuracy, susceptibility), RULES[rule], strict=True)
    ]
    return ends[0], ends[1]


def regions_at(accuracy: Floats, susceptibility: Floats, at: Thresholds) -> Labels:
    """Region of each model, (m,), (m,) → (m,): 1 trainable and resistant, 2 trainable, 3 resistant, 4 neither; 0 unknown."""
    trainable, resistant = accuracy >= at[0], susceptibility <= at[1]
    region = np.where(trainable, np.where(resistant, 1, 2), np.where(resistant, 3, 4))
    return np.where(np.isfinite(accuracy) & np.isfinite(susceptibility) & np.isfinite(at).all(), region, 0)


def upper_half(accuracy: Floats) -> Bools:
    """The half of the models with the highest training accuracy, ties with the last of them included: (m,) → (m,)."""
    known = np.isfinite(accuracy)
    if not known.any():
        return known
    ordered = np.sort(accuracy[known])[::-1]
    return known & (accuracy >= ordered[(len(ordered) + 1) // 2 - 1])


class Pool(NamedTuple):
    """Models that are judged, one for each setting in one order, and those that thresholds are taken from.

    Attributes:
        accuracy: Training accuracy of the judged, shape (m,).
        susceptibility: Of the judged, shape (m,).
        test: Test accuracy of the judged, shape (m,).
        other_accuracy: Of the models that thresholds come from, shape (m,).
        other_susceptibility: Of these, shape (m,).
    """

    accuracy: Floats
    susceptibility: Floats
    test: Floats
    other_accuracy: Floats
    other_susceptibility: Floats

    def at(self, chosen: Indices | Bools) -> "Pool":
        """The same of some settings, one perhaps several times."""
        return Pool(*(part[chosen] for part in self))

    def regions(self, rule: str = "mean") -> Labels:
        """Region of each judged model, by thresholds of the others."""
        return regions_at(
            self.accuracy, self.susceptibility, thresholds_of(self.other_accuracy, self.other_susceptibility, rule)
        )


def gain_of_region(pool: Pool, rule: str = "mean") -> float:
    """Mean test accuracy of region 1 minus that of a random model of the upper half; NaN where no model is in region 1."""
    first, half = pool.regions(rule) == 1, upper_half(pool.accuracy) & np.isfinite(pool.test)
    first &= np.isfinite(pool.test)
    if not first.any() or not half.any():
        return float("nan")
    return float(pool.test[first].mean() - pool.test[half].mean())


def random_gains(pool: Pool, rule: str, order: Floats) -> Floats:
    """``gain_of_region`` had as many models been drawn at random from the upper half, (r, m) → (r,).

    Args:
        pool: The models.
        rule: Of the thresholds.
        order: Random numbers, a row a draw: the models of the upper half with the lowest are taken.
    """
    count = int(((pool.regions(rule) == 1) & np.isfinite(pool.test)).sum())
    half = np.flatnonzero(upper_half(pool.accuracy) & np.isfinite(pool.test))
    count = min(count, len(half))
    if not count:
        return np.full(len(order), np.nan)
    taken = np.argsort(order[:, half], axis=1)[:, :count]
    found: Floats = pool.test[half][taken].mean(1) - pool.test[half].mean()
    return found


def chance_of(gains: Floats, found: float) -> float:
    """Two-sided chance of a gain so far from 0 among random ones, (r,); each side's counts the found one too."""
    known = gains[~np.isnan(gains)]
    if np.isnan(found) or not len(known):
        return float("nan")
    above, below = (known >= found - 1e-12).sum() + 1, (known <= found + 1e-12).sum() + 1
    return float(min(1.0, 2 * min(above, below) / (len(known) + 1)))
