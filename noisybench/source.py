"""A source: inputs, the labels they came with, and what is known of the right ones."""

import hashlib
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import getattr_static
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import UNKNOWN, Labels, as_array, as_labels, check_labels, read_only
from noisybench.ground.checks import unknown, whole
from noisybench.ground.errors import BadData, BadUsage, UnknownName

Augmentation = Literal["none", "crop", "crop_flip"]
Option = str | int | float | bool
IMAGE_DIMENSIONS = 4  # n, h, w, c
MOST_CHANNELS = 4  # of an image whose height could be its channels
BLOCK = 1 << 14
"""Features that are looked at together where all of them are: a memory map is never read whole."""
BLOCK_BYTES = 1 << 24
"""Of inputs that are read together, likewise."""
MOST_UNNAMED = 100_000  # classes; a larger label is a mistake, such as a sample's id


class LazyInputs(Protocol):
    """Inputs that are read when they are asked for, such as those of ``noisybench.lazy``; they go to other processes.

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


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Training inputs, the labels they came with, and a test set.

    Attributes:
        name: Name of the loader, such as ``"cifar10"``.
        inputs: Images (n, h, w, c) uint8 or features (n, d) float32, in the order of the published files; an array, a
            memory map, or what is read when it is asked for, see ``LazyInputs``.
        labels: Labels as published, shape (n,).
        clean: Reference labels, shape (n,); ``UNKNOWN`` where there is none, ``WRONG`` where no more is known than that
            the label is not right.
        test_inputs: Like ``inputs``, shape (m, ...); None where there is no test set.
        test_labels: Shape (m,); None where there is no test set.
        class_names: One name per class, in index order.
        sha256: Digest of ``inputs`` and ``labels`` as read, see ``source_digest``.
        order: The sample order that was recognised, in words.
        augmentation: What may be done to a training image without changing its class.
        options: The loader's options, without paths.
        limit: How many samples were kept, where not all were.
        marks: What was done to samples that is no flip of a label, by name: true or false, and whose input it is, each
            of shape (n,); see ``noisybench.altering``.
        sample_names: What people call each sample, such as its file below the folder of the source, shape (n,); None
            where the number is all there is. They are no part of the digest.
    """

    name: str
    inputs: Any  # AnyInputs; by that type, everyone with an array would have to prove that it is one
    labels: Labels
    clean: Labels
    test_inputs: Any  # AnyInputs | None
    test_labels: Labels | None
    class_names: tuple[str, ...]
    sha256: str
    order: str = "as read"
    augmentation: Augmentation = "none"
    options: Mapping[str, Option] = field(default_factory=dict)
    limit: int | None = None
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    sample_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_marks(self.marks, len(self.labels))
        check_labels(self.labels, self.num_classes, what=f"source '{self.name}': labels")
        check_labels(self.clean, self.num_classes, allow_unknown=True, what=f"source '{self.name}': clean labels")
        _check_inputs(self.inputs, f"inputs of source '{self.name}'")
        if not len(self.labels) or (self.test_labels is not None and not len(self.test_labels)):
            msg = f"source '{self.name}' has an empty training or test set; expected samples (or no test set at all)"
            raise BadData(msg)
        check_names(self.class_names, f"source '{self.name}'")
        if len(set(self.class_names)) != len(self.class_names):
            msg = f"source '{self.name}' has two classes of one name among: {', '.join(self.class_names)}"
            raise BadData(msg)
        if not len(self.inputs) == len(self.labels) == len(self.clean):
            msg = (
                f"source '{self.name}' has {len(self.inputs)} inputs, {len(self.labels)} labels "
                f"and {len(self.clean)} clean labels; expected as many of each"
            )
            raise BadData(msg)
        if self.sample_names is not None and len(self.sample_names) != len(self.labels):
            msg = f"source '{self.name}' has {len(self.labels)} samples and {len(self.sample_names)} names of them"
            raise BadData(msg)
        if (self.test_inputs is None) != (self.test_labels is None):
            msg = f"source '{self.name}' has test inputs or test labels without the other; give both or neither"
            raise BadData(msg)
        if self.test_inputs is not None and self.test_labels is not None:
            check_labels(self.test_labels, self.num_classes, what=f"source '{self.name}': test labels")
            if self.test_inputs.shape[1:] != self.inputs.shape[1:] or len(self.test_inputs) != len(self.test_labels):
                msg = (
                    f"source '{self.name}' has test inputs of shape {self.test_inputs.shape} and "
                    f"{len(self.test_labels)} test labels; expected (m, {', '.join(map(str, self.inputs.shape[1:]))})"
                )
                raise BadData(msg)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input as a model sees it: (c, h, w) for images, (d,) for features."""
        if self.inputs.ndim == IMAGE_DIMENSIONS:
            h, w, c = self.inputs.shape[1:]
            return (c, h, w)
        return tuple(self.inputs.shape[1:])


class LoadSource(Protocol):
    """What a file of ``sources/`` gives: a frozen dataclass whose fields are the loader's options."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        """Read the first ``limit`` training samples (None: all) from ``data`` (None: the cache, after a download)."""


