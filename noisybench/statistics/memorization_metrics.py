"""Agreement of scores with measured memorization: correlations with their nulls, and both truths side by side.

Samples whose memorization is unknown (NaN) are left out. Ties share their mean rank, or count at their expectation
under a random tie-break. What cannot be computed is NaN, never 0.

Intervals of correlations are symmetric on Fisher's z scale, with the variance of the samples' influences on the
correlation (the infinitesimal jackknife), which supposes no law: many clean samples are tied near 0, mislabeled ones
sit near 1. Measured in ``tests/statistics/test_memorization_metrics.py`` on 300 samples of that kind, all, clean or mislabeled: they cover
93-97 %, where the variance for untied normal data covers 86-91 % (Kendall, Fieller et al. 1957). Where a few outlying
scores carry Pearson's correlation, its interval covers much less; those by rank do not.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats
from noisybench.statistics.intervals import NOTHING, Z95, Estimate, wilson

ROUNDING = 1e-12
FEWEST = 3  # samples of a correlation; two always lie on a line


class Compared(NamedTuple):
    """The samples of one stratum.

    Attributes:
        scores: Shape (n,), higher is more suspicious.
        memorization: Shape (n,), no NaN.
        reliability: Of the memorization of these samples, see ``memorization.reliability``.
        held_out_error: Shape (n,), no NaN; empty unless the metric asks for it.
    """

    scores: Floats
    memorization: Floats
    reliability: float
    held_out_error: Floats


# Correlations. Each comes with every sample's influence on it, from which its interval follows.


class Correlation(NamedTuple):
    """A correlation and how each sample moves it: (), (n,), the influences summing to zero."""

    value: float
    influence: Floats


def pearson(compared: Compared) -> Estimate:
    """Pearson's correlation. It listens to the two clusters, mislabeled and clean, and to outliers."""
    return _estimate(_pearson(compared.scores, compared.memorization))


def spearman(compared: Compared) -> Estimate:
    """Spearman's rank correlation, ties sharing their mean rank."""
    return _estimate(_spearman(compared.scores, compared.memorization))


def spearman_corrected(compared: Compared) -> Estimate:
    """Spearman's correlation divided by the root of the reliability, and so its interval; it may pass 1.

    Right for scores from other models than the truth's, but the reliability is that of the values and not of their
    ranks, and is taken as known: in simulations it is off by up to .04, upwards where many samples are near 0.

    Source: Spearman 1904, doi:10.2307/1412159.
    """
    if not compared.reliability > 0:
        return NOTHING
    return Estimate(*(end / compared.reliability**0.5 for end in spearman(compared)))


def kendall(compared: Compared) -> Estimate:
    """Kendall's τ-b: concordant − discordant pairs, over √(pairs not tied in scores × pairs not tied in memorization).

    Source: Kendall 1945, doi:10.1093/biomet/33.3.239.
    """
    return _estimate(_kendall(compared.scores, compared.memorization))


def cosine(compared: Compared) -> Estimate:
    """Cosine of the angle between scores and memorization; to be read against its two nulls."""
    return _estimate(_cosine(compared.scores, compared.memorization))


def cosine_constant(compared: Compared) -> Estimate:
    """Cosine of the same positive number for every sample with memorization: the first null of the cosine."""
    return _null(_cosine(np.ones_like(compared.memorization), compared.memorization))


def cosine_permuted(compared: Compared) -> Estimate:
    """Mean cosine over all permutations of the scores, the second null: the product of both sides' cosines with 1."""
    ones = np.ones_like(compared.scores)
    sides = [_cosine(ones, side) for side in (compared.scores, compared.memorization)]
    return Estimate(float(np.prod([side.value for side in sides])), np.nan, np.nan)


def partial_spearman(compared: Compared) -> Estimate:
    """Spearman's correlation of what the ranks of the held-out error leave of both sides' ranks.

    Once every sample is fitted, memorization is nearly the held-out error; this is what agreement adds to it.

    Source: Yule 1907, doi:10.1098/rspa.1907.0028 (partial correlation).
    """
    return _estimate(_partial_spearman(compared))


