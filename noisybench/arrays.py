"""Label arrays: their type, their checks, their digests."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.errors import BadData

Labels = NDArray[np.int64]

UNKNOWN = -1
"""Stands in a label array where nobody knows the class."""

WRONG = -2
"""Stands in an array of clean labels where the label as published is known to be wrong, and the right class is not."""


def check_labels(
    labels: NDArray[Any], num_classes: int, *, allow_unknown: bool = False, what: str = "labels"
) -> Labels:
    """``labels`` read-only, or an error that says which entry is not a class index.

    Args:
        labels: Class indices, shape (n,), int64.
        num_classes: Classes are ``0 .. num_classes - 1``.
        allow_unknown: Whether ``UNKNOWN`` and ``WRONG`` may stand for a class nobody knows.
        what: Name of the array in the message.

    Raises:
        BadData: A wrong dtype or shape, or an entry outside the classes.
    """
    if labels.dtype != np.int64 or labels.ndim != 1:
        msg = f"{what} must be int64 of shape (n,), got {labels.dtype} of shape {labels.shape}"
        raise BadData(msg)
    lowest = WRONG if allow_unknown else 0
    outside = np.flatnonzero((labels < lowest) | (labels >= num_classes))
    if outside.size:
        first = outside[0]
        msg = f"{what}[{first}] = {labels[first]} is not a class of 0..{num_classes - 1} ({outside.size} such entries)"
        raise BadData(msg)
    return read_only(labels)


def as_labels(values: Any, *, what: str = "labels") -> Labels:  # noqa: ANN401 - whatever a file holds
    """Integers of shape (n,) as int64; anything else is refused rather than rounded, raveled or decoded.

    Raises:
        BadData: Floats, one-hot rows, strings or a ragged list.
    """
    array = as_array(values, what=what)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        rows = array.ndim == 2  # noqa: PLR2004 - one for each sample
        mend = "take the argmax of one-hot rows first" if rows and array.shape[1] > 1 else "number the classes 0..k-1"
        msg = f"{what} must be integers of shape (n,), got {array.dtype} of shape {array.shape}; {mend}"
        raise BadData(msg)
    labels = array.astype(np.int64)
    if (labels.astype(array.dtype) != array).any() or (array.dtype.kind == "u" and (labels < 0).any()):
        msg = f"{what} hold {array.max()}, which is no 64-bit class index"
        raise BadData(msg)
    return labels


def as_array(values: Any, *, what: str) -> NDArray[Any]:  # noqa: ANN401 - anything NumPy can read
    """``values`` as an array.

    Raises:
        BadData: Rows of several lengths.
    """
    try:
        return np.asarray(values)
    except ValueError:
        msg = f"{what} must be an array, got rows of several lengths"
        raise BadData(msg) from None


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def label_digest(labels: Labels) -> str:
    """SHA-256 of the labels as little-endian int64, so that it is the same on every machine."""
    return hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()


def fingerprint(labels: Labels) -> str:
    """SHA-256 of the labels as uint8: the short-hand by which published sample orders are recognised."""
    return hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()
