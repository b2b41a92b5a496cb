"""The nearest others of every sample, from products of tiles that stay in the cache and serve both of their sides.

The product of tile I with tile J holds what rows of I are to those of J, and the other way round, so that half the matrix
is multiplied. Each sample keeps a threshold, below which nobody can be among its nearest any more: a tile is compared with
it, and only what passes is looked at again. Without ties, some k (1 + ln(n / 1,024)) others of a sample pass.
"""

import logging
from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Floats32, Indices, Labels
from noisybench.statistics.similarity import TIED, Points, place_weights, shared_places, similarities

TILE = 1024
"""Samples of a tile: a product of 4 MB."""
LEAST_TILES = 4
"""Tiles from which they pay."""
FEW = 8
"""Smallest share, as one of so many, of a tile's samples that may be asked for: of more, whole rows are sorted as fast."""
CROWD = 64
"""Others who tie at a sample's last place, beyond which its whole row is looked at."""
MOST_PARTS = 64
"""Tiles whose pairs may wait, however few."""
LOWEST = np.float32(np.finfo(np.float32).min)
"""A threshold that all samples pass but those of the own group."""
LONG = 60.0
"""Seconds of a comparison of all pairs from which they are said beforehand."""
PAIR, PAIR_FEATURE = 2.5e-9, 2.6e-11
"""Seconds of an ordered pair, and of each of its features, on one core: 12,000 × 16 and × 256 took .41 and 1.26 s."""

log = logging.getLogger("noisybench")


class Near(NamedTuple):
    """Neighbours of some samples, pair by pair.

    Attributes:
        samples: Whose, shape (b,).
        row: Place in ``samples`` of the one, from 0 upwards, shape (m,).
        column: Number of the other, shape (m,).
        similarity: Shape (m,).
        weight: 1, or less of those tied at the last place, which share the places that are left, shape (m,).
    """

    samples: Indices
    row: Indices
    column: Indices
    similarity: Floats32
    weight: Floats


def nearest_others(points: Points, near: Labels) -> Iterator[Near]:
    """Neighbours of all samples, some samples at a time, each sample once; who is tied at the last place is one too.

    The same as by float64 and a full sort, but for similarities less than ``TIED`` apart.

    Args:
        points: The samples; nobody of a group is a neighbour within it.
        near: Neighbours of each sample, at least 1 and no more than samples outside its group, shape (n,).
    """
    n = len(points.rows)
    if n < LEAST_TILES * TILE or near.max() * FEW > TILE:
        yield from by_rows(points, near, None)
        return
    small = near < near.max()  # whose group is so large that fewer are left
    crowded = yield from _by_tiles(points, int(near.max()), small)
    if crowded.size:
        yield from by_rows(points, near, crowded)


def tell_of_time(points: Points, advice: str, *, pair: float = PAIR, passes: int = 1) -> None:
    """Warn, with advice, of how long all pairs of samples take to compare, where that is more than ``LONG``.

    Args:
        points: The samples.
        advice: What is faster.
        pair: Seconds of an ordered pair, without those of its features.
        passes: How often all pairs are compared.
    """
    n, d = points.rows.shape
    seconds = passes * n**2 * (pair + PAIR_FEATURE * d)
    if seconds > LONG:
        text = "all pairs of %d × %d are compared for their neighbours, which takes about %.0f minutes on one core; %s"
        log.warning(text, n, d, np.ceil(seconds / 60), advice)


def by_rows(points: Points, near: Labels, some: Indices | None) -> Iterator[Near]:
    """The same of some samples, or of all, by sorting their whole rows."""
    for part, similar in similarities(points, some):
        row, column, weight = shared_places(similar, near[part])
        yield Near(part, row, column, similar[row, column], weight)


class _Pairs(NamedTuple):
    """Row in a tile, number of the other sample, and similarity, (m,) each."""

    row: NDArray[np.uint16]
    column: NDArray[np.int32]
    value: Floats32


