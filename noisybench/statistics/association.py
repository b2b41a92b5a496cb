"""Association of two quantities over a few units, such as settings of a training: correlations and their bootstrap intervals.

Every function works on the last axis, so that thousands of resamples are one call. A correlation of what does not vary is NaN.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from noisybench.ground.arrays import Floats, Indices
from noisybench.ground.errors import BadUsage
from noisybench.statistics.replication import share_beyond

RESAMPLES = 2_000
"""Bootstrap resamples of an interval."""
FEWEST = 4
"""Units of a correlation: fewer say nothing."""
ROUNDING = 1e-12


class Association(NamedTuple):
    """A correlation over units.

    Attributes:
        value: NaN where it cannot be computed.
        low: Lower end of its 95 % interval by the bootstrap over units; NaN where there is none.
        high: Upper end.
        units: How many units.
        p: Two-sided p-value of no correlation by the same resamples.
    """

    value: float
    low: float
    high: float
    units: int
    p: float


def linear(x: Floats, y: Floats) -> Floats:
    """Pearson's correlation: (…, u), (…, u) → (…)."""
    one, other = (part - part.mean(-1, keepdims=True) for part in (x, y))
    scale = np.sqrt((one**2).sum(-1) * (other**2).sum(-1))
    flat = np.sqrt((one**2).sum(-1)) <= ROUNDING * (1 + np.abs(x).max(-1, initial=0.0))
    flat |= np.sqrt((other**2).sum(-1)) <= ROUNDING * (1 + np.abs(y).max(-1, initial=0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(flat, np.nan, (one * other).sum(-1) / scale)
    return found


def ranked(x: Floats, y: Floats) -> Floats:
    """Spearman's correlation, ties sharing their mean rank: (…, u), (…, u) → (…)."""
    return linear(ranks_of(x), ranks_of(y))


def partial_ranked(x: Floats, y: Floats, given: Floats) -> Floats:
    """Partial Spearman's correlation, that of the ranks of x and y given the ranks of a third: (…, u) each → (…).

    It is the correlation of what is left of both where each is fitted by a line on the ranks of the third.

    Source: Kendall 1942, doi:10.1093/biomet/32.3-4.277, of product-moment correlations of ranks.
    """
    xy, xz, yz = ranked(x, y), ranked(x, given), ranked(y, given)
    left = (1 - xz**2) * (1 - yz**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(left > ROUNDING, (xy - xz * yz) / np.sqrt(left), np.nan)
    # A third that does not vary explains nothing.
    return np.where(np.isnan(xz) & np.isnan(yz) & ~np.isnan(xy), xy, found)


def ranks_of(x: Floats) -> Floats:
    """Ranks from 1 along the last axis, those of ties their mean."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(x, axis=-1)
    return ranks


def associate(
    statistic: Callable[..., Floats], *columns: ArrayLike, strata: Sequence[object] | None = None, seed: int = 0
) -> Association:
    """A correlation over units with its percentile interval, which covers other units of the same kind.

    Of several sets over the same units it is the mean of the correlations within each, and a resample has the same units in
    all of them. Units of which anything is unknown are left out.

    Args:
        statistic: Of columns (…, u), see ``ranked``.
        columns: One value a unit, shape (u,) each, or (s, u) of several sets.
        strata: Stratum of each unit: the correlation is then the mean of those within strata, weighted by their units, and
            units are redrawn within theirs. Strata with fewer than ``FEWEST`` units, or in which nothing varies, are left out.
        seed: Of the resamples.

    Raises:
        BadUsage: The columns are of different shapes.
    """
    given = [np.atleast_2d(np.asarray(column, dtype=np.float64)) for column in columns]
    if any(column.ndim != 2 or column.shape != given[0].shape for column in given):  # noqa: PLR2004 - sets and units
        msg = f"columns must hold a number for each unit, got shapes {', '.join(str(column.shape) for column in given)}"
        raise BadUsage(msg)
    known = np.all([np.isfinite(column).all(0) for column in given], axis=0)
    names = np.array([str(one) for one in (strata or [""] * len(known))])
    random = np.random.default_rng(seed)
    values, weights, drawn = [], [], []
    for name in dict.fromkeys(names.tolist()):
        here = np.flatnonzero(known & (names == name))
        value = _mean(statistic(*(column[:, here] for column in given))) if len(here) >= FEWEST else np.full((), np.nan)
        if np.isnan(value):
            continue
        again = here[resampled(len(here), random)]
        values.append(float(value))
        weights.append(len(here))
        drawn.append(_mean(statistic(*(column[:, again] for column in given))))
    if not values:
        return Association(np.nan, np.nan, np.nan, int(known.sum()), np.nan)
    share = np.array(weights) / sum(weights)
    over = share @ np.array(drawn)
    return Association(float(share @ np.array(values)), *interval_of(over), sum(weights), share_beyond(over))


def _mean(values: Floats) -> Floats:
    """Mean over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(known, values, 0.0).sum(0) / known.sum(0)
    return found


def resampled(units: int, random: np.random.Generator, count: int = RESAMPLES) -> Indices:
    """Units drawn with replacement, shape (count, units)."""
    drawn: Indices = random.integers(units, size=(count, units))
    return drawn


def interval_of(drawn: Floats) -> tuple[float, float]:
    """The middle 95 % of resamples, (r,) → its ends; those that cannot be computed are left out, NaN where half cannot."""
    known = drawn[~np.isnan(drawn)]
    if 2 * len(known) < len(drawn) or not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)
