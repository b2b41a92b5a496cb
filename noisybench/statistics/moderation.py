"""Moderated t: variances of paired differences that borrow from each other, where draws or seeds are few.

With three draws a difference has a variance on two degrees of freedom, and Student's t needs 4.3 standard errors at 5 %,
20.6 shared by 55 pairs. If variances of pairs are alike, as draws from one inverse χ² law, each may be drawn towards
what is common to all; it then has more degrees of freedom. It is an option, since it takes the variances to be alike: so
the differences are of logit AUROCs, whose variance hardly depends on the AUROC, and rows that are one ranking under
several names, whose differences never vary, stand once.

Measured on equal detectors, 3, 4 and 11 rows with 2, 3 and 5 draws, equal variances and variances up to sixteen times each
other, 800 boards each: a false difference stands on 1 to 6 % of the boards. Where rows are nearly the same two by two and
there are two draws, it is 8 %. Of ten rows that are equal and one that is better by half a logit, the moderated t tells it
from 6.4 to 9.3 others with three draws, Student's t from 0.3.

Source: Smyth 2004, doi:10.2202/1544-6115.1027 (sections 4 and 6.2).
"""

import math
from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats, Labels
from noisybench.statistics.column_means import LEVEL

SAME = 1e-9
"""Greatest difference in every draw of rows that are one ranking."""


class Squeezed(NamedTuple):
    """Variances that borrowed from each other.

    Attributes:
        variances: Shape (g,).
        freedom: Degrees of freedom of each; infinite where the variances differ no more than chance lets them.
        prior: What each was drawn towards.
        prior_freedom: How strongly, in degrees of freedom.
    """

    variances: Floats
    freedom: float
    prior: float
    prior_freedom: float


def squeeze(variances: Floats, freedom: float) -> Squeezed:
    """Variances drawn towards what is common to all, by the moments of their logarithms: shape (g,), each above 0.

    Fewer than three variances borrow nothing.
    """
    from scipy.special import polygamma, psi

    if len(variances) < 3:  # noqa: PLR2004 - a spread of logarithms that means something
        return Squeezed(variances, freedom, math.nan, 0.0)
    logs = np.log(variances) - psi(freedom / 2) + math.log(freedom / 2)
    beyond = float(logs.var(ddof=1) - polygamma(1, freedom / 2))
    if beyond <= 0:
        prior = float(np.exp(logs.mean()))
        return Squeezed(np.full_like(variances, prior), math.inf, prior, math.inf)
    strength = 2 * _inverse_trigamma(beyond)
    prior = float(np.exp(logs.mean() + psi(strength / 2) - math.log(strength / 2)))
    together = (strength * prior + freedom * variances) / (strength + freedom)
    return Squeezed(together, freedom + strength, prior, strength)


def moderated_rank_sets(areas: Floats, *, level: float = LEVEL) -> list[tuple[int, int, int]]:
    """Rank, and best and worst rank in the confidence set, of AUROCs on the same draws: shape (p, u), u draws or seeds.

    As ``comparisons.rank_sets``: all pairs are compared, simultaneously at ``level`` by Bonferroni, here by moderated t on
    the logit scale. An AUROC of 0 or 1 counts as half the smallest distance to it that there is.
    """
    from scipy.special import stdtrit

    p, u = areas.shape
    first = one_ranking(areas)
    kept = np.unique(first)
    values = _logits(areas)
    means = values.mean(1)
    ranks = [int(1 + (areas.mean(1) > mean).sum()) for mean in areas.mean(1)]
    if u < 2 or len(kept) < 2:  # noqa: PLR2004 - a pair
        return [(rank, 1, p) for rank in ranks]
    a, b = (kept[part] for part in np.triu_indices(len(kept), 1))
    variances = (values[a] - values[b]).var(axis=1, ddof=1)
    varied = variances > 1e-12 * values.var()  # a difference that never varied has an unknown spread
    found = squeeze(variances[varied], u - 1.0)
    reach = np.full(len(a), np.inf)
    freedom = min(found.freedom, (u - 1.0) * (len(kept) - 1))  # pairs of few rows know no more than the rows
    quantile = float(stdtrit(freedom, 1 - level / len(a) / 2)) if varied.any() else math.inf
    reach[varied] = quantile * np.sqrt(found.variances / u)
    better = np.zeros((p, p), dtype=bool)
    gain = means[a] - means[b]
    better[a, b], better[b, a] = gain > reach, gain < -reach
    better = better[np.ix_(first, first)]
    return [(rank, int(1 + better[:, i].sum()), int(p - better[i].sum())) for i, rank in enumerate(ranks)]


def one_ranking(areas: Floats) -> Labels:
    """For each row the first that has the same AUROC in every draw, shape (p, u) → (p,): one ranking under several names."""
    same = (np.abs(areas[:, None] - areas[None]) <= SAME).all(2)
    return np.argmax(same, axis=1)


def _logits(areas: Floats) -> Floats:
    """Log odds, shape (p, u)."""
    distance = np.minimum(areas, 1 - areas)
    least = float(distance[distance > 0].min(initial=0.5)) / 2
    inner = np.clip(areas, least, 1 - least)
    return np.log(inner / (1 - inner))


def _inverse_trigamma(value: float) -> float:
    """The x at which the trigamma function is ``value`` > 0, by Newton's steps on its reciprocal.

    Source: Smyth 2004, appendix.
    """
    from scipy.special import polygamma

    if value > 1e7:  # noqa: PLR2004 - its limits
        return 1 / math.sqrt(value)
    if value < 1e-6:  # noqa: PLR2004
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        now = float(polygamma(1, x))
        step = now * (1 - now / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