def _by_tiles(points: Points, k: int, left_out: Bools) -> Generator[Near, None, Indices]:
    """The k nearest of each sample that is not left out; returns whom it left out, with those of whom too many tie."""
    n = len(points.rows)
    order = np.argsort(points.members, kind="stable")  # so that only tiles beside each other share a group
    rows, halves, members = points
    if (order[1:] < order[:-1]).any():
        rows, members = rows[order], members[order]
        halves = None if halves is None else halves[order]
    tiles = -(-n // TILE)
    edges = np.arange(tiles + 1) * n // tiles
    blocks = [slice(first, last) for first, last in pairwise(edges.tolist())]
    threshold = np.where(left_out[order], np.float32(np.inf), LOWEST)
    waiting: list[list[_Pairs]] = [[] for _ in blocks]

    def take(similar: Floats32, own: int, other: int, axis: int) -> None:
        """Let what passes the thresholds of one side wait, and raise these once much waits."""
        held, block = waiting[own], blocks[own]
        held.append(_passing(similar, threshold[block], blocks[other].start, axis))
        if len(held) > MOST_PARTS or sum(len(part.row) for part in held[1:]) > k * TILE:
            waiting[own] = [_still_near(held, threshold[block], k)]

    for i, block in enumerate(blocks):
        similar = rows[block] @ rows[block].T
        if halves is not None:
            similar -= halves[block]
        similar[members[block, None] == members[block]] = -np.inf
        first = np.partition(similar, len(similar) - k, axis=1)[:, len(similar) - k] - np.float32(TIED)
        threshold[block] = np.maximum(threshold[block], first)
        take(similar, i, i, 0)
    product, lowered = np.empty((2, TILE, TILE), dtype=np.float32)
    for i, block in enumerate(blocks):
        for j in range(i + 1, tiles):
            beside = blocks[j]
            shape = block.stop - block.start, beside.stop - beside.start
            similar = np.matmul(rows[block], rows[beside].T, out=product.ravel()[: shape[0] * shape[1]].reshape(shape))
            if members[beside.start] <= members[block.stop - 1]:
                similar[members[block, None] == members[beside]] = -np.inf
            if halves is None:
                take(similar, i, j, 0)
            else:
                take(np.subtract(similar, halves[beside], out=lowered.ravel()[: similar.size].reshape(shape)), i, j, 0)
                similar -= halves[block, None]
            take(similar, j, i, 1)
        pairs = _still_near(waiting[i], threshold[block], k)
        waiting[i] = []
        yield _near(pairs, threshold[block], order, block, k)
    return np.sort(order[np.isposinf(threshold)])


def _passing(similar: Floats32, threshold: Floats32, start: int, axis: int) -> _Pairs:
    """Pairs at or above the thresholds of the rows (axis 0) or columns (axis 1) of a tile; others are numbered from a start."""
    shaped = threshold[:, None] if axis == 0 else threshold
    places = np.divmod(np.flatnonzero(similar >= shaped), similar.shape[1])
    own, other = places[axis], places[1 - axis]
    return _Pairs(own.astype(np.uint16), (other + start).astype(np.int32), similar[places])


def _still_near(parts: list[_Pairs], threshold: Floats32, k: int) -> _Pairs:
    """Who may still be among the k nearest of a tile's samples, in the order of these; raises their thresholds (b,)."""
    row, column, value = (np.concatenate(found) for found in zip(*parts, strict=True))
    order = np.argsort(row, kind="stable")
    row, column, value = row[order], column[order], value[order]
    np.maximum(threshold, _kth(row, value, len(threshold), k) - np.float32(TIED), out=threshold)
    kept = np.flatnonzero(value >= threshold[row])
    crowded = np.bincount(row[kept], minlength=len(threshold)) > k + CROWD
    if crowded.any():
        threshold[crowded] = np.inf
        kept = kept[~crowded[row[kept]]]
    return _Pairs(row[kept], column[kept], value[kept])


def _kth(row: NDArray[np.uint16], value: Floats32, b: int, k: int) -> Floats32:
    """The k-th largest value of each of b rows, which ascend, (b,); minus infinity of rows of fewer."""
    counts = np.bincount(row, minlength=b)
    width = max(int(counts.max()), k)
    table = np.full((b, width), -np.inf, dtype=np.float32)
    table[row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]] = value
    largest: Floats32 = np.partition(table, width - k, axis=1)[:, width - k]
    return largest


def _near(pairs: _Pairs, threshold: Floats32, order: Indices, block: slice, k: int) -> Near:
    """The neighbours of those of a tile who were not left out; others are in the order of their numbers."""
    there = ~np.isposinf(threshold)
    last = _kth(pairs.row, pairs.value, len(threshold), k)
    row, column = (np.cumsum(there) - 1)[pairs.row], order[pairs.column]
    sort = np.argsort(row * len(order) + column)
    row, column, value = row[sort], column[sort], pairs.value[sort]
    weight = place_weights(row, value, last[there], np.full(int(there.sum()), k))
    return Near(order[block][there], row, column, value, weight)
