"""The labels that a sample's nearest neighbours in a feature space were given. No torch here."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats32, Indices, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import check_room
from noisybench.ground.errors import BadUsage
from noisybench.statistics.nearest import Near, nearest_others, tell_of_time
from noisybench.statistics.neighbour_index import IndexName, as_index, neighbours_by
from noisybench.statistics.similarity import TIED, Distance, points_of


def neighbour_labels(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    k: int = 20,
    *,
    groups: NDArray[Any] | None = None,
    distance: Distance = "cosine",
    index: IndexName | None = None,
) -> NDArray[np.float32]:
    """Share of each label among the k nearest other samples: (n, d) and (n,) → (n, num_classes), float32.

    A sample is never its own neighbour; its duplicates are, unless they are of its group. Samples tied at the k-th place
    share what places are left, so that the shares, which sum to 1, do not depend on the order of the samples. A row of
    zeros has similarity 0 to all. All pairs are compared, each once; what is expected to take more than a minute is said
    by a warning first.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,).
        num_classes: Columns of the result.
        k: Neighbours, from 1 to n - 1.
        groups: Number of each sample's group, shape (n,): nobody of it is a neighbour. A sample with fewer than k others
            has as many neighbours as there are. None puts each sample into its own.
        distance: By angle, or by Euclidean distance.
        index: ``hnsw`` finds nearly all neighbours of many samples sooner, and says how many; None compares all pairs.

    Raises:
        BadData: Features that are not finite or not of shape (n, d), labels that are no classes, or one group alone.
        MissingPackage: That of the index is not there.
        BadUsage: Fewer than k other samples, k below 1, or more samples and classes than fit in memory.
    """
    labels = check_labels(labels, num_classes)
    n = len(labels)
    check_features(features, n)
    if not 0 < k < n:
        msg = f"k = {k} neighbours of {n} samples: expected 1 to {n - 1}, since a sample is not its own neighbour"
        raise BadUsage(msg)
    as_index(index)
    check_room(n, num_classes, "a share of each class for each sample", "leave out what asks for neighbours")
    members = np.arange(n) if groups is None else check_groups(groups, n)
    nearest = np.minimum(k, n - np.bincount(members)[members])
    points = points_of(features, members, distance=distance)
    return label_shares(neighbours_by(points, nearest, index), nearest, labels, num_classes)


def label_shares(found: Iterable[Near], nearest: Labels, labels: Labels, num_classes: int) -> Floats32:
    """Share of each label among neighbours that were found: (n,) → (n, num_classes); see ``neighbour_labels``.

    Args:
        found: The neighbours of all samples, which no label decides.
        nearest: How many neighbours each sample has, shape (n,).
        labels: Given labels, shape (n,).
        num_classes: Columns of the result.
    """
    shares = np.empty((len(labels), num_classes), dtype=np.float32)
    for samples, row, column, _, weights in found:
        b = len(samples)
        counts = np.bincount(row * num_classes + labels[column], weights, minlength=b * num_classes)
        shares[samples] = counts.reshape(b, num_classes) / nearest[samples, None]
    return shares


def two_nearest(features: NDArray[Any], n: int) -> Labels:
    """The two nearest others of each sample by cosine, nearest first: (n, d) → (n, 2), -1 where there is none.

    Of those tied, the next in the order of the samples, around the end: where many are alike, as saturated probabilities
    are, the first of all would otherwise stand for everyone.

    Args:
        features: Shape (n, d), finite.
        n: Samples there must be.

    Raises:
        BadData: Features of another shape, or that are not finite.
    """
    check_features(features, n)
    two = np.full((n, 2), -1)
    if n < 2:  # noqa: PLR2004 - nobody else
        return two
    points = points_of(features, np.arange(n))
    tell_of_time(points, "methods of estimation other than hoc do without")
    for near in nearest_others(points, np.full(n, min(2, n - 1))):
        firsts = np.searchsorted(near.row, np.arange(len(near.samples) + 1))
        start, counts = firsts[:-1], np.diff(firsts)
        one, other = near.similarity[start], near.similarity[start + counts - 1]
        plain = (counts == 2) & (np.abs(one - other) > np.float32(TIED))  # noqa: PLR2004 - nobody ties
        pairs = near.column[start[plain, None] + np.where((one > other)[plain, None], [0, 1], [1, 0])]
        two[near.samples[plain]] = pairs
        for row in np.flatnonzero(~plain):
            part = slice(firsts[row], firsts[row + 1])
            two[near.samples[row]] = _next_two(near.column[part], near.similarity[part], int(near.samples[row]))
    two[:, n - 1 :] = -1
    return two


def _next_two(others: Indices, similar: Floats32, sample: int) -> tuple[int, int]:
    """The two nearest, of those tied the next after the sample: others in their order, and their similarities, (m,)."""
    places = []
    for _ in range(2):
        tied = np.flatnonzero(similar >= similar.max() - np.float32(TIED))
        chosen = tied[np.searchsorted(others[tied], sample) % len(tied)]
        places.append(int(others[chosen]))
        similar[chosen] = -np.inf
    return places[0], places[1]
