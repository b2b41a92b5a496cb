"""What lies around each sample in a feature space: its two nearest others, and how near its own class and others are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import check_room, whole
from noisybench.ground.errors import BadUsage
from noisybench.statistics.ridge import check_several
from noisybench.statistics.similarity import points_of, shared_places, similarities

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
    nearest = np.minimum(voters, n - np.bincount(members)[members])
    votes = np.empty((n, num_classes))
    two = np.full((n, 2), NOBODY)
    same, other = np.full(n, FARTHEST), np.full(n, FARTHEST)
    for part, similar in similarities(points_of(features, members)):
        b = len(part)
        rows = slice(part[0], part[-1] + 1)
        row, column, weights = shared_places(similar, nearest[rows])
        weights *= np.maximum(similar[row, column], 0)
        counts = np.bincount(row * num_classes + labels[column], weights, minlength=b * num_classes)
        votes[rows] = counts.reshape(b, num_classes)
        alike = labels == labels[rows, None]
        for distances, asked in ((same, alike), (other, ~alike)):
            cosine = np.where(asked, similar, -np.inf).max(1).astype(np.float64)
            there = np.isfinite(cosine)
            distances[rows][there] = np.clip(1 - cosine[there], 0, FARTHEST)
        two[rows, 0] = similar.argmax(1)
        similar[np.arange(b), two[rows, 0]] = -np.inf
        second = similar.argmax(1)
        there = np.isfinite(similar[np.arange(b), second])
        two[rows, 1][there] = second[there]
    lengths = np.linalg.norm(votes, axis=1, keepdims=True)
    votes = np.where(lengths > 0, votes / np.where(lengths > 0, lengths, 1), num_classes**-0.5)
    return Vicinity(votes, two, same, other)


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
