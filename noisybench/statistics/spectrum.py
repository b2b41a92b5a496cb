"""Features as coordinates along their principal axes: what ridge regression and logistic regression start from."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, check_features
from noisybench.ground.errors import BadData, BadUsage

MOST_SIDE = 8_192
"""Side of the largest square matrix that is decomposed: 0.5 GB, and minutes."""
FLAT = 1e-9
"""A centred row whose length is at most this part of the largest number of all is the mean row but for rounding."""
BLOCK = 2**23
"""Numbers that are multiplied at a time: 64 MB."""


class PrincipalAxes(NamedTuple):
    """Samples along the principal axes of their features.

    Attributes:
        coordinates: Along each axis, shape (n, r).
        squares: Sum of the squares of each, largest first, shape (r,).
    """

    coordinates: Floats
    squares: Floats


def centred_units(features: NDArray[Any], n: int) -> Floats:
    """Features less their mean, each row divided by its length: (n, d) → (n, d); a row that is the mean row stays 0.

    Raises:
        BadData: They are no finite floats of shape (n, d), or fewer than two samples.
    """
    check_several_rows(features, n)
    units = features.astype(np.float64)
    scale = np.abs(units).max(axis=1)
    bad = np.flatnonzero(~np.isfinite(scale))
    if bad.size:
        msg = f"features[{bad[0]}] holds a value that is not finite ({bad.size} such rows); expected numbers"
        raise BadData(msg)
    units /= scale.max() or 1.0  # first, so that no square overflows
    units -= units.mean(axis=0)
    lengths = np.sqrt(np.einsum("ij,ij->i", units, units))
    flat = lengths <= FLAT
    units[flat] = 0
    units /= np.where(flat, 1.0, lengths)[:, None]
    return units


def check_several_rows(features: NDArray[Any], n: int) -> None:
    """Raise ``BadData`` unless features are floats of shape (n, d), of two samples or more."""
    check_features(features, n)
    if n < 2:  # noqa: PLR2004
        msg = f"there are features of {n} sample, expected at least two: one is judged by the others"
        raise BadData(msg)


def spectrum(values: Floats, most: int | None = None) -> PrincipalAxes:
    """Coordinates along the principal axes and their sums of squares, largest first: (n, d) → (n, r) and (r,).

    Z of X = Z Vᵀ with orthonormal V, so that Z Zᵀ = X Xᵀ and ZᵀZ is diagonal; r is at most the smaller of n and d. By an
    eigendecomposition of XᵀX or X Xᵀ, whichever is smaller: exact, and nothing is drawn. ``values`` are overwritten.

    Args:
        values: X, not centred here.
        most: Leading coordinates that are kept; None keeps all.

    Raises:
        BadUsage: Both sides are larger than ``MOST_SIDE``.
    """
    n, d = values.shape
    side = min(n, d)
    if side > MOST_SIDE:
        msg = (
            f"{n} samples of {d} features need the eigenvectors of a matrix of {side} × {side}, and at most {MOST_SIDE} are "
            f"taken; choose features of fewer dimensions, such as pca"
        )
        raise BadUsage(msg)
    tall = d <= n
    squares, axes = np.linalg.eigh(values.T @ values if tall else values @ values.T)
    kept = slice(None, None, -1) if most is None else slice(None, -min(most, side) - 1, -1)
    squares, axes = np.maximum(squares[kept], 0), axes[:, kept]
    if not tall:
        return PrincipalAxes(axes * np.sqrt(squares), squares)
    r = len(squares)
    for start in range(0, n, max(1, BLOCK // d)):
        rows = slice(start, start + max(1, BLOCK // d))
        values[rows, :r] = values[rows] @ axes
    return PrincipalAxes(values[:, :r], squares)
