"""Splits of samples that a seed decides: two halves alike in their classes, and sets that share no sample."""

import numpy as np

from noisybench.ground.arrays import Bools, Indices, Labels
from noisybench.ground.random_streams import permutation


def stratified_halves(labels: Labels, seed: int, *, but: Bools | None = None, groups: Labels | None = None) -> Labels:
    """Half of each sample, 0 or 1: (n,) → (n,), int64. Each class is split evenly, to one sample, and so are all samples.

    Args:
        labels: Shape (n,).
        seed: Decides who is in which half.
        but: Samples that do not count, shape (n,); they are put into half 0 and unbalance nothing.
        groups: Who goes with whom, a number each, shape (n,): groups are then split in place of samples, those of one size
            and commonest label evenly. None: everybody goes alone.

    >>> stratified_halves(np.array([0, 0, 0, 1, 1, 1, 1, 2]), seed=0).sum()
    np.int64(4)
    """
    if groups is not None:
        return _halves_of_groups(labels, seed, np.zeros(len(labels), dtype=np.bool_) if but is None else but, groups)
    halves = np.zeros(len(labels), dtype=np.int64)
    order = permutation(seed, "halves", len(labels))
    order = order if but is None else order[~but[order]]
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, in random order within each
    halves[order[1::2]] = 1
    return halves


def _halves_of_groups(labels: Labels, seed: int, but: Bools, groups: Labels) -> Labels:
    """As ``stratified_halves``, of groups that stay together."""
    halves, counted = np.zeros(len(labels), dtype=np.int64), np.flatnonzero(~but)
    _, member, sizes = np.unique(groups[counted], return_inverse=True, return_counts=True)
    votes = np.zeros((len(sizes), int(labels.max()) + 1), dtype=np.int64)
    np.add.at(votes, (member, labels[counted]), 1)
    order = permutation(seed, "halves", len(sizes))
    order = order[np.lexsort((votes.argmax(1)[order], -sizes[order]))]  # which is stable
    side = np.zeros(len(sizes), dtype=np.int64)
    side[order[1::2]] = 1
    halves[counted] = side[member]
    return halves


def disjoint_sets(candidates: Indices, size: int, sets: int, seed: int, purpose: str) -> list[Indices]:
    """So many random sets of samples that share none, each ascending.

    Args:
        candidates: Samples that may be drawn, shape (m,), at least ``size * sets``.
        size: Of each set.
        sets: How many.
        seed: Decides the draw.
        purpose: Of the draw, which has a stream of its own.
    """
    order = candidates[permutation(seed, purpose, len(candidates))]
    return [np.sort(order[start : start + size]) for start in range(0, size * sets, size)]


def part_of_groups(candidates: Indices, size: int, seed: int, purpose: str, groups: Labels) -> Indices:
    """A random set of at most ``size`` samples, ascending, in which groups are whole; the first group where it is larger.

    Args:
        candidates: Samples that may be drawn, shape (m,), of at least two groups.
        size: Of the set.
        seed: Decides the draw.
        purpose: Of the draw, which has a stream of its own.
        groups: Who goes with whom, a number for each sample, shape (n,).

    >>> part_of_groups(np.arange(6), 3, 0, "held out", np.array([0, 0, 1, 1, 2, 2])).size
    2
    """
    member = np.unique(groups[candidates], return_inverse=True)[1]
    order = permutation(seed, purpose, int(member.max()) + 1)
    together = np.cumsum(np.bincount(member)[order])
    drawn = order[: max(1, int(np.searchsorted(together, size, side="right")))]
    return np.sort(candidates[np.isin(member, drawn)])
