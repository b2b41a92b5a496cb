"""95 % intervals of shares in strata of a random sample, and of ratios of them, by inverting a score test.

An interval holds each value that the test does not reject. Under the value, the shares of the strata are those of highest
likelihood; their variance has the finite population correction, and the statistic is corrected for skewness, so that it
holds also where few or no marked samples were seen. Of one stratum, without correction, it is Wilson's. That a ratio of
two sums is r, Σ a_h p_h / Σ b_h p_h = r, is the same as Σ (a_h − r b_h) p_h = 0, which is tested likewise.

Source: Wilson 1927, doi:10.1080/01621459.1927.10502953; Miettinen and Nurminen 1985, doi:10.1002/sim.4780040211 (shares
of highest likelihood under the value); Gart and Nam 1988, doi:10.2307/2531848, and Laud 2017, doi:10.1002/pst.1813
(skewness; here by the Cornish-Fisher quantile); Cochran 1977, Sampling Techniques, chapter 5 (finite population).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.statistics.intervals import NOTHING, Z95, Estimate


def rate_interval(wrong: Labels, seen: Labels, sizes: Labels) -> Estimate:
    """Share of wrong labels in strata, with its interval.

    Args:
        wrong: Labels called wrong in each stratum, shape (h,).
        seen: Labels called right or wrong, shape (h,).
        sizes: Samples in the data set, shape (h,).
    """
    if not sizes.size:
        return NOTHING
    if not seen.any():
        return Estimate(np.nan, 0.0, 1.0)
    total = sizes.sum()
    value = float(sizes @ stratum_shares(wrong, seen, sizes) / total)
    ends = []
    for free in (0, 1):
        counts = np.where(seen > 0, wrong, free * sizes), np.where(seen > 0, seen, sizes), sizes

        def statistic(rate: Floats, counts: tuple[Labels, Labels, Labels] = counts) -> Floats:
            return score_statistic(*counts, np.broadcast_to(sizes / total, (*rate.shape, len(sizes))), rate)

        least, most = counts[0].sum() / total, 1 - (counts[1] - counts[0]).sum() / total
        middle = float(sizes @ (counts[0] / counts[1]) / total)
        ends.append(_end(statistic, middle, most if free else least))
    return Estimate(value, *ends)


def recall_interval(wrong: Labels, seen: Labels, sizes: Labels, flagged: Bools) -> Estimate:
    """Share of the wrong labels that are flagged, with its interval; see ``rate_interval``, and which strata are flagged."""
    if wrong.any() and (flagged.all() or not flagged.any()):
        return Estimate(*[float(flagged.all())] * 3)
    if not wrong.any() or not seen[flagged].any() or not seen[~flagged].any():
        return Estimate(np.nan, 0.0, 1.0)
    total = sizes * stratum_shares(wrong, seen, sizes)
    value = float(total[flagged].sum() / total.sum())
    if (seen == sizes).all():
        return Estimate(value, value, value)
    ends = []
    for end in (0.0, 1.0):
        free = np.where(flagged, end, 1 - end)
        counts = np.where(seen > 0, wrong, free * sizes), np.where(seen > 0, seen, sizes), sizes

        def statistic(recall: Floats, counts: tuple[Labels, Labels, Labels] = counts) -> Floats:
            return score_statistic(*counts, sizes * (flagged - recall[:, None]), np.zeros_like(recall))

        parts = sizes * counts[0] / counts[1]
        ends.append(_end(statistic, float(parts[flagged].sum() / parts.sum()), end))
    return Estimate(value, *ends)


def score_statistic(wrong: NDArray[Any], seen: Labels, sizes: Labels, factors: Floats, value: Floats) -> Floats:
    """Statistic of the hypothesis Σ factors_h p_h = value, standard normal if it holds: → (b,).

    Positive where the answers lie above it. It grows as ``value`` falls.

    Args:
        wrong: Labels called wrong, shape (h,) or (b, h).
        seen: Labels called right or wrong, shape (h,), each at least 1.
        sizes: Samples in the data set, shape (h,); a stratum that was seen whole is known.
        factors: Shape (b, h).
        value: Shape (b,), strictly within what shares in [0, 1] can give, those of known strata given.
    """
    wrong = np.broadcast_to(wrong, factors.shape).astype(np.float64)
    part = seen < sizes
    above = (factors * wrong / seen).sum(1) - value
    known = (factors * wrong / seen)[:, ~part].sum(1)
    n, size, c, x = seen[part], sizes[part], factors[:, part], wrong[:, part]
    if not part.any():
        return np.where(np.abs(above) < 1e-9, 0.0, np.sign(above) * np.inf)  # noqa: PLR2004 - rounding
    swell = (size - 1) / (size - n)
    shares = _likeliest_shares(x * swell, (n * swell).astype(np.float64), c, value - known)
    spread = shares * (1 - shares)
    variance = (c**2 * spread / (n * swell)).sum(1)
    lean = (size - 2 * n) / np.maximum(size - 2, 1) / swell
    third = (c**3 * spread * (1 - 2 * shares) * lean / n**2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = np.where(variance > 0, above / np.sqrt(variance), np.sign(above) * np.inf)
        skewness = np.where(variance > 0, third / variance**1.5, 0.0)
    # Towards the short tail the correction holds for few expected counts no more: it stays what it is at its turning point.
    turn = (Z95**2 - 1) / 6
    corrected = np.where(above * skewness < 0, np.clip(skewness, -(turn**-0.5), turn**-0.5), skewness)
    return statistic - corrected * turn


def _likeliest_shares(wrong: Floats, seen: Floats, factors: Floats, value: Floats) -> Floats:
    """Shares of highest likelihood under Σ factors_h p_h = value: (b, h), (h,), (b, h) and (b,) → (b, h).

    Each solves wrong / p − (seen − wrong) / (1 − p) = λ factor, and λ is found by halving.
    """
    pull = factors * (seen.max() / np.maximum(np.abs(factors).max(1), 1e-300))[:, None]
    low, high = np.full(len(value), -1.0), np.full(len(value), 1.0)  # of λ, drawn together from all numbers
    for _ in range(45):
        middle = (low + high) / 2
        shares = _shares_at(wrong, seen, (middle / (1 - middle**2))[:, None] * pull)
        above = (factors * shares).sum(1) > value
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return shares


def _shares_at(wrong: Floats, seen: Floats, pull: Floats) -> Floats:
    """The root in [0, 1] of wrong / p − (seen − wrong) / (1 − p) = pull."""
    straight = seen + pull
    root = np.sqrt(np.maximum(straight**2 - 4 * pull * wrong, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = 2 * wrong / (straight + root)
        steep = (straight - root) / (2 * pull)  # where the other loses its digits
    return np.clip(np.where(straight > 0, usual, steep), 0, 1)


def _end(statistic: Callable[[Floats], Floats], middle: float, extreme: float) -> float:
    """The value between an estimate and an extreme of its range at which the test begins to reject."""
    inner, outer = middle, extreme
    if abs(outer - inner) < 1e-12:  # noqa: PLR2004 - rounding
        return float(extreme)
    towards = np.sign(middle - extreme)
    for _ in range(3):
        values = np.linspace(inner, outer, 34)[1:-1]
        level = towards * statistic(values)
        first = int(np.argmax(level > Z95)) if (level > Z95).any() else len(values)
        edges = np.concatenate([[inner], values, [outer]])
        inner, outer = edges[first], edges[first + 1]
    if 0 < first < len(values) and np.isfinite(level[first]):  # straight between the last two
        outer = inner + (outer - inner) * (Z95 - level[first - 1]) / (level[first] - level[first - 1])
    return float(outer)


def stratum_shares(wrong: NDArray[Any], seen: Labels, sizes: Labels) -> Floats:
    """Share of wrong labels in each stratum, (h,); of one without an answer that of all others."""
    others = float((wrong * sizes)[seen > 0] @ (1 / seen[seen > 0]) / max(sizes[seen > 0].sum(), 1))
    return np.where(seen > 0, wrong / np.maximum(seen, 1), others)