def overlap(percent: float, compared: Compared) -> Estimate:
    """Share of the ``percent`` % most suspicious samples that are among as many most memorized ones.

    Ties on either side count at their expectation. Interval: Wilson, as of so many independent draws; it is too wide
    (98-100 % in the simulation above).
    """
    count = share_count(len(compared.scores), percent)
    if not count:
        return NOTHING
    both = float(chance_of_top(compared.scores, count) @ chance_of_top(compared.memorization, count))
    return wilson(min(both / count, 1.0), count)


def overlap_chance(percent: float, compared: Compared) -> Estimate:
    """Mean overlap over all permutations of the scores: the share of the samples that is taken."""
    n = len(compared.scores)
    return Estimate(share_count(n, percent) / n, np.nan, np.nan) if n else NOTHING


def _pearson(x: Floats, y: Floats) -> Correlation:
    if not (_varies(x) and _varies(y)):
        return _unknown(len(x))
    # Scaled first, so that no square overflows.
    return _cosine(*(side - side.mean() for side in (x / np.abs(x).max(), y / np.abs(y).max())))


def _cosine(x: Floats, y: Floats) -> Correlation:
    if len(x) < FEWEST or not (x.any() and y.any()):
        return _unknown(len(x))
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return _ratio(x * y, x * x, y * y, degree=1)


def _spearman(x: Floats, y: Floats) -> Correlation:
    if not (_varies(x) and _varies(y)):
        return _unknown(len(x))
    # One more sample also moves the ranks of those above it: what it does to them is summed from above.
    (a, above_x), (b, above_y) = _ranked(x), _ranked(y)
    return _ratio(a * b + above_x(b) + above_y(a), a * a + 2 * above_x(a), b * b + 2 * above_y(b), degree=3)


def _kendall(x: Floats, y: Floats) -> Correlation:
    if not (_varies(x) and _varies(y)):
        return _unknown(len(x))
    # Ties cancel: each of the four takes the earlier of two tied samples as below, whatever the sign.
    concordance = _below(x, y) + _below(-x, -y) - _below(x, -y) - _below(-x, y)
    return _ratio(concordance / len(x), _untied(x), _untied(y), degree=2)


def _partial_spearman(compared: Compared) -> Correlation:
    x, y, z = compared.scores, compared.memorization, compared.held_out_error
    xy, xz, yz = _spearman(x, y), _spearman(x, z), _spearman(y, z)
    a, b, c = xy.value, xz.value, yz.value
    if not (b * b < 1 - ROUNDING and c * c < 1 - ROUNDING):  # NaN, or nothing is left of one side
        return _unknown(len(x))
    scale = np.sqrt((1 - b * b) * (1 - c * c))
    slopes = 1 / scale, (a * b - c) / ((1 - b * b) * scale), (a * c - b) / ((1 - c * c) * scale)
    influence = slopes[0] * xy.influence + slopes[1] * xz.influence + slopes[2] * yz.influence
    return Correlation((a - b * c) / scale, influence)


def _spearman_corrected(compared: Compared) -> Correlation:
    found = _spearman(compared.scores, compared.memorization)
    if not compared.reliability > 0:
        return _unknown(len(compared.scores))
    return Correlation(*(part / compared.reliability**0.5 for part in found))


_INFLUENTIAL: dict[str, Callable[[Compared], Correlation]] = {
    "spearman": lambda compared: _spearman(compared.scores, compared.memorization),
    "spearman_corrected": _spearman_corrected,
    "kendall": lambda compared: _kendall(compared.scores, compared.memorization),
    "pearson": lambda compared: _pearson(compared.scores, compared.memorization),
    "cosine": lambda compared: _cosine(compared.scores, compared.memorization),
    "partial_spearman": _partial_spearman,
}


