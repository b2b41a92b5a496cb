"""The harm of a wrong label that is learnt by heart: its cost by how often an instance occurs, and theorems on treatments.

A finite domain: each instance x has a mass D(x), and occurs l times among n independent samples, each time with a label
that is wrong with probability e. The paper's *memorizer* answers with the shares of these l labels (which has nothing to do
with the measured quantity of Feldman and Zhang, ``memorize``). It errs at x with the empirical wrong share, and that costs
this share times what D(x) is expected to be given l, the posterior mass τ_l.

Source: Liu 2021, arXiv:2102.05336 (set-up, theorems 2, 7 and 8), after Feldman 2020, arXiv:1906.05271.
"""

import math
from collections.abc import Sequence

import numpy as np

from noisybench.ground.arrays import Floats, Labels, as_array, as_labels
from noisybench.ground.checks import check_rate, whole
from noisybench.ground.errors import BadData, BadUsage

LOWER, UPPER = 2 / 3, 4 / 3
"""Ends of the interval of masses in the lower bound, in units of (l − 1)/(n − 1) and of l/n."""


def posterior_mass(masses: Floats, samples: int, copies: Sequence[int] | Labels) -> Floats:
    """Mean mass of an instance that occurs l times, τ_l: masses (N,) and l (c,) → (c,).

    τ_l = E[α^(l+1) (1 − α)^(n−l)] / E[α^l (1 − α)^(n−l)], α uniform among the masses, computed from logarithms.

    Args:
        masses: Of all instances; they sum to 1.
        samples: Draws from the domain, n.
        copies: How often an instance occurs, l, from 0 to n.

    Raises:
        BadData: Masses that are none, or no instance of which could occur that often.
        BadUsage: l is outside 0 … n.
    """
    from scipy.special import xlog1py, xlogy

    alpha, n = _masses(masses), whole(samples, "samples", least=1)
    occurring = _copies(copies, least=0)
    if (occurring > n).any():
        msg = f"copies must lie in 0..{n}, the number of samples, got {occurring.max()}"
        raise BadUsage(msg)
    logs = xlogy(occurring[:, None], alpha) + xlog1py(n - occurring[:, None], -alpha)
    most = logs.max(1, keepdims=True)
    if np.isinf(most).any():
        msg = f"no instance of these masses can occur {occurring[np.isinf(most[:, 0])][0]} times among {n} samples"
        raise BadData(msg)
    weights = np.exp(logs - most)
    found: Floats = (weights @ alpha) / weights.sum(1)
    return found


def mass_lower_bound(masses: Floats, samples: int, copies: Sequence[int] | Labels) -> Floats:
    """The paper's lower bound on τ_l without its constant, l²/n² · weight: (N,) and l (c,) → (c,).

    The weight is the summed mass of the instances whose mass lies in [⅔ (l − 1)/(n − 1), 4l/(3n)]. It depends on l itself, so
    that the bound predicts no slope of 2: what is grown there like l², the weight takes away.

    Source: Liu 2021, arXiv:2102.05336, theorem 2, whose constant is not said; the ends of the interval are quoted at second hand.
    """
    alpha, n = _masses(masses), whole(samples, "samples", least=2)
    occurring = _copies(copies, least=1)
    lower, upper = LOWER * (occurring - 1) / (n - 1), UPPER * occurring / n
    within = (alpha >= lower[:, None]) & (alpha <= upper[:, None])
    found: Floats = (occurring / n) ** 2 * (within @ alpha)
    return found


