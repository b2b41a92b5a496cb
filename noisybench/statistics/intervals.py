"""Estimates with their 95 % intervals over samples."""

from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats, Labels

Z95 = 1.959963984540054  # 97.5 % point of the standard normal law


class Estimate(NamedTuple):
    """A value and its 95 % interval over samples, for these labels and this one model."""

    value: float
    low: float
    high: float


NOTHING = Estimate(np.nan, np.nan, np.nan)


def auroc_interval(
    value: float,
    variance: float,
    wrong: int | Labels,
    right: int | Labels,
    *,
    further: float = 0.0,
    quantile: float = Z95,
) -> Estimate:
    """Interval of one AUROC, or of a mean of AUROCs over strata, in score form: {θ : (value − θ)² ≤ quantile² V(θ)}.

    V is the larger of two variances, plus ``further``. One is Hanley and McNeil's at θ, with (wrong + right) / 2 − 1 in
    place of either count (Newcombe's method 5). It knows of no errors that leave no mark in the scores, but holds where
    few are wrong or all are told apart. The other is the observed variance, drawn out like θ (1 − θ), and, since it is
    estimated from the fewer of both kinds, by Student's t. ``further`` is drawn out like it. The ends lie in [0, 1], and
    complete separation leaves a width. What it covers: ``tests/benchmarks/auroc_intervals.py``, docs/intervals.md.

    Args:
        value: The AUROC.
        variance: DeLong's variance of it.
        wrong: Mislabeled samples, or how many each stratum has, shape (s,), where ``value`` is the mean over strata.
        right: Clean samples, likewise.
        further: Variance of what else varies, such as seeds or draws.
        quantile: Of the standard normal law; the default gives 95 %.

    Source: Newcombe 2006, doi:10.1002/sim.2324 (method 5); Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747;
    Wilson 1927, doi:10.1080/01621459.1927.10502953 (score form).
    """
    low, high = auroc_ends(np.array(value), np.array(variance), wrong, right, further=further, quantile=quantile)
    return Estimate(value, float(low), float(high))


def auroc_ends(
    value: Floats,
    variance: Floats,
    wrong: int | Labels,
    right: int | Labels,
    *,
    further: float | Floats = 0.0,
    quantile: float = Z95,
) -> tuple[Floats, Floats]:
    """Lower and upper ends of the intervals of many AUROCs of as many samples: shapes (r,), (r,) → (r,), (r,).

    See ``auroc_interval``.
    """
    from scipy.special import ndtr, stdtrit

    wrong, right = np.atleast_1d(wrong).astype(np.float64), np.atleast_1d(right).astype(np.float64)
    spread = value * (1 - value)
    more, observed = (
        np.divide(part, spread, out=np.zeros_like(spread), where=spread > 0)
        for part in (np.broadcast_to(further, spread.shape), variance)
    )
    student = stdtrit(max(float(np.minimum(wrong, right).sum()) - len(wrong), 1.0), float(ndtr(quantile)))
    plain = (1 / (wrong * right)).sum() / len(wrong) ** 2
    paired = (((wrong + right) / 2 - 1) / (wrong * right)).sum() / len(wrong) ** 2
    side = np.array([-1, 1]).reshape(2, *[1] * spread.ndim)
    ends = value
    for _ in range(8):  # the factor of θ (1 − θ) in Hanley and McNeil's variance hardly depends on θ: exact to 1e-8
        ends = _score_ends(value, quantile**2 * (plain + more + paired * _share_of_pairs(ends)), side)
    others = _score_ends(value, student**2 * observed + quantile**2 * more, side)
    return np.clip(np.minimum(ends[0], others[0]), 0, value), np.clip(np.maximum(ends[1], others[1]), value, 1)


def _share_of_pairs(theta: Floats) -> Floats:
    """(1 − θ) / (2 − θ) + θ / (1 + θ), which Hanley and McNeil's variance has beside the counts."""
    spread = theta * (1 - theta)
    return (1 + 2 * spread) / (2 + spread)


def _score_ends(value: Floats, factor: Floats, side: Labels) -> Floats:
    """The roots θ of (value − θ)² = factor θ (1 − θ) below (side −1) and above the value (1), shape (2, ...)."""
    reach = np.sqrt(factor * (factor / 4 + value * (1 - value)))
    ends: Floats = (value + factor / 2 + side * reach) / (1 + factor)
    return ends


def wilson(share: float, n: int) -> Estimate:
    """Wilson's 95 % interval of a share of ``n``, which may be an expectation over ties.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    reach = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    # A share of 0 or 1 is an end of its interval, which rounding may miss.
    return Estimate(share, float(max(min(centre - reach, share), 0)), float(min(max(centre + reach, share), 1)))
