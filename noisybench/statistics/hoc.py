"""Transition matrix and class shares from how often neighbours have which labels, where they share their true class."""

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels, check_labels
from noisybench.ground.checks import check_room
from noisybench.ground.errors import BadData

STEPS = 500
"""Steps of Adam, at ``STEP_SIZE``; the best of all is taken."""
STEP_SIZE = 0.1
DECAYS = (0.9, 0.999)
"""Weights of what Adam remembers of the gradients, and of their squares."""
CELLS = 2**22
"""Numbers at a time that triples of labels make with the classes."""
TINY = 1e-8
"""Addend below the step of Adam."""
SMOOTH = 1e-16
"""Addend below the square roots of the mismatches, so that each has a slope at 0."""
START = 5.0
"""Logits of the diagonal above those of other labels, from which the transition matrix starts."""
LEAST, MOST = 0.05, 0.95
"""Bounds of the share of right labels of a class."""


class Consensus(NamedTuple):
    """What the labels of samples and of their two nearest others say of noise.

    Attributes:
        transition: P(label | true class), rows that sum to 1, shape (k, k).
        prior: Share of each true class, shape (k,).
        right: P(true class = j | label j), in [``LEAST``, ``MOST``], shape (k,).
        mismatch: Sum of the three mismatches that is left.
    """

    transition: Floats
    prior: Floats
    right: Floats
    mismatch: float


def estimate_consensus(labels: Labels, two_nearest: Labels, num_classes: int) -> Consensus:
    """Transition matrix and prior that explain the labels of (sample, nearest, second nearest): (n,) and (n, 2).

    Where the three share their true class and were mislabeled independently, with one matrix T and shares p of the
    classes, the frequencies of one label are pᵀT, of a pair Σ_y p_y T_ya T_yb and of a triple Σ_y p_y T_ya T_yb T_yc. T
    and p are those with the least sum of the three Euclidean norms of the differences from what was counted; both are
    softmaxes of logits, that of T starting at 5 I - 1, that of p alike for all. Minimised by Adam with the exact gradient,
    as the authors do: L-BFGS leaves the sum of norms, which have no curvature at 0, far above its least. All samples are
    counted once, where the authors count random subsets and draw the start of p, so that nothing is drawn. The norms of third order need no array of k³ numbers: ‖Σ_y p_y T_y⊗T_y⊗T_y‖² = Σ_yz p_y p_z (T_y·T_z)³.

    Where the two nearest others do not share the true class (``vicinity.share_of_one_class`` says how often they do,
    where truth is known), the estimate takes the difference for noise.

    Args:
        labels: Given labels, shape (n,).
        two_nearest: See ``Vicinity``; samples that lack one are left out.
        num_classes: Classes that there are.

    Raises:
        BadData: No sample has two others.
        BadUsage: More classes than fit in memory.

    Source: Zhu, Song and Liu 2021, arXiv:2102.05291, equations 6 to 8.
    """
    labels = check_labels(labels, num_classes)
    check_room(num_classes, num_classes, "a transition matrix", "leave out what asks for one")
    k = num_classes
    whole = (two_nearest >= 0).all(1)
    if not whole.any():
        msg = "no sample has two others outside its group, which are needed to tell how neighbours agree"
        raise BadData(msg)
    triples = np.column_stack([labels, labels[two_nearest]])[whole]
    counted = _Counted.of(triples, k)
    start = np.concatenate([(START * np.eye(k) - 1).ravel(), np.zeros(k)])
    logits, mismatch = _least(start, counted, k)
    transition, prior = _softmax(logits[: k * k].reshape(k, k)), _softmax(logits[k * k :])
    given = prior @ transition
    right = np.clip(prior * transition.diagonal() / np.maximum(given, np.finfo(np.float64).tiny), LEAST, MOST)
    return Consensus(transition, prior, right, mismatch)


