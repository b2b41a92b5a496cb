"""Estimates with their 95 % intervals over samples."""

from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

from noisybench.ground.arrays import Floats, Labels

Number = TypeVar("Number", float, Floats)
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
    spread = value * (1 - value)
    observed, more = (variance / spread, further / spread) if spread > 0 else (0.0, 0.0)
    low, high = _ends(float(value), float(observed), float(more), wrong, right, quantile=quantile)
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
    spread = value * (1 - value)
    observed, more = (
        np.divide(part, spread, out=np.zeros_like(spread), where=spread > 0)
        for part in (variance, np.broadcast_to(further, spread.shape))
    )
    return _ends(value, observed, more, wrong, right, quantile=quantile)


def auroc_law(value: Number, wrong: Floats, right: Floats) -> Floats:
    """Variance of an AUROC whose true value is known, of strata, (s,): Hanley and McNeil's, with mean numbers of either kind.

    Source: Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747; Newcombe 2006, doi:10.1002/sim.2324 (method 5).
    """
    plain, paired = _of_counts(wrong, right)
    return value * (1 - value) * (plain + paired * _share_of_pairs(value))


def _of_counts(wrong: Floats, right: Floats) -> tuple[Floats, Floats]:
    """What that variance has of the counts alone, and what is multiplied by the share of pairs."""
    return 1 / (wrong * right), ((wrong + right) / 2 - 1) / (wrong * right)


def _share_of_pairs(theta: Number) -> Number:
    """(1 − θ) / (2 − θ) + θ / (1 + θ), which Hanley and McNeil's variance has beside the counts."""
    spread = theta * (1 - theta)
    return (1 + 2 * spread) / (2 + spread)


def _ends(
    value: Number, observed: Number, more: Number, wrong: int | Labels, right: int | Labels, *, quantile: float
) -> tuple[Floats, Floats]:
    """Ends of ``auroc_ends``; ``observed`` and ``more`` are variances by θ (1 − θ). One AUROC is quickest as a plain float."""
    of_wrong, of_right = (np.atleast_1d(count).astype(np.float64) for count in (wrong, right))
    freedom = max(float(np.minimum(of_wrong, of_right).sum()) - len(of_wrong), 1.0)
    student = _student(freedom, quantile)
    plain, paired = (float(part.sum()) / len(of_wrong) ** 2 for part in _of_counts(of_wrong, of_right))
    ends = []
    for side in (-1, 1):
        end = value
        for _ in range(8):  # the factor of θ (1 − θ) in Hanley and McNeil's variance hardly depends on θ: exact to 1e-8
            end = _score_end(value, quantile**2 * (plain + more + paired * _share_of_pairs(end)), side)
        ends.append((end, _score_end(value, student**2 * observed + quantile**2 * more, side)))
    return np.clip(np.minimum(*ends[0]), 0, value), np.clip(np.maximum(*ends[1]), value, 1)


@lru_cache  # a table asks for the same numbers of labels again and again
def _student(freedom: float, quantile: float) -> float:
    """Quantile of Student's law at which the normal one has ``quantile``."""
    from scipy.special import ndtr, stdtrit

    return float(stdtrit(freedom, float(ndtr(quantile))))


def _score_end(value: Number, factor: Number, side: int) -> Number:
    """The root θ of (value − θ)² = factor θ (1 − θ) below (side −1) or above the value (1)."""
    reach = (factor * (factor / 4 + value * (1 - value))) ** 0.5
    return (value + factor / 2 + side * reach) / (1 + factor)


def wilson(share: float, n: int) -> Estimate:
    """Wilson's 95 % interval of a share of ``n``, which may be an expectation over ties.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    reach = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    # A share of 0 or 1 is an end of its interval, which rounding may miss.
    return Estimate(share, float(max(min(centre - reach, share), 0)), float(min(max(centre + reach, share), 1)))