def majority_wrong(copies: Sequence[int] | Labels, rate: float) -> Floats:
    """P[most of l labels are wrong], half of the ties among them: l (c,) → (c,).

    >>> majority_wrong([1, 3, 5, 9, 17], 0.2).round(3).tolist()
    [0.2, 0.104, 0.058, 0.02, 0.003]
    """
    from scipy.special import bdtrc

    times, e = _copies(copies, least=1), check_rate(rate)
    return np.asarray((failing(times, e) + bdtrc(times // 2, times, e)) / 2, dtype=np.float64)


def failing(copies: Sequence[int] | Labels, rate: float) -> Floats:
    """P[the empirical wrong share is ½ or more], ties among them: l (c,) → (c,); where a correction errs no less.

    >>> failing([1, 2, 3], 0.4).round(3).tolist()
    [0.4, 0.64, 0.352]
    """
    from scipy.special import bdtrc

    times, e = _copies(copies, least=1), check_rate(rate)
    return np.asarray(bdtrc((times + 1) // 2 - 1, times, e), dtype=np.float64)


def helping(copies: Sequence[int] | Labels, rate: float) -> Floats:
    """P[the empirical wrong share is below ½]: l (c,) → (c,); where a correction errs no more."""
    return np.asarray(1 - failing(copies, rate), dtype=np.float64)


def help_bound(copies: Sequence[int] | Labels, rate: float) -> Floats:
    """1 − exp(−2l (½ − e)²) ≤ ``helping``: l (c,) → (c,).

    Source: Liu 2021, arXiv:2102.05336, theorem 7 (Hoeffding's inequality).
    """
    times, e = _copies(copies, least=1), check_rate(rate, highest=0.5)
    return np.asarray(-np.expm1(-2 * times * (0.5 - e) ** 2), dtype=np.float64)


def fail_bound(copies: Sequence[int] | Labels, rate: float) -> Floats:
    """exp(−l · D(½ ‖ e)) / √(2l) ≤ ``failing`` at even l; NaN at odd l, where it is none: l (c,) → (c,).

    The bound is that of the one tie, and an odd l has no tie: at l = 1 and e = .4 it would say .69, and the truth is .4.

    Source: Liu 2021, arXiv:2102.05336, theorem 8; ``fail_formula`` is what it says at any l.
    """
    times = _copies(copies, least=1)
    return np.where(times % 2 == 0, fail_formula(times, rate), math.nan)


def fail_formula(copies: Sequence[int] | Labels, rate: float) -> Floats:
    """exp(−l · D(½ ‖ e)) / √(2l), whether or not it is a bound: l (c,) → (c,)."""
    times, e = _copies(copies, least=1), check_rate(rate, highest=0.5)
    # exp(−D(½ ‖ e)) is 2 √(e (1 − e)).
    return np.asarray((4 * e * (1 - e)) ** (times / 2) / np.sqrt(2 * times), dtype=np.float64)


def corrected_loss_gap(copies: Sequence[int] | Labels, rate: float, num_classes: int) -> Floats:
    """By how much the corrected training loss of a memorizer lies below that of fresh labels: l (c,) → (c,).

    Backward correction is unbiased for a model that does not depend on the labels that it is judged by: its expected loss is
    then the loss under the right labels. A memorizer depends on them. With the probability of an error as the loss, the table
    that answers with the shares P̃ of its own l labels has the corrected loss 1 − Σ_k w_k P̃_k, w = T⁻ᵀ P̃; with c = e/(k − 1),
    w = (P̃ − c)/(1 − ck), and E[Σ P̃²] = Q + (1 − Q)/l where Q = (1 − e)² + (k − 1) c². Under independence it would be e, so that
    the gap is (1 − Q) / (l (1 − ck)): the "memorization paradox", which only many copies heal.

    >>> corrected_loss_gap([1, 10], 0.2, 2).round(4).tolist()
    [0.5333, 0.0533]

    Raises:
        BadUsage: The rate is that of labels that say nothing, (k − 1)/k or more.
    """
    times, k = _copies(copies, least=1), whole(num_classes, "num_classes", least=2)
    other = check_telling(rate, k) / (k - 1)
    same = (1 - rate) ** 2 + (k - 1) * other**2
    return np.asarray((1 - same) / (times * (1 - other * k)), dtype=np.float64)


def check_telling(rate: float, num_classes: int) -> float:
    """``rate``, where labels that are wrong so often still say something of the class.

    Raises:
        BadUsage: It is (k − 1)/k or more: the right class is then no likelier than any other.
    """
    limit = (num_classes - 1) / num_classes
    if check_rate(rate) >= limit:
        msg = f"rate must be below {limit:g}, where labels of {num_classes} classes say nothing, got {rate:g}"
        raise BadUsage(msg)
    return rate


def _masses(masses: Floats) -> Floats:
    """Masses as float64, each in [0, 1], of sum 1."""
    found = as_array(masses, what="masses").astype(np.float64)
    if found.ndim != 1 or not found.size or not (found >= 0).all() or abs(found.sum() - 1) > 1e-9:  # noqa: PLR2004
        msg = f"masses must be numbers of shape (N,), none negative, whose sum is 1, got the sum {found.sum():g}"
        raise BadData(msg)
    return found


def _copies(copies: Sequence[int] | Labels, *, least: int) -> Labels:
    """Numbers of copies as int64, shape (c,)."""
    found = as_labels(copies, what="copies")
    if (found < least).any():
        msg = f"copies must be at least {least}, got {found.min()}"
        raise BadUsage(msg)
    return found
