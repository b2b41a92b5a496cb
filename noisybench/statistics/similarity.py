"""How near samples are to each other, as products of float32 rows in blocks, and who share the last places. No torch here."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Floats32, Indices, Labels
from noisybench.ground.errors import BadData

CHUNK = 2**23
"""Similarities in memory at a time: 32 MB."""
TIED = 1e-6
"""Similarities this near to each other are equal: float32 products are no more exact than that."""
Distance = Literal["cosine", "euclidean"]


class Points(NamedTuple):
    """Samples where their nearness is a product.

    Attributes:
        rows: Of length 1 for the cosine, around their middle for Euclidean distance, shape (n, d).
        halves: For Euclidean distance ‖x‖²/2 of each, shape (n,); None for the cosine.
        members: Number of each sample's group, from 0, shape (n,).
    """

    rows: Floats32
    halves: Floats32 | None
    members: Labels


def points_of(features: NDArray[Any], members: Labels, *, distance: Distance = "cosine") -> Points:
    """The samples as points: (n, d) and (n,).

    Args:
        features: Shape (n, d).
        members: Number of each sample's group, from 0, shape (n,).
        distance: By what they are near.

    Raises:
        BadData: Features that are not finite.
    """
    if distance == "cosine":
        return Points(unit_rows(features), None, members)
    rows = _scaled(features)
    halves = np.einsum("ij,ij->i", rows, rows, dtype=np.float64).astype(np.float32) / 2
    return Points(rows, halves, members)


def similarities(points: Points, some: Indices | None = None) -> Iterator[tuple[Indices, Floats32]]:
    """Numbers of some samples (b,), and how near all are to these (b, n), minus infinity in their own group.

    Near is the cosine, or what orders samples as the Euclidean distance does: x·y - ‖y‖²/2.

    Args:
        points: The samples.
        some: Whose similarities are asked, shape (m,); None asks for those of all.
    """
    rows, halves, members = points
    n = len(rows)
    alone = np.bincount(members)[members] == 1
    asked = np.arange(n) if some is None else some
    step = max(1, CHUNK // n)
    for start in range(0, len(asked), step):
        part = asked[start : start + step]
        similar = (rows[start : start + step] if some is None else rows[part]) @ rows.T
        if halves is not None:
            similar -= halves
        similar[np.arange(len(part)), part] = -np.inf
        for i in np.flatnonzero(~alone[part]):
            similar[i, members == members[part[i]]] = -np.inf
        yield part, similar


def shared_places(similar: Floats32, near: Labels) -> tuple[Indices, Indices, Floats]:
    """Row, column and weight of each neighbour: ``near`` of each row (b,), of similarities (b, n), all of shape (m,).

    A weight is 1, or less of those tied at the last place, which share the places that are left.
    """
    n = similar.shape[1]
    last = np.take_along_axis(np.partition(similar, np.unique(n - near), axis=1), (n - near)[:, None], axis=1)[:, 0]
    row, column = np.nonzero(similar >= last[:, None] - TIED)
    return row, column, place_weights(row, similar[row, column], last, near)


def place_weights(row: Indices, values: Floats32, last: Floats32, near: Labels) -> Floats:
    """Weight of each neighbour: 1, or less of those tied at the last place, which share the places that are left: (m,).

    Args:
        row: Whose neighbour it is, shape (m,).
        values: Similarity to it, shape (m,).
        last: Similarity of the last neighbour of each row, shape (b,).
        near: Neighbours of each row, shape (b,).
    """
    above = values > last[row] + TIED
    sure = np.bincount(row[above], minlength=len(near))
    tied = np.bincount(row[~above], minlength=len(near))
    return np.where(above, 1.0, ((near - sure) / tied)[row])


def unit_rows(features: NDArray[Any]) -> Floats32:
    """Rows of length 1, or 0 where they are 0: (n, d) → (n, d).

    Raises:
        BadData: Features that are not finite.
    """
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


def _scaled(features: NDArray[Any]) -> Floats32:
    """Rows around their middle, of usual length 1: (n, d) → (n, d). Medians, so that none far off takes others' digits."""
    _largest(features)
    centred = features.astype(np.float64)
    centred -= np.median(centred, axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    length = float(np.sqrt(np.median(squares) or squares.mean()))
    return (centred / (length or 1)).astype(np.float32)