def correlation_influence(metric: str, compared: Compared) -> Floats | None:
    """Influence of each sample on a correlation, scaled such that the sum of squares is its variance: (n,).

    None of a metric that is no correlation, or has no value.
    """
    compute = _INFLUENTIAL.get(metric)
    found = None if compute is None else compute(compared)
    n = len(compared.scores)
    if found is None or np.isnan(found.value) or n <= FEWEST:
        return None
    return found.influence / np.sqrt(n * (n - FEWEST))


def _ratio(product: Floats, left: Floats, right: Floats, *, degree: int) -> Correlation:
    """mean(product) / √(mean(left) mean(right)), of means over samples, pairs or triples, projected on samples."""
    p, q = left.mean(), right.mean()
    scale = np.sqrt(p * q)
    value = float(product.mean() / scale)
    return Correlation(value, degree * (product / scale - value / 2 * (left / p + right / q)))


def _estimate(found: Correlation) -> Estimate:
    value, n = float(np.clip(found.value, -1, 1)), len(found.influence)
    if np.isnan(value) or n <= FEWEST:
        return Estimate(value, np.nan, np.nan)
    spread = 1 - value * value
    if spread < ROUNDING:
        return Estimate(value, value, value)
    # n (n − 3), as in Fisher's variance, for n²: what the influences do not show of so few samples.
    reach = Z95 * np.sqrt(np.sum(found.influence**2) / (n * (n - 3))) / spread
    low, high = np.tanh(np.arctanh(value) + np.array([-reach, reach]))
    return Estimate(value, float(low), float(high))


def _unknown(n: int) -> Correlation:
    return Correlation(np.nan, np.zeros(n))


def _null(found: Correlation) -> Estimate:
    return Estimate(found.value, np.nan, np.nan)  # it is no detector's, and has no interval


def _varies(values: Floats) -> bool:
    return len(values) >= FEWEST and bool(values.min() < values.max())


def _ranked(values: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Midranks as fractions less one half, (n,), and the function (n,) → (n,) that sums over the samples above.

    The sum is divided by n, and tied samples count half.
    """
    n = len(values)
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)

    def above(weights: Floats) -> Floats:
        sums = np.bincount(group, weights)
        return ((sums[::-1].cumsum()[::-1] - sums / 2) / n)[group]

    return ((sizes.cumsum() - sizes / 2) / n - 0.5)[group], above


def _untied(values: Floats) -> Floats:
    """Share of the samples that each differs from, (n,) → (n,)."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (1 - sizes / len(values))[group]


def _below(x: Floats, y: Floats) -> NDArray[np.int64]:
    """How many samples are below each on both sides, (n,), (n,) → (n,), in O(n log n); tied, the earlier is below.

    Ranks by x, listed in the order of y, are sorted by one bit after the other, from the highest down: those whose
    bit is 0 pass those whose bit is 1 and stand before them in the list are below these on both sides.
    """
    n = len(x)
    index = np.arange(n)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(x, kind="stable")] = index
    listed = rank[np.argsort(y, kind="stable")]
    count = np.zeros(n, dtype=np.int64)  # by rank
    for bit in reversed(range(n.bit_length())):
        low = (listed >> bit) & 1 == 0
        start = listed >> (bit + 1) << (bit + 1)  # of its block, in ranks and in the list alike
        passed = np.concatenate([[0], low.cumsum()])
        lows = passed[:-1] - passed[start]  # before it in its block
        count[listed[~low]] += lows[~low]
        target = np.where(low, start + lows, index - lows + (1 << bit))
        sorted_ = np.empty_like(listed)
        sorted_[target] = listed
        listed = sorted_
    return count[rank]


def share_count(n: int, percent: float) -> int:
    """``percent`` % of ``n`` samples, at least one if there is any."""
    return min(n, max(1, round(n * percent / 100)))


def chance_of_top(values: Floats, count: int) -> Floats:
    """Chance of each sample to be among the ``count`` highest when ties are broken at random, shape (n,)."""
    if not count:
        return np.zeros(len(values))
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    above, tied = values > threshold, values == threshold
    return np.where(tied, (count - above.sum()) / tied.sum(), above)
