"""Influences of training samples on test samples, from models on random subsets; the largest, and how many chance gives.

infl(i → j) = P(model right on test sample j | it saw training sample i) - P(… | it did not). All of them are one matrix
product of who was in which subset with who was right in which model, taken a few training samples at a time; counts of
models are exact in float32.

Source: Feldman and Zhang 2020, arXiv:2008.03703, equation 2 and section 3. Numbers by chance are ours: were subsets and
answers paired at random, the hits among the models that saw i would be hypergeometric. Benjamini and Hochberg 1995,
doi:10.1111/j.2517-6161.1995.tb02031.x (q-values).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels, read_only

CELLS = 1 << 21
"""Pairs that are looked at together."""
TIE = 1e-9
"""Difference below which an influence is on the threshold: two shares of some thousand models differ by more, or not."""


@dataclass(frozen=True, slots=True, eq=False)
class LargePairs:
    """Pairs of a training and a test sample whose influence is large, the largest first.

    Attributes:
        train: Training samples, shape (p,).
        test: Test samples, shape (p,).
        influence: Share of models that are right on the test sample and saw the training sample, minus that of those that
            did not see it, shape (p,).
        stderr: Standard error of ``influence``, shape (p,), each share smoothed as that of memorization.
        p_value: Probability of so large an influence of this sign if there were none, shape (p,).
        q_value: Share of pairs without influence that is expected among those of this sign with as small a p-value, at most,
            all pairs compared, shape (p,).
        helps: Pairs in all with at least the influence asked for.
        harms: Pairs in all with at most minus that.
        helps_by_chance: How many of ``helps`` are expected if no sample had influence.
        harms_by_chance: The same of ``harms``.
        compared: Pairs in all.
    """

    train: Labels
    test: Labels
    influence: Floats
    stderr: Floats
    p_value: Floats
    q_value: Floats
    helps: int
    harms: int
    helps_by_chance: float
    harms_by_chance: float
    compared: int


def large_pairs(
    included: Bools, correct: Bools, candidates: Labels, *, least: float, most: int, most_q: float
) -> LargePairs:
    """The largest influences of some training samples on all test samples.

    Args:
        included: Whether the model saw the training sample, shape (m, n).
        correct: Whether it is right on the test sample, shape (m, t).
        candidates: Training samples that are looked at, shape (c,), each seen by some models and not by others.
        least: Absolute influence of a pair that counts.
        most: Pairs that are kept; others are counted alone.
        most_q: Largest q-value of a pair that is kept.
    """
    m, total = len(included), correct.sum(0)
    answers = correct.astype(np.float32)
    helps = harms = 0
    kept: tuple[Labels, Labels, Labels] = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    for some in _blocks(candidates, correct.shape[1]):
        inside = included[:, some]
        hits = inside.astype(np.float32).T @ answers
        influence = _influence(hits, inside.sum(0)[:, None], total, m)
        helps += int((influence >= least - TIE).sum())
        harms += int((influence <= TIE - least).sum())
        rows, tests = np.nonzero(np.abs(influence) >= least - TIE)
        found = some[rows], tests.astype(np.int64), hits[rows, tests].astype(np.int64)
        kept = _largest([np.concatenate(both) for both in zip(kept, found, strict=True)], included, total, most)
    train, test, hits_in = kept
    n_in, right = included.sum(0)[train], total[test]
    compared = len(candidates) * correct.shape[1]
    influence = _influence(hits_in, n_in, right, m)
    p_value = np.where(influence > 0, tail(hits_in, m, right, n_in), tail(right - hits_in, m, right, m - n_in))
    q_value = np.empty(len(train))
    for sign in (influence > 0, influence <= 0):
        q_value[sign] = q_values(p_value[sign], compared)
    listed = q_value <= most_q
    expected = [_expected(included[:, candidates].sum(0), total, m, least, sign) for sign in (1, -1)]
    return LargePairs(
        train=read_only(train[listed]),
        test=read_only(test[listed]),
        influence=read_only(influence[listed]),
        stderr=read_only(_stderr(hits_in, n_in, right, m)[listed]),
        p_value=read_only(p_value[listed]),
        q_value=read_only(q_value[listed]),
        helps=helps,
        harms=harms,
        helps_by_chance=expected[0],
        harms_by_chance=expected[1],
        compared=compared,
    )


def _blocks(candidates: Labels, t: int) -> Iterator[Labels]:
    size = max(1, CELLS // t)
    for start in range(0, len(candidates), size):
        yield candidates[start : start + size]


def _influence(hits: NDArray[Any], n_in: Labels, right: Labels, m: int) -> Floats:
    """Influence of pairs with ``hits`` right models among the ``n_in`` that saw it and ``right`` among all m."""
    result: Floats = hits * (1 / n_in + 1 / (m - n_in)) - right / (m - n_in)
    return result


def _stderr(hits: Labels, n_in: Labels, right: Labels, m: int) -> Floats:
    """Standard error of two binomial shares, each with its p taken as (hits + 1/2) / (models + 1)."""
    parts = []
    for count, models in ((hits, n_in), (right - hits, m - n_in)):
        p = (count + 0.5) / (models + 1)
        parts.append(p * (1 - p) / models)
    result: Floats = np.sqrt(parts[0] + parts[1])
    return result


def _largest(pairs: list[Labels], included: Bools, total: Labels, most: int) -> tuple[Labels, Labels, Labels]:
    """The ``most`` pairs of largest absolute influence, largest first; of ties the first samples."""
    train, test, hits = pairs
    size = np.abs(_influence(hits, included.sum(0)[train], total[test], len(included)))
    if len(size) > most:  # far fewer are sorted than there are
        near = np.flatnonzero(size >= np.partition(size, len(size) - most)[len(size) - most] - TIE)
        train, test, hits, size = train[near], test[near], hits[near], size[near]
    order = np.lexsort((test, train, -size.round(9)))[:most]
    return train[order], test[order], hits[order]


def _expected(n_in: Labels, total: Labels, m: int, least: float, sign: int) -> float:
    """Pairs expected to reach the threshold by chance: one term for each pair of counts that occurs."""
    sizes, many = np.unique(n_in, return_counts=True)
    rights, often = np.unique(total, return_counts=True)
    a, c = (grid.ravel() for grid in np.meshgrid(sizes, rights, indexing="ij"))
    weights = np.multiply.outer(many, often).ravel()
    if sign < 0:  # with the arms exchanged, harm is help
        a = m - a
    fewest = np.ceil((least - TIE + c / (m - a)) * (a * (m - a) / m)).astype(np.int64)
    return float((weights * tail(fewest, m, c, a)).sum())


def q_values(p_values: Floats, compared: int) -> Floats:
    """Benjamini and Hochberg's q-values of the smallest of ``compared`` p-values, in their order: (p,) → (p,).

    Where others are as small, these are larger than with all of them, which is the safe side.

    >>> q_values(np.array([0.03, 0.001]), 10).round(3).tolist()
    [0.15, 0.01]
    """
    order = np.argsort(p_values)
    rising = compared * p_values[order] / np.arange(1, len(order) + 1)
    result = np.empty(len(order))
    result[order] = np.minimum.accumulate(rising[::-1])[::-1]
    return result.clip(max=1)


def tail(hits: Labels, m: int, right: Labels, drawn: Labels) -> Floats:
    """P(H ≥ hits), H being how many of ``right`` among m are among ``drawn`` of them at random, elementwise: (p,).

    Terms are summed away from the mean, where they fall, so that no small tail is a difference of large numbers.
    """
    low, high = np.maximum(0, right + drawn - m), np.minimum(right, drawn)
    upward = hits > right * drawn / m
    at = np.clip(np.where(upward, hits, hits - 1), low, high)
    term = _probability(at, m, right, drawn)
    result = term.copy()
    step = np.where(upward, 1, -1)
    while True:
        with np.errstate(divide="ignore", invalid="ignore"):  # of the two ratios, the one that is not taken
            up = (right - at) * (drawn - at) / ((at + 1) * (m - right - drawn + at + 1.0))
            down = at * (m - right - drawn + at) / ((right - at + 1.0) * (drawn - at + 1.0))
        term = np.where(term > 0, term * np.where(upward, up, down), 0.0)
        if not (term > result * 1e-17).any():
            break
        at = at + step
        result += term
    result = np.where(upward, result, 1 - result)
    return np.where(hits <= low, 1.0, np.where(hits > high, 0.0, result))


def _probability(hits: Labels, m: int, right: Labels, drawn: Labels) -> Floats:
    """P(H = hits), see ``tail``."""
    logs = np.concatenate([[0.0], np.log(np.arange(1, m + 1)).cumsum()])
    ways = logs[right] - logs[hits] - logs[right - hits]
    others = logs[m - right] - logs[drawn - hits] - logs[m - right - drawn + hits]
    result: Floats = np.exp(ways + others - (logs[m] - logs[drawn] - logs[m - drawn]))
    return result
