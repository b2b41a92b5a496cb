"""The labels that a sample's nearest neighbours in a feature space were given. No torch here."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Floats32, Indices, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import check_room
from noisybench.ground.errors import BadData, BadUsage

CHUNK = 2**23
"""Similarities in memory at a time: 32 MB."""
TIED = 1e-6
"""Similarities this near to each other are equal: float32 products are no more exact than that."""


def neighbour_labels(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    k: int = 20,
    *,
    groups: NDArray[Any] | None = None,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> NDArray[np.float32]:
    """Share of each label among the k nearest other samples: (n, d) and (n,) → (n, num_classes), float32.

    A sample is never its own neighbour; its duplicates are, unless they are of its group. Samples tied at the k-th place
    share what places are left, so that the shares, which sum to 1, do not depend on the order of the samples. A row of
    zeros has similarity 0 to all. On one core of an AMD EPYC, 50,000 × 256 took 35 seconds and 0.3 GB.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,).
        num_classes: Columns of the result.
        k: Neighbours, from 1 to n - 1.
        groups: Number of each sample's group, shape (n,): nobody of it is a neighbour. A sample with fewer than k others
            has as many neighbours as there are. None puts each sample into its own.
        distance: By angle, or by Euclidean distance.

    Raises:
        BadData: Features that are not finite or not of shape (n, d), labels that are no classes, or one group alone.
        BadUsage: Fewer than k other samples, k below 1, or more samples and classes than fit in memory.
    """
    labels = check_labels(labels, num_classes)
    n = len(labels)
    check_features(features, n)
    if not 0 < k < n:
        msg = f"k = {k} neighbours of {n} samples: expected 1 to {n - 1}, since a sample is not its own neighbour"
        raise BadUsage(msg)
    check_room(n, num_classes, "a share of each class for each sample", "leave out what asks for neighbours")
    members = np.arange(n) if groups is None else check_groups(groups, n)
    nearest = np.minimum(k, n - np.bincount(members)[members])
    shares = np.empty((n, num_classes), dtype=np.float32)
    for start, similar in similarities(features, members, distance=distance):
        b = len(similar)
        near = nearest[start : start + b]
        row, column, weights = shared_places(similar, near)
        counts = np.bincount(row * num_classes + labels[column], weights, minlength=b * num_classes)
        shares[start : start + b] = counts.reshape(b, num_classes) / near[:, None]
    return shares


def _scaled(features: NDArray[Any]) -> NDArray[np.float32]:
    """Rows around their middle, of usual length 1: (n, d) → (n, d). Medians, so that none far off takes others' digits."""
    _largest(features)
    centred = features.astype(np.float64)
    centred -= np.median(centred, axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    length = float(np.sqrt(np.median(squares) or squares.mean()))
    return (centred / (length or 1)).astype(np.float32)


def similarities(
    features: NDArray[Any], members: Labels, *, distance: Literal["cosine", "euclidean"] = "cosine"
) -> Iterator[tuple[int, Floats32]]:
    """Number of a first row, and how near all samples are to some rows, minus infinity in their own group: (b, n) each.

    Near is the cosine, or what orders samples as the Euclidean distance does.

    Args:
        features: Shape (n, d).
        members: Number of each sample's group, from 0, shape (n,).
        distance: By what they are near.

    Raises:
        BadData: Features that are not finite.
    """
    units, n = unit_rows(features) if distance == "cosine" else _scaled(features), len(features)
    halves = np.einsum("ij,ij->i", units, units, dtype=np.float64).astype(np.float32) / 2
    alone = np.bincount(members)[members] == 1
    rows = max(1, CHUNK // n)
    for start in range(0, n, rows):
        similar = units[start : start + rows] @ units.T
        if distance == "euclidean":
            similar -= halves  # the nearest sample has the largest x·y - ‖y‖²/2
        b = len(similar)
        similar[np.arange(b), start + np.arange(b)] = -np.inf
        for i in np.flatnonzero(~alone[start : start + b]):
            similar[i, members == members[start + i]] = -np.inf
        yield start, similar


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
    for start, similar in similarities(features, np.arange(n)):
        rows = np.arange(len(similar))
        first = similar.argmax(1)
        highest = similar[rows, first]
        similar[rows, first] = -np.inf
        second = similar.argmax(1)
        lowest = similar[rows, second]
        similar[rows, second] = -np.inf
        third = similar[rows, similar.argmax(1)]  # faster than the maximum
        similar[rows, second] = lowest
        similar[rows, first] = highest  # last, as the second is the first again where there is no other
        for row in np.flatnonzero((lowest >= highest - np.float32(TIED)) | (third >= lowest - np.float32(TIED))):
            first[row], second[row] = _next_two(similar[row], start + int(row))
        two[start + rows] = np.column_stack([first, second])
    two[:, max(0, n - 1) :] = -1
    return two


def _next_two(similar: Floats32, sample: int) -> tuple[int, int]:
    """The two nearest, of those tied the next after the sample: similarities (n,), minus infinity of the sample itself."""
    places = []
    for _ in range(2):
        tied = np.flatnonzero(similar >= similar.max() - np.float32(TIED))
        places.append(int(tied[np.searchsorted(tied, sample) % len(tied)]))
        similar[places[-1]] = -np.inf
    return places[0], places[1]


def shared_places(similar: Floats32, near: Labels) -> tuple[Indices, Indices, Floats]:
    """Row, column and weight of each neighbour: ``near`` of each row (b,), of similarities (b, n), all of shape (m,).

    A weight is 1, or less of those tied at the last place, which share the places that are left.
    """
    n = similar.shape[1]
    last = np.take_along_axis(np.partition(similar, np.unique(n - near), axis=1), (n - near)[:, None], axis=1)
    row, column = np.nonzero(similar >= last - TIED)
    above = similar[row, column] > last[row, 0] + TIED
    sure = np.bincount(row[above], minlength=len(near))
    tied = np.bincount(row[~above], minlength=len(near))
    return row, column, np.where(above, 1.0, ((near - sure) / tied)[row])


def unit_rows(features: NDArray[Any]) -> NDArray[np.float32]:
    """Rows of length 1, or 0 where they are 0: (n, d) → (n, d)."""
    largest = _largest(features)
    units = np.zeros(features.shape, dtype=np.float32)
    # The largest first, so that no square overflows.
    np.divide(features, largest[:, None], out=units, where=largest[:, None] > 0, casting="same_kind")
    lengths = np.sqrt(np.einsum("ij,ij->i", units, units, dtype=np.float64))
    units /= np.maximum(lengths, 1)[:, None].astype(np.float32)
    return units


def _largest(features: NDArray[Any]) -> NDArray[Any]:
    """Largest absolute value of each row, (n, d) → (n,), all of which must be finite."""
    largest: NDArray[Any] = np.maximum(features.max(axis=1), -features.min(axis=1))
    bad = np.flatnonzero(~np.isfinite(largest))
    if bad.size:
        msg = f"features[{bad[0]}] holds a value that is not finite ({bad.size} such rows); expected numbers"
        raise BadData(msg)
    return largest
