"""Four regions of models by training accuracy and susceptibility, and choosing a model out of a pool. Arrays in, numbers out.

Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461; thresholds as in their README.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName

RULES: Mapping[str, tuple[float | None, float | None]] = {
    "mean": (None, None),
    "median": (0.5, 0.5),
    "tercile": (2 / 3, 2 / 3),
}
"""Rule of a threshold → quantile of training accuracy and of susceptibility over the pool; None: the mean, which is the paper's.
``tercile``: the third of highest training accuracy, without the third of highest susceptibility."""


def mean_where(values: Floats, which: Bools) -> Floats:
    """Mean along the last axis of the values that are asked for, NaN where there are none: (…, m), (…, m) → (…)."""
    count = which.sum(-1)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(which, values, 0.0).sum(-1) / count
    return found


def thresholds_of(accuracy: Floats, susceptibility: Floats, rule: str = "mean") -> tuple[Floats, Floats]:
    """Least training accuracy and largest susceptibility of region 1, of pools of models: (…, m), (…, m) → (…), (…).

    Models that are unknown in one of the two are left out.

    Raises:
        UnknownName: There is no such rule.
    """
    if rule not in RULES:
        raise UnknownName(unknown(rule, tuple(RULES), "rule of thresholds"))
    known = np.isfinite(accuracy) & np.isfinite(susceptibility)
    fitted, drops = (
        mean_where(values, known) if part is None else _quantile(np.where(known, values, np.nan), part)
        for values, part in zip((accuracy, susceptibility), RULES[rule], strict=True)
    )
    return fitted, drops


def _quantile(values: Floats, part: float) -> Floats:
    """A quantile along the last axis of what is known, between neighbours by a line, as NumPy's: (…, m) → (…)."""
    ordered, count = np.sort(values, axis=-1), np.isfinite(values).sum(-1)  # NaN comes last
    place = part * np.maximum(count - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    low, high = (np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (below, above))
    found: Floats = low + (place - below) * (high - low)
    return found


def regions_at(accuracy: Floats, susceptibility: Floats, at: tuple[Floats, Floats]) -> Labels:
    """Region of each model, (…, m), (…, m) → (…, m): 1 trainable and resistant, 2 trainable, 3 resistant, 4 neither; 0 unknown.

    Args:
        accuracy: Training accuracy of each model.
        susceptibility: Of each model.
        at: Thresholds of each pool, shape (…) each.
    """
    least, most = (np.asarray(end)[..., None] for end in at)
    trainable, resistant = accuracy >= least, susceptibility <= most
    region = np.where(trainable, np.where(resistant, 1, 2), np.where(resistant, 3, 4))
    return np.where(np.isfinite(accuracy + susceptibility + least + most), region, 0)


def upper_half(accuracy: Floats) -> Bools:
    """The half of the models with the highest training accuracy, ties with the last of them included: (…, m) → (…, m)."""
    if not accuracy.shape[-1]:
        return np.isfinite(accuracy)
    ordered, count = np.sort(-accuracy, axis=-1), np.isfinite(accuracy).sum(-1)  # NaN comes last
    last = np.maximum((count + 1) // 2 - 1, 0)
    half: Bools = -accuracy <= np.take_along_axis(ordered, last[..., None], axis=-1)
    return half


class ModelPool(NamedTuple):
    """Models that are judged, and those that thresholds are taken from; leading axes are of several such pools.

    Attributes:
        accuracy: Training accuracy of the judged, shape (…, m).
        susceptibility: Of the judged, shape (…, m).
        test: Test accuracy of the judged, shape (…, m).
        other_accuracy: Of the models that thresholds come from, shape (…, o).
        other_susceptibility: Of these, shape (…, o).
    """

    accuracy: Floats
    susceptibility: Floats
    test: Floats
    other_accuracy: Floats
    other_susceptibility: Floats

    def first_region(self, rule: str = "mean") -> Bools:
        """Which of the judged models whose test accuracy is known are in region 1, by thresholds of the others, (…, m)."""
        at = thresholds_of(self.other_accuracy, self.other_susceptibility, rule)
        return (regions_at(self.accuracy, self.susceptibility, at) == 1) & np.isfinite(self.test)


def gain_of_region(pool: ModelPool, rule: str = "mean") -> Floats:
    """Mean test accuracy of region 1 minus that of a random model of the upper half, (…); NaN where no model is in region 1."""
    half = upper_half(pool.accuracy) & np.isfinite(pool.test)
    found: Floats = mean_where(pool.test, pool.first_region(rule)) - mean_where(pool.test, half)
    return found


def random_gains(pool: ModelPool, rule: str, order: Floats) -> Floats:
    """``gain_of_region`` of one pool, had as many models been drawn at random from the upper half, (r, m) → (r,).

    Args:
        pool: The models.
        rule: Of the thresholds.
        order: Random numbers, a row a draw: the models of the upper half with the lowest are taken.
    """
    half = np.flatnonzero(upper_half(pool.accuracy) & np.isfinite(pool.test))
    count = min(int(pool.first_region(rule).sum()), len(half))
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
    above, below = (known >= found - ROUNDING).sum() + 1, (known <= found + ROUNDING).sum() + 1
    return float(min(1.0, 2 * min(above, below) / (len(known) + 1)))


ROUNDING = 1e-12
