"""The Metropolis chain of ``exchange``: exchanges one after another, of which as many as can be are looked at together.

An exchange is proposed of a flip and any sample of its clean class, which is as likely as the way back. What it changes
hangs on its two samples and their neighbours alone. So of many proposals in a row, those that have no sample in common
with, nor a neighbour among, an earlier one that is accepted can be judged at once; the others wait for the next look. Labels
are those of a plain loop over the proposals.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Indices, Labels
from noisybench.ground.checks import check_room
from noisybench.statistics.coherence import (
    NOBODY,
    Coordinates,
    EdgeGroups,
    edge_groups,
    flip_counts,
    flips,
)
from noisybench.statistics.expected_auroc import mid_ranks

_NEVER = np.iinfo(np.int64).max
_DENSE = 2048  # groups up to which a table of pairs of groups is full
_WORK = (
    1 << 23
)  # products of the expectation's field in a step; where it needs more, it is renewed after some steps only


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """What no exchange changes.

    Attributes:
        clean: Clean labels, shape (n,).
        num_classes: k.
        ranks: Of difficulty in the clean class, divided by the pairs of the difficulty coordinate, shape (n,).
        least: What is taken off the sum of the flips' ranks for that coordinate.
        members: Samples of known class, class by class, shape (m,).
        first: Where a class begins in ``members``, shape (k,).
        sizes: Its samples, shape (k,).
        starts: Where the neighbours of a sample start in ``others``, shape (n + 1,).
        others: Whose neighbour a sample is, and who are its, one after the other, so that mutual ones stand twice.
        neighbours: Of each sample, shape (n, degree).
        groups: By class and difficulty bin.
        pull: Chance of a pair of flips to one class, by counts of both groups, both ways, shape (g, g).
        own: The same of pairs within a group, one way, shape (g,).
        flips: Number of wrong labels.
        every: Steps after which the expected agreement is renewed.
        least_step: Least change of the difficulty coordinate by an exchange.
        largest_step: The largest.
        chance: Standard deviation of that coordinate among permuted columns.
    """

    clean: Labels
    num_classes: int
    ranks: Floats
    least: float
    members: Indices
    first: Labels
    sizes: Labels
    starts: Labels
    others: Indices
    neighbours: Indices
    groups: EdgeGroups
    pull: Any
    own: Floats
    flips: int
    every: int
    least_step: float
    largest_step: float
    chance: float

    @property
    def pairs(self) -> int:
        """Agreements that there are when all neighbours of all flips agree."""
        return max(1, self.flips * self.neighbours.shape[1])


@dataclass(slots=True, eq=False)
class Labeling:
    """A label column on its way; its arrays are written to.

    Attributes:
        flipped: Wrong class of each flip, ``k`` of the others, shape (n,).
        wrong: Who is a flip, in any order, shape (flips,).
        field: Neighbours, both ways, that are flips to each class, shape (n, k + 1); the last column counts nothing.
        counts: Flips to each class in each group, shape (g, k + 1).
        tide: What one more flip adds to the expected pairs, shape (g, k + 1).
        earliest: Scratch: the first proposal that may touch a sample, shape (n,).
        difficulty: The coordinate.
        alike: Pairs of a flip and a neighbour that are flips to one class.
        expected: What is expected of these.
        age: Steps since the expectation was renewed.
    """

    flipped: Labels
    wrong: Indices
    field: NDArray[np.int32]
    counts: Floats
    tide: Floats
    earliest: Labels
    difficulty: float
    alike: float
    expected: float
    age: int = 0


@dataclass(frozen=True, slots=True)
class Force:
    """Slopes of the law's logarithm along difficulty and coherence: a + 2 s (D* - D), within a limit.

    Attributes:
        slopes: a of each coordinate.
        springs: s.
        targets: D*.
        limits: Bounds of each slope, springs included.
    """

    slopes: tuple[float, float]
    springs: tuple[float, float] = (0.0, 0.0)
    targets: tuple[float, float] = (0.0, 0.0)
    limits: tuple[float, float] = (np.inf, np.inf)

    def gain(self, change: Floats, now: float, axis: int) -> Floats:
        """Change of the logarithm of the law by changes of one coordinate, (m,) → (m,)."""
        middle = now + change / 2
        slope = self.slopes[axis] + 2 * self.springs[axis] * (self.targets[axis] - middle)
        return np.clip(slope, -self.limits[axis], self.limits[axis]) * change


def geometry_of(coordinates: Coordinates, given: Labels, clean: Labels) -> Geometry:
    """What stays: geometry, and the counts of wrong labels of each class."""
    known = np.flatnonzero(clean >= 0)
    n, num_classes = len(clean), int(max(given.max(initial=0), clean.max(initial=0))) + 1
    check_room(n, num_classes, "the neighbours' flips to each class for each sample", "exchange labels of a part")
    wrong, sizes = flips(given, clean) >= 0, np.bincount(clean[known], minlength=num_classes)
    of_class = np.bincount(clean[wrong], minlength=num_classes)
    pairs = max(1.0, float((of_class * (sizes - of_class)).sum()))
    ranks = np.zeros(n)
    ranks[known] = mid_ranks(coordinates.difficulty[known], clean[known]) / pairs
    starts, others = _both_ways(coordinates.neighbours)
    groups = edge_groups(coordinates, clean)
    pull, own = _pull(groups)
    work = len(own) ** 2 * num_classes if len(own) <= _DENSE else len(groups.first) * num_classes * 8
    return Geometry(
        clean=clean,
        num_classes=num_classes,
        ranks=ranks,
        least=float((of_class * (of_class + 1) / 2).sum()) / pairs,
        members=known[np.argsort(clean[known], kind="stable")],
        first=np.cumsum(sizes) - sizes,
        sizes=sizes,
        starts=starts,
        others=others,
        neighbours=coordinates.neighbours,
        groups=groups,
        pull=pull,
        own=own,
        flips=int(wrong.sum()),
        every=max(1, work // _WORK),
        least_step=1 / pairs,
        largest_step=max(1, int(sizes.max(initial=1)) - 1) / pairs,
        chance=float(np.sqrt((of_class * (sizes - of_class) * (sizes + 1) / 12).sum())) / pairs,
    )


def start(places: Geometry, given: Labels) -> Labeling:
    """A column as the chain needs it."""
    n, k = len(given), places.num_classes
    wrong = flips(given, places.clean)
    flipped = np.where(wrong == NOBODY, k, wrong)
    field = np.zeros((n, k + 1), dtype=np.int32)
    owners = np.repeat(np.arange(n), np.diff(places.starts))
    np.add.at(field, (owners, flipped[places.others]), 1)
    counts = np.zeros((len(places.groups.sizes), k + 1))
    counts[:, :k] = flip_counts(places.groups, wrong, k)
    found = np.flatnonzero(wrong != NOBODY)
    column = Labeling(
        flipped=flipped,
        wrong=found,
        field=field,
        counts=counts,
        tide=np.zeros_like(counts),
        earliest=np.full(n, _NEVER),
        difficulty=float(places.ranks[found].sum()) - places.least,
        alike=float(field[found, flipped[found]].sum()) / 2,  # each pair is seen from both of its ends
        expected=0.0,
    )
    renew(column, places)
    return column


def coherence_of(column: Labeling, places: Geometry) -> float:
    """The coherence coordinate; of many groups, its expectation is that of a few steps ago."""
    return (column.alike - column.expected) / places.pairs


def labels_in(column: Labeling, places: Geometry, given: Labels) -> Labels:
    """The given labels, shape (n,): those of samples of unknown class as they came."""
    right = np.where(places.clean >= 0, places.clean, given)
    return np.where(column.flipped == places.num_classes, right, column.flipped)


def advance(column: Labeling, places: Geometry, force: Force, uniform: Floats) -> tuple[int, Floats]:
    """Judge proposals in their order: how many were accepted, and those that must wait, shape (3, w).

    The coordinates that decide the slopes are those before, and of several exchanges across bins so is the expectation
    that each changes.

    Args:
        column: Is changed.
        places: What stays.
        force: Of the law.
        uniform: Which flip, which sample of its class, and whether it is accepted, shape (3, m).
    """
    drawn = (uniform[0] * places.flips).astype(np.int64)
    i = column.wrong[drawn]
    of_class = places.clean[i]
    j = places.members[places.first[of_class] + (uniform[1] * places.sizes[of_class]).astype(np.int64)]
    t, u = column.flipped[i], column.flipped[j]
    harder, alike, expected = changes(column, places, i, j)
    coherent = (alike - expected) / places.pairs
    gain = force.gain(harder, column.difficulty, 0) + force.gain(coherent, coherence_of(column, places), 1)
    taken = (t != u) & (gain > np.log1p(-uniform[2]))
    waiting = _waiting(column, places, i, j, taken)
    taken &= ~waiting
    if taken.any():
        i, j, t, u = i[taken], j[taken], t[taken], u[taken]
        _move(column, places, i, j)
        right = u == places.num_classes
        column.wrong[drawn[taken][right]] = j[right]
        column.difficulty += float(harder[taken].sum())
        column.alike += float(alike[taken].sum())
    column.age += 1
    if column.age >= places.every:
        renew(column, places)
    return int(taken.sum()), uniform[:, waiting]


def changes(column: Labeling, places: Geometry, i: Indices, j: Indices) -> tuple[Floats, Floats, Floats]:
    """What exchanges change: difficulty, pairs that are alike, and pairs expected, (m,) each.

    Args:
        column: Before any of them.
        places: What stays.
        i: Flips, shape (m,).
        j: With whom they would exchange, of the same class, shape (m,).
    """
    t, u, field = column.flipped[i], column.flipped[j], column.field
    right = u == places.num_classes
    both = np.where(right, 0, 1)
    harder = np.where(right, places.ranks[j] - places.ranks[i], 0.0)
    edge = _edges_between(places, i, j)
    alike = (field[j, t] - field[i, t] - edge) + both * (field[i, u] - field[j, u] - edge)
    one, other = places.groups.group[i], places.groups.group[j]
    tide, own = column.tide, places.own
    linear = tide[other, t] - tide[one, t] + both * (tide[one, u] - tide[other, u])
    bend = (1 + both) * (own[one] + own[other] - places.pull[one, other])
    lone = np.where(right, own[one] - own[other], 0.0)
    return harder, alike.astype(np.float64), np.where(one == other, 0.0, linear + bend + lone)


def _waiting(column: Labeling, places: Geometry, i: Indices, j: Indices, taken: Bools) -> Bools:
    """Proposals that an earlier one may change, shape (m,): one that is accepted, or that itself has to wait."""
    earliest, touched = column.earliest, []
    waiting, new = np.zeros(len(i), dtype=bool), np.flatnonzero(taken)
    while new.size:
        whose, near = _around(places, np.concatenate([i[new], j[new]]))
        reached = np.concatenate([near, i[new], j[new]])
        by = np.concatenate([new, new])
        np.minimum.at(earliest, reached, np.concatenate([by[whose], by]))
        touched.append(reached)
        later = np.arange(len(i)) > np.minimum(earliest[i], earliest[j])
        new = np.flatnonzero(later & ~waiting & ~taken)
        waiting |= later
    for part in touched:
        earliest[part] = _NEVER
    return waiting


def _move(column: Labeling, places: Geometry, i: Indices, j: Indices) -> None:
    """Exchange labels of pairs, none near another, and bring the counts of their neighbours and groups to date."""
    t, u, width = column.flipped[i], column.flipped[j], places.num_classes + 1
    samples, before, after = np.concatenate([i, j]), np.concatenate([t, u]), np.concatenate([u, t])
    whose, near = _around(places, samples)
    field, counts = column.field.reshape(-1), column.counts.reshape(-1)
    np.add.at(field, near * width + before[whose], np.int32(-1))
    np.add.at(field, near * width + after[whose], np.int32(1))
    column.flipped[samples] = after
    group = places.groups.group[samples]
    np.add.at(counts, group * width + before, -1.0)
    np.add.at(counts, group * width + after, 1.0)
    column.counts[:, -1] = 0.0


def _around(places: Geometry, samples: Indices) -> tuple[Labels, Indices]:
    """Place in ``samples`` and number of each of their neighbours, both ways."""
    first = places.starts[samples]
    lengths = places.starts[samples + 1] - first
    whose = np.repeat(np.arange(len(samples)), lengths)
    shift = first - np.cumsum(lengths) + lengths
    return whose, places.others[np.arange(len(whose)) + shift[whose]]


def renew(column: Labeling, places: Geometry) -> None:
    """Bring the expectation to date with the counts of the groups, which takes long where there are many."""
    column.tide[:] = places.pull @ column.counts
    together = float((column.counts * column.tide).sum()) / 2
    column.expected = together - float(places.own @ column.counts.sum(1))
    column.age = 0


def _edges_between(places: Geometry, i: Indices, j: Indices) -> Labels:
    """How often two samples are neighbours, 0 to 2, (m,)."""
    table = places.neighbours
    return (table[i] == j[:, None]).sum(1) + (table[j] == i[:, None]).sum(1)


def _both_ways(neighbours: Indices) -> tuple[Labels, Indices]:
    """Starts and numbers of the others of each sample: its neighbours, and those whose neighbour it is."""
    n, k = neighbours.shape
    one, other = np.repeat(np.arange(n), k), neighbours.ravel()
    there = other != NOBODY
    ends = np.concatenate([one[there], other[there]])
    order = np.argsort(ends, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n))])
    return starts, np.concatenate([other[there], one[there]])[order]


def _pull(groups: EdgeGroups) -> tuple[Any, Floats]:
    """Pairs of groups, both ways, as a table; and those within a group, one way."""
    from scipy.sparse import csr_array

    g = len(groups.sizes)
    chances = groups.chances
    one_way = csr_array((chances, (groups.first, groups.second)), shape=(g, g))
    own = one_way.diagonal()
    both = (one_way + one_way.T).tocsr()
    return (both.toarray() if g <= _DENSE else both), np.asarray(own)
