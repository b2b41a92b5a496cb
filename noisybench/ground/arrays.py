"""Label arrays: their type, their checks, their digests."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData

TOLERANCE = 1e-3
"""How far a row of probabilities may be from summing to 1; a softmax in float16 is within half of it."""

Bools = NDArray[np.bool_]
Features = NDArray[np.float32]
Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Images = NDArray[np.uint8]
Indices = NDArray[np.intp]
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
    given: object = labels  # whatever a caller gave
    if not isinstance(given, np.ndarray):
        msg = f"{what} must be an array of int64, got {type(given).__name__}"
        raise BadData(msg)
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


def check_features(features: NDArray[Any], n: int) -> None:
    """Raise ``BadData`` unless ``features`` are floats of shape (n, d); whether they are finite is not looked at."""
    given: object = features  # whatever a caller gave
    array = isinstance(given, np.ndarray)
    if not array or features.dtype.kind != "f" or features.ndim != 2 or len(features) != n or not features.size:  # noqa: PLR2004
        shown = f"{features.dtype} of shape {features.shape}" if array else type(given).__name__
        msg = f"features must be floats of shape (n, d) with n = {n}, got {shown}"
        raise BadData(msg)


def check_groups(groups: NDArray[Any], n: int, *, several: bool = True) -> Labels:
    """Number of each sample's group as 0, 1, …, in the order of the numbers given: (n,) → (n,), int64.

    Raises:
        BadData: They are no integers of shape (n,), or, with ``several``, all samples are one group.
    """
    given: object = groups  # whatever a caller gave
    if not isinstance(given, np.ndarray) or groups.dtype.kind not in "iu" or groups.shape != (n,):
        shown = f"{groups.dtype} of shape {groups.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        msg = f"groups must be integers of shape (n,) with n = {n}, the number of each sample's group, got {shown}"
        raise BadData(msg)
    names, numbers = np.unique(groups, return_inverse=True)
    if several and len(names) == 1:
        msg = f"groups put all {n} samples into one, so that nothing is left to judge one by; expected at least two groups"
        raise BadData(msg)
    return numbers.astype(np.int64)


def check_array(values: object, what: str, *, dimensions: int, kinds: str = "iuf") -> None:
    """Raise ``BadData`` for what is no array of numbers of so many dimensions; ``kinds`` are those of NumPy."""
    if not isinstance(values, np.ndarray) or values.ndim != dimensions or values.dtype.kind not in kinds:
        shown = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        msg = f"{what} must be an array of numbers of {dimensions} dimension{'s' * (dimensions > 1)}, got {shown}"
        raise BadData(msg)


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
        BadData: Rows of several lengths, what NumPy cannot read, or a masked array that hides values.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        msg = f"{what} must be an array, got rows of several lengths"
        raise BadData(msg) from None
    except (TypeError, RuntimeError) as error:  # such as tensors with a gradient, on a GPU, or of a type NumPy lacks
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{what} cannot be read as an array: {reason}; of a tensor, give .detach().cpu().float().numpy()"
        raise BadData(msg) from None
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        hidden = int(np.ma.getmaskarray(values).sum())
        msg = f"{what} are masked in {hidden} places, and what stands below a mask is no value; fill or drop them"
        raise BadData(msg)
    return array


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


BLOCK = 1 << 20
"""Numbers that are worked on at once where an array may be as large as memory: as float64 they fit a processor's cache."""


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of an array of this shape (n, …), some at a time, so that what is made of them takes little memory."""
    rows = max(1, BLOCK // max(1, math.prod(shape[1:])))
    return (slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows))


def check_probabilities(probabilities: NDArray[Any], n: int, *, what: str = "probabilities") -> None:
    """Raise an error that says which row is no distribution over classes; no copy is made, so that it may be a memory map.

    Args:
        probabilities: Shape (n, k), k at least 2.
        n: Samples there must be.
        what: Name of the array in the message.

    Raises:
        BadData: A wrong type or shape, an entry that is not finite or not in [0, 1], or a row whose sum is further than
            ``TOLERANCE`` from 1.
    """
    dtype, shape = probabilities.dtype, probabilities.shape
    if dtype.kind not in "fiu" or len(shape) != 2 or shape[0] != n or n < 1 or shape[1] < 2:  # noqa: PLR2004
        msg = f"{what} must be numbers of shape (n, k) with n = {n} and k at least 2, got {dtype} of shape {shape}"
        raise BadData(msg)
    odd, off = [], []
    for part in row_blocks(shape):
        values = _floats(probabilities[part])
        if not (values.min() >= 0 and values.max() <= 1 + TOLERANCE):  # so of NaN as well
            odd.append(part.start + np.flatnonzero(~_within(values).all(1)))
        off.append(part.start + _far_from_one(values))
    if odd:
        bad = np.concatenate(odd)
        row = probabilities[bad[0]].astype(np.float64)
        msg = (
            f"{what}[{bad[0]}] holds {row[~_within(row)][0]:g}, which is no probability ({bad.size} such rows); "
            f"expected each class's probability by a model that did not see the sample"
        )
        raise BadData(msg)
    bad = np.concatenate(off)
    if bad.size:
        msg = (
            f"{what}[{bad[0]}] sums to {probabilities[bad[0]].sum(dtype=np.float64):.4f} ({bad.size} such rows), expected 1 within {TOLERANCE}; "
            f"give the softmax over all classes"
        )
        raise BadData(msg)


def _floats(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _far_from_one(values: NDArray[Any]) -> Indices:
    """Rows whose sum is further than ``TOLERANCE`` from 1: those that are near it by a product are not summed as float64."""
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and more, which are refused as they stand
        sums = values @ np.ones(values.shape[1], dtype=values.dtype)
        rounding = values.shape[1] * np.finfo(values.dtype).eps
        doubtful = np.flatnonzero(~(np.abs(sums - 1) <= TOLERANCE - rounding))
        exact = values[doubtful].sum(1, dtype=np.float64)
        return doubtful[np.abs(exact - 1) > TOLERANCE]


def _within(values: NDArray[Any]) -> Bools:
    return np.asarray((values >= 0) & (values <= 1 + TOLERANCE))


def as_probabilities(probabilities: NDArray[Any], n: int, *, what: str = "probabilities") -> Floats:
    """``probabilities`` as float64, (n, k), once ``check_probabilities`` finds nothing wrong with them."""
    check_probabilities(probabilities, n, what=what)
    return probabilities.astype(np.float64)
