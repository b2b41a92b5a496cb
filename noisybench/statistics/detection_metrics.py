"""Metrics of detection: scores against wrong labels, each with its interval.

Each takes a ranking, which is made once for all of them. Ties count at their expectation under a random tie-break, but
for average precision, where tied samples are one step, as in scikit-learn; what cannot be computed is NaN, never 0.
"""

import numpy as np

from noisybench.ground.arrays import Floats, Labels
from noisybench.statistics.intervals import NOTHING, Estimate, auroc_interval, wilson
from noisybench.statistics.ranking import RankedScores, strata


def auroc(ranking: RankedScores) -> Estimate:
    """Chance that a mislabeled sample scores above a clean one, a tie counting one half.

    The interval is in score form, with the larger of DeLong's variance and Hanley and McNeil's: it covers 92 % and more
    also where few labels are wrong, or where many errors leave no mark in the scores; see ``auroc_interval``.

    Source: DeLong et al. 1988, doi:10.2307/2531595; Sun and Xu 2014, doi:10.1109/LSP.2014.2337313 (by midranks).
    """
    (area,), (variance,) = _delong(ranking.wrong, ranking.right, np.zeros(1, dtype=np.int64))
    return auroc_interval(float(area), float(variance), int(ranking.wrong.sum()), int(ranking.right.sum()))


def auroc_within_class(ranking: RankedScores) -> Estimate:
    """Mean AUROC over the given classes that hold both kinds: what is left when the class alone no longer helps.

    The classes are independent, so each variance of the mean is the sum over them; see ``auroc_interval``.
    """
    wrong, right, first = strata(ranking)
    if not len(first):
        return NOTHING
    areas, variances = _delong(wrong, right, first)
    counts = np.add.reduceat(wrong, first), np.add.reduceat(right, first)
    return auroc_interval(float(areas.mean()), float(variances.sum()) / len(areas) ** 2, *counts)


def average_precision(ranking: RankedScores) -> Estimate:
    """Mean precision over the recall steps, without interpolation; chance is the share of mislabeled samples.

    Interval: Wilson, of as many as are mislabeled. It has Boyd's variance AP (1 − AP) / m. Where 8 to 200 are mislabeled,
    it covers 92 % and more, Boyd's logit interval 81 % and more, which has no width where all are told apart.

    Source: Boyd et al. 2013, doi:10.1007/978-3-642-40994-3_29 (variance).
    """
    wrong, true = ranking.wrong, ranking.wrong.cumsum()
    precision = true / (true + ranking.right.cumsum())
    return wilson(float((wrong * precision).sum()) / int(true[-1]), int(true[-1]))


def average_precision_normalised(ranking: RankedScores) -> Estimate:
    """Average precision with chance at 0 and perfection at 1: (AP − π) / (1 − π) for a share π of mislabeled."""
    chance = ranking.mislabeled.mean()
    return Estimate(*(float((end - chance) / (1 - chance)) for end in average_precision(ranking)))


def false_negative_rate(ranking: RankedScores) -> Estimate:
    """Share of mislabeled samples that are missed when exactly as many samples are flagged as are mislabeled.

    One minus precision and one minus recall at that count, which are one number. Interval: Wilson.
    """
    count = int(ranking.wrong.sum())
    return wilson(1 - ranking.hits(count) / count, count)


def precision_at_true_count(ranking: RankedScores) -> Estimate:
    """Share of mislabeled samples among the most suspicious, as many as are mislabeled: precision and recall at that count.

    One minus ``false_negative_rate``. Interval: Wilson.
    """
    count = int(ranking.wrong.sum())
    return wilson(ranking.hits(count) / count, count)


def precision_at(percent: float, ranking: RankedScores) -> Estimate:
    """Share of mislabeled samples among the ``percent`` % most suspicious, at least one sample. Interval: Wilson."""
    count = max(1, round(len(ranking.order) * percent / 100))
    return wilson(ranking.hits(count) / count, count)


def _delong(wrong: Labels, right: Labels, first: Labels) -> tuple[Floats, Floats]:
    """P(high > low) + P(tie) / 2 and DeLong's variance of it, in each stratum: (s,), (s,).

    Args:
        wrong: Mislabeled samples at each step, the highest score of a stratum first, shape (u,).
        right: The others, shape (u,).
        first: The first step of each stratum, shape (s,); each holds both kinds.
    """
    sizes = np.diff(np.append(first, len(wrong)))
    wrongs, rights = np.add.reduceat(wrong, first), np.add.reduceat(right, first)
    wrong_above, right_above = (
        part.cumsum() - part - np.repeat(part.cumsum()[first] - part[first], sizes) for part in (wrong, right)
    )
    # Twice the samples of the other kind that are on the right side, whole numbers: what they sum to is exact.
    below = 2 * (np.repeat(rights, sizes) - right_above) - right
    above = 2 * wrong_above + wrong
    areas = np.add.reduceat(wrong * below, first) / (2 * wrongs * rights)
    of_wrong = _variance_of_mean(below / np.repeat(2 * rights, sizes), wrong, areas, first)
    return areas, of_wrong + _variance_of_mean(above / np.repeat(2 * wrongs, sizes), right, areas, first)


def _variance_of_mean(parts: Floats, weights: Labels, means: Floats, first: Labels) -> Floats:
    """Variance of the mean of parts in each stratum, each part counting as often as it weighs: (s,)."""
    counts = np.add.reduceat(weights, first)
    sizes = np.diff(np.append(first, len(parts)))
    squares = np.add.reduceat(weights * (parts - np.repeat(means, sizes)) ** 2, first)
    # One sample shows no spread; the largest that a variable in [0, 1] of this mean can have stands in for it.
    return np.where(counts > 1, squares / (np.maximum(counts - 1, 1) * counts), means * (1 - means))
