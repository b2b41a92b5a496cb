"""What lies around each sample in a feature space: its two nearest others, and how near its own class and others are."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Floats32, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import check_room, whole
from noisybench.ground.errors import BadUsage
from noisybench.statistics.nearest import Near, nearest_others, tell_of_time
from noisybench.statistics.ridge import check_several
from noisybench.statistics.similarity import CHUNK, Points, points_of

VOTERS = 10
"""Neighbours that vote, as in SimiFeat."""
NOBODY = -1
"""Stands for a neighbour that is not there."""
FARTHEST = 2.0
"""Distance 1 - cosine of opposite directions, and of a class that nobody is left of."""


@dataclass(frozen=True, slots=True, eq=False)
class Vicinity:
    """What lies around each sample, outside its group; by cosine.

    Attributes:
        votes: Sum of the cosines, where above 0, of the nearest others of each class, rows of length 1, shape (n, k).
        two_nearest: The two nearest others, nearest first, shape (n, 2); ``NOBODY`` where there is no second.
        nearest_same: Distance 1 - cosine of the nearest other with the same label, in [0, 2], shape (n,).
        nearest_other: The same with another label.
    """

    votes: Floats
    two_nearest: Labels
    nearest_same: Floats
    nearest_other: Floats


class Surroundings(NamedTuple):
    """Who is near whom, whatever the labels.

    Attributes:
        points: The samples.
        found: The nearest others of all, at least two of each.
        voting: Those of them that vote.
        two_nearest: See ``Vicinity``.
    """

    points: Points
    found: tuple[Near, ...]
    voting: tuple[Near, ...]
    two_nearest: Labels


def vicinity(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    voters: int = VOTERS,
) -> Vicinity:
    """Votes of the nearest others, the two nearest, and the nearest of the own and of any other class: (n, d) and (n,).

    A sample does not vote for its own label, nor does its group. SimiFeat lets it, at the distance 2 d₁ - d₂ that the two
    nearest others extrapolate to: a label would be evidence for itself. Samples tied at the last place share what places
    are left; where nobody has a cosine above 0, every class has the same vote.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,), of at least two classes.
        num_classes: Columns of the votes.
        groups: Number of each sample's group, shape (n,): nobody of it is asked. None puts each sample into its own.
        voters: Others that vote; fewer where there are fewer.

    Raises:
        BadData: Features or groups that are none, or labels of one class.
        BadUsage: No voter, or more than fits in memory.

    Source: Zhu, Dong and Liu 2022, arXiv:2110.06283, section 3 (votes); written from the formulas, without the sample
        itself.
    """
    labels = check_labels(labels, num_classes)
    n = len(labels)
    check_features(features, n)
    check_several(labels)
    voters = whole(voters, "voters", least=1)
    check_room(n, num_classes, "votes for each class for each sample", "leave out what asks for votes of neighbours")
    members = np.arange(n) if groups is None else check_groups(groups, n)
    return vicinity_in(around_points(points_of(features, members), voters), labels, num_classes)


def around_points(points: Points, voters: int = VOTERS) -> Surroundings:
    """What no label decides: who is near whom, of samples as points by cosine."""
    n = len(points.members)
    others = n - np.bincount(points.members)[points.members]
    # Of whom nobody of another class is near, these are looked at once more, in plain products that take twice as long.
    tell_of_time(points, "detectors of the set 'fast' do without (--detectors fast)", passes=3)
    found = tuple(nearest_others(points, np.minimum(max(voters, 2), others)))
    voting = found if voters > 1 else tuple(nearest_others(points, np.ones(n, dtype=np.int64)))
    two = np.full((n, 2), NOBODY)
    for near in found:
        two[near.samples] = _first_two(near)
    return Surroundings(points, found, voting, two)


def vicinity_in(around: Surroundings, labels: Labels, num_classes: int) -> Vicinity:
    """What labels decide, of ``around_points``; see ``vicinity``, which checks what it is given."""
    points, found, voting, two = around
    n = len(labels)
    votes = np.empty((n, num_classes))
    highest = np.full((2, n), -np.inf, dtype=np.float32)  # of the same label, and of another
    for near in voting:
        votes[near.samples] = _votes(near, labels, num_classes)
    for near in found:
        alike = labels[near.column] == labels[near.samples[near.row]]
        for kind, asked in zip(highest, (alike, ~alike), strict=True):
            kind[near.samples] = _highest(near, asked)
    _look_on(points, labels, highest)
    same, other = (
        np.where(np.isfinite(kind), np.clip(1 - kind.astype(np.float64), 0, FARTHEST), FARTHEST) for kind in highest
    )
    lengths = np.linalg.norm(votes, axis=1, keepdims=True)
    votes = np.where(lengths > 0, votes / np.where(lengths > 0, lengths, 1), num_classes**-0.5)
    return Vicinity(votes, two, same, other)


def _votes(near: Near, labels: Labels, num_classes: int) -> Floats:
    """Sums of cosines above 0 for each class, (b, classes)."""
    b, places = len(near.samples), near.row * num_classes + labels[near.column]
    found = np.bincount(places, near.weight * np.maximum(near.similarity, 0), minlength=b * num_classes)
    return found.reshape(b, num_classes).astype(np.float64, copy=False)


def _first_two(near: Near) -> Labels:
    """The two nearest, of equally near ones the first, (b, 2); ``NOBODY`` where there is no second."""
    order = np.lexsort((near.column, -near.similarity, near.row))
    row, column = near.row[order], near.column[order]
    first = np.searchsorted(row, np.arange(len(near.samples)))
    second = np.minimum(first + 1, len(row) - 1)
    there = row[second] == np.arange(len(first))
    there &= second > first
    return np.column_stack([column[first], np.where(there, column[second], NOBODY)])


def _highest(near: Near, asked: Bools) -> Floats32:
    """Similarity of the nearest of those asked for, of pairs (m,), minus infinity where none is among them: (b,)."""
    found = np.full(len(near.samples), -np.inf, dtype=np.float32)
    pairs = np.flatnonzero(asked)
    pairs = pairs[np.lexsort((-near.similarity[pairs], near.row[pairs]))]
    rows, first = np.unique(near.row[pairs], return_index=True)
    found[rows] = near.similarity[pairs[first]]
    return found


def _look_on(points: Points, labels: Labels, highest: Floats32) -> None:
    """Fill in the similarity to the own label and to others (2, n), where nobody of these is among the nearest of all."""
    rows, _, members = points
    alone = np.bincount(members)[members] == 1
    for label in np.unique(labels):
        own = labels == label
        for kind, among in zip(highest, (np.flatnonzero(own), np.flatnonzero(~own)), strict=True):
            lacking = np.flatnonzero(own & np.isinf(kind))
            columns, step = rows[among].T, max(1, CHUNK // len(among))
            for start in range(0, len(lacking), step):
                part = lacking[start : start + step]
                similar = rows[part] @ columns
                if own[among[0]] or not alone[part].all():  # else nobody of the group is among them
                    similar[members[part, None] == members[among]] = -np.inf
                kind[part] = similar.max(1)


def share_of_one_class(classes: Labels, two_nearest: Labels) -> float:
    """Share of samples that have the class of both of their nearest others, of those where all three are known; else NaN.

    Args:
        classes: Shape (n,); below 0 where nobody knows.
        two_nearest: See ``Vicinity``.
    """
    if two_nearest.shape != (len(classes), 2):
        msg = f"two_nearest has shape {two_nearest.shape}, expected {(len(classes), 2)}"
        raise BadUsage(msg)
    first, second = (np.where(two_nearest[:, i] >= 0, classes[two_nearest[:, i]], -1) for i in range(2))
    known = (classes >= 0) & (first >= 0) & (second >= 0)
    if not known.any():
        return float("nan")
    return float(((classes == first) & (classes == second))[known].mean())
