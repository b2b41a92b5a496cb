"""Influences: how much each sample moves a metric, scaled such that its variance over samples is the sum of their squares.

With influences ψ and φ of two detectors on the same samples, Σ ψφ is the covariance of their values, so that what the
samples do to both is told from what they do to one. The numbers of wrong and of right labels are held, as DeLong holds
them. A sample that is one of its kind shows no spread, and has none here.

Source: DeLong et al. 1988, doi:10.2307/2531595 (placements); Hampel 1974, doi:10.1080/01621459.1974.10482962 (influence).
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.statistics.memorization_metrics import chance_of_top, share_count
from noisybench.statistics.ranking import rank

Influence: TypeAlias = Callable[[Floats, Bools, Labels], Floats]
"""Scores, which labels are wrong, and given labels, each (n,) → influence of each sample, (n,); both kinds are there."""


def auroc_influence(values: Floats, wrong: Bools, given: Labels) -> Floats:  # noqa: ARG001 - every influence takes these
    """Placement of each sample less the AUROC, by the root of m (m - 1) or n (n - 1): (n,).

    The sum of squares is DeLong's variance, and that of products his covariance.
    """
    ranking = rank(values, wrong)
    high, low = (_share_below(part) for part in (ranking.right, ranking.wrong))
    steps = np.repeat(np.arange(len(high)), ranking.wrong + ranking.right)
    result = np.empty(len(values))
    result[ranking.order] = np.where(wrong[ranking.order], high[steps], -low[steps])
    for kind in (wrong, ~wrong):
        result[kind] = _by_kind(result[kind])
    return result


def auroc_within_class_influence(values: Floats, wrong: Bools, given: Labels) -> Floats:
    """Influence on the mean AUROC over the given classes that hold both kinds; 0 of samples of other classes: (n,)."""
    result = np.zeros(len(values))
    order = np.argsort(given, kind="stable")
    classes = 0
    for members in np.split(order, np.flatnonzero(np.diff(given[order])) + 1):
        if wrong[members].any() and not wrong[members].all():
            result[members] = auroc_influence(values[members], wrong[members], given[members])
            classes += 1
    return result / max(classes, 1)


def average_precision_influence(values: Floats, wrong: Bools, given: Labels) -> Floats:  # noqa: ARG001
    """Influence on average precision, tied samples being one step: (n,).

    A wrong label counts by the precision at its score, and by what it does to the precision at lower ones; a right label
    by the latter alone.
    """
    _, step = np.unique(-values, return_inverse=True)  # 0 is the highest score
    found, alarms = np.bincount(step, wrong), np.bincount(step, ~wrong)
    true, flagged = found.cumsum(), (found + alarms).cumsum()
    m, n = found.sum(), alarms.sum()
    precision = true / flagged
    by_true = found * (flagged - true) / flagged**2  # of the precision at each step, times the wrong labels in it
    by_false = found * true / flagged**2
    below_true, below_false = (part[::-1].cumsum()[::-1][step] for part in (by_true, by_false))
    moved = np.where(wrong, precision[step] + below_true, -(n / m) * below_false)
    result = np.empty(len(values))
    for kind in (wrong, ~wrong):
        result[kind] = _by_kind(moved[kind])
    return result


def average_precision_normalised_influence(values: Floats, wrong: Bools, given: Labels) -> Floats:
    """Influence on average precision above chance, the share of wrong labels being held: (n,)."""
    return average_precision_influence(values, wrong, given) / (1 - wrong.mean())


def false_negative_rate_influence(values: Floats, wrong: Bools, given: Labels) -> Floats:  # noqa: ARG001
    """Influence on the share of wrong labels missed when as many samples are flagged as are wrong: (n,)."""
    count = int(wrong.sum())
    return -_hits_influence(values, wrong, count) / count


def precision_at_true_count_influence(values: Floats, wrong: Bools, given: Labels) -> Floats:
    """Influence on the share of wrong labels among as many flags as are wrong: (n,)."""
    return -false_negative_rate_influence(values, wrong, given)


def precision_at_influence(percent: float, values: Floats, wrong: Bools, given: Labels) -> Floats:  # noqa: ARG001
    """Influence on the share of wrong labels among the ``percent`` % most suspicious: (n,)."""
    count = share_count(len(values), percent)
    return _hits_influence(values, wrong, count) / count


def suggestion_influence(suggested: Labels, right: Labels) -> Floats:
    """Influence on the share of wrong labels in whose place the right class is suggested: (m,), (m,) → (m,)."""
    return _by_kind((suggested == right).astype(np.float64))


def _by_kind(parts: Floats) -> Floats:
    """What each sample of a kind adds to a mean over it, such that the sum of squares is the variance of that mean."""
    m = len(parts)
    if m == 1:
        return np.zeros(1)
    return (parts - parts.mean()) / np.sqrt(m * (m - 1))


def _share_below(others: Labels) -> Floats:
    """Share of the others below each step of a ranking, a tie counting one half; others at each step, highest first: (u,) → (u,)."""
    sums = others.cumsum()
    return (2 * (sums[-1] - sums) + others) / (2 * sums[-1])


def _hits_influence(values: Floats, wrong: Bools, count: int) -> Floats:
    """Influence on the wrong labels among the ``count`` highest scores: (n,).

    The threshold moves with the samples: one more that is flagged pushes out one at the threshold, which is wrong with the
    share λ of wrong labels there. λ is that of the samples next to the threshold, √n on either side and all that are tied
    with these: an approximation, which matters little where λ hardly changes about the threshold.
    """
    n = len(values)
    ordered = np.sort(values)
    reach = int(np.ceil(np.sqrt(n)))
    ends = ordered[max(n - count - reach, 0)], ordered[min(n - count + reach, n) - 1]
    share = float(wrong[(values >= ends[0]) & (values <= ends[1])].mean())
    flagged = chance_of_top(values, count)
    result = np.empty(n)
    for kind, moved in ((wrong, 1 - share), (~wrong, -share)):
        result[kind] = moved * int(kind.sum()) * _by_kind(flagged[kind])
    return result
