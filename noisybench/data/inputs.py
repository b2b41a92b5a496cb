"""Inputs: arrays, or anything with a length that gives rows when they are asked for."""

import hashlib
import math
from inspect import getattr_static
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import as_array, read_only
from noisybench.ground.errors import BadData, BadUsage

IMAGE_DIMENSIONS = 4  # n, h, w, c
MOST_CHANNELS = 4  # of an image whose height could be its channels
BLOCK = 1 << 14
"""Features that are looked at together where all of them are: a memory map is never read whole."""
BLOCK_BYTES = 1 << 24
"""Bytes of inputs that are read together, likewise."""


class LazyInputs(Protocol):
    """Inputs that are read when they are asked for, such as those of ``noisybench.data.lazy_inputs``; they go to other processes.

    Attributes:
        shape: (n, h, w, c) of images or (n, d) of features.
        dtype: uint8 of images, float32 of features.
        ndim: Length of ``shape``.
        digest: Of what they are, without reading them all (such as the names and sizes of files); None takes the digest
            that an array of them would have.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def digest(self) -> str | None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | NDArray[Any], /) -> NDArray[Any]:
        """Some of them, shape (b, ...); ``rows``: a slice, or their numbers (b,) in any order."""

    def take(self, rows: slice | NDArray[Any], /) -> "LazyInputs":
        """Some of them, unread."""


AnyInputs = NDArray[Any] | LazyInputs


def add_inputs(digest: "hashlib._Hash", inputs: AnyInputs) -> None:
    """Add the bytes of inputs to a digest, a block at a time; of lazy ones their own digest, where they have one."""
    own = None if isinstance(inputs, np.ndarray) else inputs.digest
    if own is not None:
        digest.update(own.encode())
        return
    rows = max(1, BLOCK_BYTES // max(1, bytes_of(inputs) // max(1, len(inputs))))
    for start in range(0, len(inputs), rows):
        chunk = np.ascontiguousarray(read_rows(inputs, slice(start, start + rows)))
        digest.update(chunk.astype(chunk.dtype.newbyteorder("<"), copy=False).data)


def bytes_of(inputs: AnyInputs) -> int:
    """What inputs take, or would take, as an array."""
    return math.prod(inputs.shape) * inputs.dtype.itemsize


def read_rows(inputs: AnyInputs, rows: slice | NDArray[Any]) -> NDArray[Any]:
    """Some inputs, shape (b, ...). Of lazy ones, what could not be seen of all of them before is checked now.

    Raises:
        BadData: They have another type or shape than was said, or are NaN or infinite.
    """
    values = inputs[rows]
    if isinstance(inputs, np.ndarray):
        return values
    if values.dtype != inputs.dtype or values.shape[1:] != inputs.shape[1:]:
        msg = (
            f"inputs that are read lazily say that each is {inputs.dtype} of shape {inputs.shape[1:]}, and give "
            f"{values.dtype} of shape {values.shape[1:]}; mend what reads them"
        )
        raise BadData(msg)
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values).all(1))
        if bad.size:
            numbers = np.arange(len(inputs))[rows] if isinstance(rows, slice) else rows
            msg = f"inputs must be finite, row {numbers[bad[0]]} is not; drop or impute such rows"
            raise BadData(msg)
    return values


def rows_of(inputs: AnyInputs, rows: slice | NDArray[Any]) -> AnyInputs:
    """Some inputs; lazy ones stay unread."""
    return read_only(inputs[rows]) if isinstance(inputs, np.ndarray) else inputs.take(rows)


def in_memory(inputs: AnyInputs, what: str) -> NDArray[Any]:
    """The array that ``inputs`` are, for what needs all of them at once.

    Raises:
        BadUsage: They are read lazily.
    """
    if isinstance(inputs, np.ndarray):
        return inputs
    msg = (
        f"{what} needs all inputs at once, and these {len(inputs):,} are read lazily because they would take "
        f"{bytes_of(inputs) / 1e9:.3g} GB; choose what reads a part at a time, or a source that is held in memory"
    )
    raise BadUsage(msg)


def as_inputs(values: Any, what: str) -> AnyInputs:  # noqa: ANN401 - anything NumPy can read
    """uint8 images with a channel axis, or float32 features; a memory map stays one, and lazy inputs stay unread."""
    if getattr_static(values, "digest", values) is not values:  # looked at, not asked for: it may take reading a lot
        lazy: LazyInputs = values
        check_inputs(lazy, what)
        return lazy
    array = values if isinstance(values, np.memmap) else as_array(values, what=what)
    if array.dtype.kind not in "fiub":
        msg = f"{what} must be numbers, got {array.dtype}"
        raise BadData(msg)
    if array.dtype == np.uint8 and array.ndim == IMAGE_DIMENSIONS - 1:
        array = array[..., None]
    elif array.ndim == 2 and array.dtype != np.float32:  # noqa: PLR2004 - n, d
        with np.errstate(over="ignore"):  # what overflows is infinite, and said below
            array = array.astype(np.float32)
    check_inputs(array, what)
    return read_only(array)


def check_inputs(inputs: AnyInputs, what: str) -> None:
    """Raise ``BadData`` unless these are images or features, finite where they lie in memory."""
    images = inputs.ndim == IMAGE_DIMENSIONS and inputs.dtype == np.uint8
    features = inputs.ndim == 2 and inputs.dtype == np.float32  # noqa: PLR2004 - n, d
    if not images and not features:
        msg = f"{what} must be images (n, h, w, c) uint8 or features (n, d), got {inputs.dtype} of shape {inputs.shape}"
        raise BadData(msg)
    if 0 in inputs.shape[1:]:
        msg = f"{what} have shape {inputs.shape}: each must hold at least one number"
        raise BadData(msg)
    if images and inputs.shape[1] in (1, 3) and not 1 <= inputs.shape[3] <= MOST_CHANNELS:
        msg = (
            f"{what} have shape {inputs.shape}, which looks like channels first; give (n, h, w, c), as "
            f"inputs.transpose(0, 2, 3, 1) does (if they really are {inputs.shape[1]} high, pad their height)"
        )
        raise BadData(msg)
    if features and isinstance(inputs, np.ndarray):  # of lazy ones, as they are read
        finite = np.ones(len(inputs), dtype=bool)
        for start in range(0, len(inputs), BLOCK):
            finite[start : start + BLOCK] = np.isfinite(inputs[start : start + BLOCK]).all(1)
        bad = np.flatnonzero(~finite)
        if bad.size:
            msg = f"{what} must be finite, row {bad[0]} is not ({bad.size} such rows); drop or impute them"
            raise BadData(msg)
