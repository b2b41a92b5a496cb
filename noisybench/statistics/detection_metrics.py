"""Metrics of detection: scores against wrong labels, each with its interval.

Ties count at their expectation under a random tie-break, but for average precision, where scikit-learn takes tied
samples as one step; what cannot be computed is NaN, never 0.
"""

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.statistics.intervals import NOTHING, Estimate, auroc_interval, wilson


def auroc(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001 - every metric takes these
    """Chance that a mislabeled sample scores above a clean one, a tie counting one half.

    The interval is in score form, with the larger of DeLong's variance and Hanley and McNeil's: it covers 92 % and more
    also where few labels are wrong, or where many errors leave no mark in the scores; see ``auroc_interval``.

    Source: DeLong et al. 1988, doi:10.2307/2531595; Sun and Xu 2014, doi:10.1109/LSP.2014.2337313 (by midranks).
    """
    area, variance = _delong(values[mislabeled], values[~mislabeled])
    wrong = int(mislabeled.sum())
    return auroc_interval(area, variance, wrong, len(mislabeled) - wrong)


def auroc_within_class(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:
    """Mean AUROC over the given classes that hold both kinds: what is left when the class alone no longer helps.

    The classes are independent, so each variance of the mean is the sum over them; see ``auroc_interval``.
    """
    order = np.argsort(given, kind="stable")
    areas, variances, counts = [], [], []
    for members in np.split(order, np.flatnonzero(np.diff(given[order])) + 1):
        wrong = mislabeled[members]
        if wrong.any() and not wrong.all():
            area, variance = _delong(values[members[wrong]], values[members[~wrong]])
            areas.append(area)
            variances.append(variance)
            counts.append((wrong.sum(), len(wrong) - wrong.sum()))
    if not areas:
        return NOTHING
    return auroc_interval(float(np.mean(areas)), sum(variances) / len(areas) ** 2, *np.array(counts).T)


def average_precision(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Mean precision over the recall steps, without interpolation; chance is the share of mislabeled samples.

    Interval: Wilson, of as many as are mislabeled. It has Boyd's variance AP (1 − AP) / m. Where 8 to 200 are mislabeled,
    it covers 93 % and more, Boyd's logit interval 81 % and more, which has no width where all are told apart.

    Source: Boyd et al. 2013, doi:10.1007/978-3-642-40994-3_29 (variance).
    """
    from sklearn.metrics import average_precision_score

    return wilson(float(average_precision_score(mislabeled, values)), int(mislabeled.sum()))


def average_precision_normalised(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:
    """Average precision with chance at 0 and perfection at 1: (AP − π) / (1 − π) for a share π of mislabeled."""
    chance = mislabeled.mean()
    return Estimate(*(float((end - chance) / (1 - chance)) for end in average_precision(values, mislabeled, given)))


def false_negative_rate(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Share of mislabeled samples that are missed when exactly as many samples are flagged as are mislabeled.

    One minus precision and one minus recall at that count, which are one number. Interval: Wilson.
    """
    count = int(mislabeled.sum())
    return wilson(1 - _hits(values, mislabeled, count) / count, count)


def precision_at_true_count(values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Share of mislabeled samples among the most suspicious, as many as are mislabeled: precision and recall at that count.

    One minus ``false_negative_rate``. Interval: Wilson.
    """
    count = int(mislabeled.sum())
    return wilson(_hits(values, mislabeled, count) / count, count)


def precision_at(percent: float, values: Floats, mislabeled: Bools, given: Labels) -> Estimate:  # noqa: ARG001
    """Share of mislabeled samples among the ``percent`` % most suspicious, at least one sample. Interval: Wilson."""
    count = max(1, round(len(values) * percent / 100))
    return wilson(_hits(values, mislabeled, count) / count, count)


def _delong(high: Floats, low: Floats) -> tuple[float, float]:
    """P(high > low) + P(tie) / 2 and DeLong's variance of it, in O(n log n)."""
    of_high = _placements(high, low) / len(low)
    of_low = 1 - _placements(low, high) / len(high)
    area = float(of_high.mean())
    return area, sum(_variance_of_mean(part, area) for part in (of_high, of_low))


def _placements(values: Floats, others: Floats) -> Floats:
    """How many of the others are lower than each value, a tie counting one half, shape (n,): a difference of midranks."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def _variance_of_mean(parts: Floats, mean: float) -> float:
    # One sample shows no spread; the largest that a variable in [0, 1] of this mean can have stands in for it.
    return float(parts.var(ddof=1)) / len(parts) if len(parts) > 1 else mean * (1 - mean)


def _hits(values: Floats, mislabeled: Bools, count: int) -> float:
    """Mislabeled samples expected among the ``count`` highest scores when ties are broken at random."""
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    above, tied = values > threshold, values == threshold
    return float(mislabeled[above].sum() + (count - above.sum()) * mislabeled[tied].mean())