def ranks_above_right(votes: NDArray[Any], labels: Labels, right: Floats) -> Floats:
    """Rank within its class of each label by how few votes it has, less the share of right labels: → (n,), in [-1, 1].

    Above 0 are as many of each class as its share of wrong labels says. Ties share their rank.

    Args:
        votes: For each class, shape (n, k).
        labels: Given labels, shape (n,).
        right: Share of right labels of each class, shape (k,).

    Source: Zhu, Dong and Liu 2022, arXiv:2110.06283, section 3 (the form that ranks).
    """
    from scipy.stats import rankdata

    of_given = np.take_along_axis(votes.astype(np.float64), labels[:, None], axis=1)[:, 0]
    ranks = np.empty(len(labels))
    for label in np.unique(labels):
        own: Bools = labels == label
        ranks[own] = (rankdata(-of_given[own].round(6)) - 0.5) / own.sum() - right[label]
    return ranks


class _Counted(NamedTuple):
    """Shares of labels, of pairs and of triples, each once."""

    single: Floats
    pairs: Labels
    of_pairs: Floats
    triples: Labels
    of_triples: Floats

    @classmethod
    def of(cls, triples: Labels, k: int) -> "_Counted":
        m = len(triples)
        pairs, in_pairs = np.unique(triples[:, :2], axis=0, return_counts=True)
        different, in_triples = np.unique(triples, axis=0, return_counts=True)
        return cls(np.bincount(triples[:, 0], minlength=k) / m, pairs, in_pairs / m, different, in_triples / m)


def _softmax(logits: Floats) -> Floats:
    raised: Floats = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def _least(logits: Floats, counted: _Counted, k: int) -> tuple[Floats, float]:
    """The best logits on the way of Adam from where they start, and the mismatch there."""
    best, least = logits, np.inf
    slope, square = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(1, STEPS + 1):
        loss, gradient = _mismatch(logits, counted, k)
        if loss < least:
            best, least = logits, loss
        slope = DECAYS[0] * slope + (1 - DECAYS[0]) * gradient
        square = DECAYS[1] * square + (1 - DECAYS[1]) * gradient**2
        scaled = slope / (1 - DECAYS[0] ** step) / (np.sqrt(square / (1 - DECAYS[1] ** step)) + TINY)
        logits = logits - STEP_SIZE * scaled
    return best, least


def _mismatch(logits: Floats, counted: _Counted, k: int) -> tuple[float, Floats]:
    """Sum of the three norms, and its gradient with respect to the logits of T and p, shape (k² + k,)."""
    t, p = _softmax(logits[: k * k].reshape(k, k)), _softmax(logits[k * k :])
    apart = p @ t - counted.single
    first = float(np.sqrt(apart @ apart + SMOOTH))
    loss, in_t, in_p = first, p[:, None] * apart / first, t @ apart / first
    gram = t @ t.T
    for order, labels, shares in ((2, counted.pairs, counted.of_pairs), (3, counted.triples, counted.of_triples)):
        power, outer = gram**order, np.outer(p, p)
        cross, cross_t, cross_p = _cross(t, p, labels, shares)
        square = float(shares @ shares) - 2 * cross + float((outer * power).sum())
        norm = float(np.sqrt(max(square, 0.0) + SMOOTH))
        loss += norm
        in_p = in_p + (power @ p - cross_p) / norm
        in_t = in_t + (order * (outer * gram ** (order - 1)) @ t - cross_t) / norm
    back_t = t * (in_t - (in_t * t).sum(1, keepdims=True))
    back_p = p * (in_p - in_p @ p)
    return loss, np.concatenate([back_t.ravel(), back_p])


def _cross(t: Floats, p: Floats, labels: Labels, shares: Floats) -> tuple[float, Floats, Floats]:
    """Σ of shares times what T and p give for the labels (m, order), and its derivatives by T and p."""
    k = len(p)
    total, by_p = 0.0, np.zeros_like(p)
    by_t: NDArray[Any] = np.zeros(k * k)
    step = max(1, CELLS // k)
    for start in range(0, len(labels), step):
        some, weights = labels[start : start + step], shares[start : start + step]
        factors = [np.take(t, column, axis=1) for column in some.T]
        product = reduce(np.multiply, factors) @ weights
        total += float(p @ product)
        by_p += product
        cells, parts = [np.arange(k * k)], [by_t]
        for i in range(len(factors)):
            others = reduce(np.multiply, [factor for j, factor in enumerate(factors) if j != i])
            cells.append((np.arange(k)[:, None] * k + some[:, i]).ravel())
            parts.append((p[:, None] * others * weights).ravel())
        by_t = np.bincount(np.concatenate(cells), np.concatenate(parts))
    return total, by_t.reshape(k, k), by_p