def source_from_arrays(
    name: str,
    inputs: Any,  # noqa: ANN401 - anything NumPy can read
    labels: Any,  # noqa: ANN401
    *,
    clean: Any = None,  # noqa: ANN401
    test_inputs: Any = None,  # noqa: ANN401
    test_labels: Any = None,  # noqa: ANN401
    class_names: Sequence[str] | None = None,
    order: str = "as read",
    augmentation: Augmentation = "none",
    options: Mapping[str, Option] | None = None,
    limit: int | None = None,
    sample_names: Sequence[str] | None = None,
) -> Source:
    """A source from arrays, or from inputs that are read lazily.

    Args:
        name: Name of the source.
        inputs: Images (n, h, w, c) or (n, h, w) uint8, or features (n, d) of any real type; or ``LazyInputs``.
        labels: Class indices, shape (n,).
        clean: Reference labels, shape (n,), -1 where unknown, -2 where the label is known to be wrong and the right class
            is not; None where nobody knows any.
        test_inputs: Shape (m, ...), or None.
        test_labels: Shape (m,), or None.
        class_names: One per class; None names them by their index.
        order: The sample order that was recognised, in words.
        augmentation: What may be done to a training image without changing its class.
        options: The loader's options, without paths.
        limit: Keep the first ``limit`` training samples.
        sample_names: What people call each, shape (n,).

    Raises:
        BadUsage: A limit that is no positive whole number, or an augmentation that does not exist.
        BadData: Arrays that do not fit together, or inputs that are NaN or infinite.
    """
    given = as_labels(labels, what=f"labels of source '{name}'")
    if augmentation not in get_args(Augmentation):
        raise UnknownName(unknown(augmentation, get_args(Augmentation), "augmentation"))
    limit = None if limit is None else whole(limit, "limit", least=1)
    if limit is not None and limit >= len(given):
        limit = None
    kept = slice(limit)
    reference = np.full_like(given, UNKNOWN) if clean is None else as_labels(clean, what="clean labels")
    tested = None if test_labels is None else as_labels(test_labels, what="test labels")
    if class_names is None:
        highest = max(int(array.max(initial=0)) for array in (given, reference))
        if highest >= MOST_UNNAMED:
            msg = f"source '{name}': a label is {highest}, expected classes 0..k-1; renumber them, or give class_names"
            raise BadData(msg)
        class_names = [str(k) for k in range(highest + 1)]
    columns = _as_inputs(inputs, f"inputs of source '{name}'")
    if limit is not None and limit < len(columns):
        columns = rows_of(columns, kept)
    given = given[kept]
    return Source(
        name=name,
        inputs=columns,
        labels=read_only(given),
        clean=read_only(reference[kept]),
        test_inputs=None if test_inputs is None else _as_inputs(test_inputs, f"test inputs of source '{name}'"),
        test_labels=None if tested is None else read_only(tested),
        class_names=tuple(class_names),
        sha256=source_digest(columns, given),
        order=order,
        augmentation=augmentation,
        options=dict(options or {}),
        limit=limit,
        sample_names=None if sample_names is None else sample_names[kept],
    )


def source_digest(inputs: AnyInputs, labels: Labels) -> str:
    """SHA-256 over the inputs' type, shape and bytes (or their own digest) and the labels as little-endian int64."""
    digest = hashlib.sha256(f"{inputs.dtype.name} {inputs.shape}".encode())
    add_inputs(digest, inputs)
    digest.update(labels.astype("<i8").data)
    return digest.hexdigest()


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


def _as_inputs(values: Any, what: str) -> AnyInputs:  # noqa: ANN401 - anything NumPy can read
    """uint8 images with a channel axis, or float32 features; a memory map stays one, and lazy inputs stay unread."""
    if getattr_static(values, "digest", values) is not values:  # looked at, not asked for: it may take reading a lot
        lazy: LazyInputs = values
        _check_inputs(lazy, what)
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
    _check_inputs(array, what)
    return read_only(array)


def check_marks(marks: Mapping[str, NDArray[Any]], n: int) -> None:
    """Raise ``BadData`` unless every mark has a plain name and is true or false, or an index, for each of n samples."""
    for name, mark in marks.items():
        if not (name.isidentifier() and name.isascii()):
            msg = f"a mark is called {name!r}; expected a name of letters, digits and underscores"
            raise BadData(msg)
        if mark.shape != (n,) or mark.dtype not in (np.bool_, np.int64):
            msg = f"mark '{name}' is {mark.dtype} of shape {mark.shape}, expected bool or int64 of shape ({n},)"
            raise BadData(msg)


def check_names(names: Sequence[str], what: str) -> None:
    """Raise ``BadData`` unless every class name can be written to a file and to a line of text."""
    for k, name in enumerate(names):
        if not isinstance(name, str) or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            msg = (
                f"{what}: the name of class {k}, {name!r}, is no text of whole, printable characters; "
                f"give the class another name"
            )
            raise BadData(msg)


def _check_inputs(inputs: AnyInputs, what: str) -> None:
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
