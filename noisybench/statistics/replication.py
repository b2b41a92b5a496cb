"""Replication: several hypotheses tested together, and what a second study should find where a first one found that."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadUsage
from noisybench.statistics.intervals import Z95


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values, (m,) → (m,): each at most .05 where Holm's method rejects at 5 % over all.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]

    Raises:
        BadUsage: One is no probability.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        msg = f"p-values must be numbers from 0 to 1 in a list, got {p_values!r}"
        raise BadUsage(msg)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)).clip(max=1)
    return adjusted


def two_sided_p(value: float, low: float, high: float, null: float = 0.0) -> float:
    """The p-value of a null that belongs to a normal 95 % interval; NaN where the interval has no width.

    The null is at the near end of the interval where the p-value is .05. Of an interval that is not symmetric, the half on
    the side of the null counts.
    """
    from scipy.special import ndtr

    reach = value - low if value > null else high - value
    if not reach > 0:
        return float("nan")
    return float(2 * ndtr(-abs(value - null) * Z95 / reach))


def share_beyond(resamples: Sequence[float] | Floats, null: float = 0.0) -> float:
    """Two-sided p-value of a null by a bootstrap: twice the smaller share of resamples beyond it, each counted once more.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, chapter 4.
    """
    drawn = np.asarray(resamples, dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    below, above = (drawn <= null).sum() + 1, (drawn >= null).sum() + 1
    return float(min(1.0, 2 * min(below, above) / (len(drawn) + 1)))


def prediction_interval(figure: float, n: int, low: float, high: float) -> tuple[float, float]:
    """Where 95 % of correlations like ours lie, if a published one is right but for its samples.

    Both errors count, on Fisher's scale: tanh(atanh(r) ± 1.96 √(1/(n − 3) + e²)), with e the standard error of ours there,
    whatever its units are. Of a correlation over m samples e² is 1/(m − 3), and the interval is that of the source.

    Args:
        figure: The published correlation.
        n: Its samples.
        low: Lower end of the 95 % interval of ours.
        high: Its upper end.

    Returns:
        Its ends; NaN where the published one has three samples or fewer, one of the numbers is ± 1, or ours has no interval.

    Source: Patil, Peng and Leek 2016, doi:10.1177/1745691616646366.
    """
    if n <= 3 or not all(abs(number) < 1 for number in (figure, low, high)):  # noqa: PLR2004 - Fisher's variance is 1 / (n - 3)
        return float("nan"), float("nan")
    error = (np.arctanh(high) - np.arctanh(low)) / (2 * Z95)
    reach = Z95 * (1 / (n - 3) + error**2) ** 0.5
    return float(np.tanh(np.arctanh(figure) - reach)), float(np.tanh(np.arctanh(figure) + reach))
