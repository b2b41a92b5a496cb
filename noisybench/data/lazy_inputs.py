"""Lazy inputs: images and columns that are read when they are asked for, for sets that do not fit in memory.

What they give is what ``Source.inputs`` may be besides an array: see ``noisybench.data.inputs.LazyInputs``. Nothing here
needs torch.
"""

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.ground.arrays import Images
from noisybench.ground.checks import a_path, whole
from noisybench.ground.errors import BadData, BadUsage

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

RowIndex = slice | NDArray[Any]

GREY = ("1", "L", "LA")
COLOUR = (*GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
BLOCK = 10_000
"""Names or rows that are looked at together where all of them are."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files as inputs (n, side, side, 3), uint8; each is opened when it is asked for.

    Of an image that is not ``side`` × ``side``, the largest centred square is cut out and resized to that, bilinearly
    over all the pixels that a new one covers; a JPEG of at least four times the side is first decoded at a half, a quarter
    or an eighth of its size. Grey becomes colour, alpha is dropped, and the rotation that a camera noted is not done. The
    names are kept as one Arrow column: a million of 45 characters take 53 MB.

    Attributes:
        root: Folder that the names are relative to.
        names: Of the files, in the order of the samples: text, or an Arrow column of it.
        side: Height and width, in pixels.

    Raises:
        BadUsage: A side that is no positive whole number.
        BadData: No names; or, when it is asked for, a file that is missing, or no image.
    """

    root: Path
    names: Any  # a pyarrow.LargeStringArray once it is made
    side: int

    def __post_init__(self) -> None:
        import pyarrow as pa

        object.__setattr__(self, "root", a_path(self.root, "root"))
        object.__setattr__(self, "side", whole(self.side, "side", least=1))
        names = self.names.combine_chunks() if isinstance(self.names, pa.ChunkedArray) else self.names
        text = pa.large_string()
        try:
            column = names.cast(text) if isinstance(names, pa.Array) else pa.array(names, text)
        except (pa.ArrowException, UnicodeEncodeError) as error:
            msg = f"a name of an image of {self.root} is no text ({error}); rename the file"
            raise BadData(msg) from None
        if not len(column):
            msg = f"no image of {self.root} is named; expected at least one"
            raise BadData(msg)
        object.__setattr__(self, "names", column)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.names), self.side, self.side, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        return IMAGE_DIMENSIONS

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the names and sizes of the files, in order: no file is opened.

        Raises:
            BadData: A file is missing.
        """
        digest, root = hashlib.sha256(), f"{self.root}{os.sep}"
        for start in range(0, len(self), BLOCK):
            for name in self.names[start : start + BLOCK].to_pylist():
                digest.update(_listed(name, root + name))
        return digest.hexdigest()

    def take(self, rows: RowIndex) -> "ImageFiles":
        """Only some of them, unread."""
        return ImageFiles(self.root, self.names.take(_numbers(rows, len(self))), self.side)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: RowIndex) -> Images:
        names = self.names.take(_numbers(rows, len(self))).to_pylist()
        images = np.empty((len(names), *self.shape[1:]), dtype=np.uint8)
        with _no_bombs():
            for i, name in enumerate(names):
                images[i] = _decode(self.root / name, str(self.root / name), self.side, 3)
        return images

    def __repr__(self) -> str:
        return f"ImageFiles('{self.root}', {len(self)} images of {self.side} × {self.side})"

    def __array__(self, *_: object, **__: object) -> NoReturn:
        _refuse(self)


@dataclass(frozen=True, eq=False)
class ArrowRows:
    """Columns of a data set of the package ``datasets``, which maps its Arrow files into memory, as inputs.

    A column of images gives (n, h, w, c) uint8, decoded when they are asked for, with the size and the colours of the
    first unless ``side`` says otherwise (then as ``ImageFiles`` does it); numeric columns give (n, d) float32, and so does
    one column of lists of d numbers; lists of lists of uint8 give images.

    Attributes:
        table: A ``datasets.Dataset``; ``of_file`` makes one of an Arrow file.
        columns: One of images or of lists, or several of numbers.
        side: Height and width that images are brought to, in colour; None leaves them as they are, all of one size.
        shape: Of all of them, shape (n, ...).
        dtype: ``uint8`` of images, else ``float32``.
        encoded: Whether they are images in a format such as JPEG, decoded when they are asked for.

    Raises:
        BadUsage: A column that is not there.
        BadData: The table is empty, or its first row is no input.
    """

    table: Any
    columns: tuple[str, ...]
    side: int | None = None
    shape: tuple[int, ...] = field(init=False)
    dtype: np.dtype[Any] = field(init=False)
    encoded: bool = field(init=False)

    def __post_init__(self) -> None:
        if not hasattr(self.table, "column_names") or not isinstance(self.columns, tuple | list):
            msg = f"rows are of a pyarrow.Table and the names of its columns, got {type(self.table).__name__}"
            raise BadUsage(msg)
        missing = [name for name in self.columns if name not in self.table.column_names]
        if missing or not self.columns:
            msg = f"no column is called {missing[0] if missing else ''!r}; there are: {', '.join(self.table.column_names)}"
            raise BadUsage(msg)
        if not len(self.table):
            msg = f"column '{self.columns[0]}' has no rows; expected samples"
            raise BadData(msg)
        if self.side is not None:
            object.__setattr__(self, "side", whole(self.side, "side", least=1))
        part = self.table.select_columns(list(self.columns))
        feature = part.features[self.columns[0]]
        encoded = len(self.columns) == 1 and (
            type(feature).__name__ == "Image" or (isinstance(feature, dict) and set(feature) == {"bytes", "path"})
        )
        if encoded and not isinstance(feature, dict):
            from datasets import Image

            part = part.cast_column(self.columns[0], Image(decode=False))
        object.__setattr__(self, "table", part.with_format("arrow"))
        object.__setattr__(self, "encoded", encoded)
        first = self._images(slice(1), self.side, None) if encoded else self._columns(slice(1))
        object.__setattr__(self, "shape", (len(part), *first.shape[1:]))
        object.__setattr__(self, "dtype", first.dtype)

    @staticmethod
    def of_file(path: str | Path, columns: Sequence[str], side: int | None = None) -> "ArrowRows":
        """The rows of one Arrow file (a stream, as ``datasets`` writes them), mapped into memory."""
        import pyarrow as pa
        from datasets import Dataset

        try:
            return ArrowRows(Dataset.from_file(str(path)), tuple(columns), side)
        except (OSError, pa.ArrowException) as error:
            msg = f"{path} cannot be read as an Arrow stream: {(str(error).splitlines() or ['it is empty'])[0]}"
            raise BadData(msg) from None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of encoded images, not of their pixels; None of numbers, whose digest is then that of an array."""
        if not self.encoded:
            return None
        digest = hashlib.sha256()
        for start in range(0, len(self), BLOCK):
            for i, image in enumerate(self._table(slice(start, start + BLOCK))[self.columns[0]], start):
                content, path = (image["bytes"], image["path"].as_py()) if image.is_valid else (image, None)
                if image.is_valid and content.is_valid:
                    buffer = content.as_buffer()
                    digest.update(len(buffer).to_bytes(8, "little"))
                    digest.update(buffer)
                elif path is not None:
                    digest.update(_listed(Path(path).name, path))
                else:
                    msg = f"column '{self.columns[0]}' has no image in row {i}; drop such rows first"
                    raise BadData(msg)
        return digest.hexdigest()

    def take(self, rows: RowIndex) -> "ArrowRows":
        """Only some of them, unread."""
        return ArrowRows(self.table.select(_numbers(rows, len(self)), keep_in_memory=True), self.columns, self.side)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: RowIndex) -> NDArray[Any]:
        return self._images(rows, self.side, self.shape[1:]) if self.encoded else self._columns(rows)

    def __repr__(self) -> str:
        return f"ArrowRows({', '.join(self.columns)}: {self.dtype} of shape {self.shape})"

    def __array__(self, *_: object, **__: object) -> NoReturn:
        _refuse(self)

    def _table(self, rows: RowIndex) -> Any:  # noqa: ANN401 - a pyarrow.Table
        if not isinstance(rows, slice):
            rows = _numbers(rows, len(self))
            return self.table[rows] if rows.size else self.table[:0]
        return self.table[rows]  # of neighbours, a view of the mapped file

    def _images(self, rows: RowIndex, side: int | None, shape: tuple[int, ...] | None) -> Images:
        """Images of a size and number of channels (None: those of the first), shape (b, h, w, c)."""
        name, channels = self.columns[0], 3 if side is not None else None if shape is None else shape[-1]
        images = []
        with _no_bombs():
            for number, image in zip(_numbers(rows, len(self)), self._table(rows)[name].to_pylist(), strict=True):
                content, path = (image or {}).get("bytes"), (image or {}).get("path")
                what = f"the image in row {number} of column '{name}'" if content is not None or not path else str(path)
                pixels = _decode(Path(path) if content is None and path else content or b"", what, side, channels)
                shape = shape or pixels.shape
                if pixels.shape != shape:
                    msg = (
                        f"{what} is {pixels.shape[0]} × {pixels.shape[1]}, expected {shape[0]} × {shape[1]} as the first; "
                        f"give a side that all are brought to (huggingface: --source-set side=224)"
                    )
                    raise BadData(msg)
                images.append(pixels)
        return np.stack(images) if images else np.empty((0, *self.shape[1:]), dtype=np.uint8)

    def _columns(self, rows: RowIndex) -> NDArray[Any]:
        """Numbers (b, d) float32 or images (b, h, w, c) uint8; what is absent is NaN."""
        import pyarrow as pa

        table = self._table(rows)
        columns = [table[name].combine_chunks() for name in self.columns]
        if len(columns) == 1 and pa.types.is_nested(getattr(columns[0], "storage", columns[0]).type):
            return _nested(columns[0], self.columns[0])
        for name, column in zip(self.columns, columns, strict=True):
            kind = column.type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                msg = f"column '{name}' is {kind}, expected numbers, or one column of images or of lists"
                raise BadData(msg)
        values = np.empty((len(table), len(columns)), dtype=np.float32)
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            for j, column in enumerate(columns):
                values[:, j] = column.to_numpy(zero_copy_only=False)
        return values


def _nested(values: Any, name: str) -> NDArray[Any]:  # noqa: ANN401 - a pyarrow.Array
    """Lists of one length, of numbers or again of lists → (b, d) float32, or (b, h, w, c) uint8."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = getattr(values, "storage", values)
    shape = [len(values)]
    while pa.types.is_nested(values.type) and not pa.types.is_struct(values.type):
        lengths = pc.list_value_length(values).unique().to_pylist()
        if len(values) and (len(lengths) != 1 or lengths[0] is None):
            msg = f"column '{name}' must hold lists of one length, got lengths {sorted(lengths, key=str)[:3]}; pad them"
            raise BadData(msg)
        shape.append(lengths[0] if lengths else 0)
        values = values.flatten()
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        msg = f"column '{name}' holds lists of {values.type}, expected numbers"
        raise BadData(msg)
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(shape)
    if array.dtype == np.uint8 and array.ndim == IMAGE_DIMENSIONS - 1:
        return array[..., None]
    with np.errstate(over="ignore"):
        return array if array.dtype == np.uint8 and array.ndim == IMAGE_DIMENSIONS else array.astype(np.float32)


def _numbers(rows: RowIndex, n: int) -> NDArray[np.int64]:
    """Row numbers (b,) of a slice or of an array of them.

    Raises:
        IndexError: One of them is none of 0..n-1.
    """
    if isinstance(rows, slice):
        return np.arange(*rows.indices(n), dtype=np.int64)
    numbers = np.asarray(rows)
    if numbers.dtype == bool:
        numbers = np.flatnonzero(numbers)
    outside = numbers[(numbers < 0) | (numbers >= n)]
    if outside.size:
        msg = f"row {outside[0]} is none of 0..{n - 1}"
        raise IndexError(msg)
    return numbers.astype(np.int64)


def _listed(name: str, path: str) -> bytes:
    """Name and size of a file, for a digest; no name holds a zero."""
    try:
        size = os.stat(path).st_size  # noqa: PTH116 - a million of Path objects take three times as long
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}; is the data set whole?"
        raise BadData(msg) from None
    return f"{name}\0{size}\0".encode()


@contextmanager
def _no_bombs() -> Iterator[None]:
    """Images that would fill the memory are errors; what else Pillow warns of changes no pixel."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _decode(content: Path | bytes, what: str, side: int | None, channels: int | None) -> Images:
    """One image → (h, w, c) uint8; None leaves its size or its channels as they are."""
    from PIL import Image

    try:
        with Image.open(content if isinstance(content, Path) else BytesIO(content)) as opened:
            if channels is None:
                channels = 1 if opened.mode in GREY else 3
            mode = opened.mode
            pixels = None
            if mode in (GREY if channels == 1 else COLOUR):
                pixels = np.asarray(_fitted(opened, "L" if channels == 1 else "RGB", side))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        msg = f"{what} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; resize it first"
        raise BadData(msg) from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow calls a broken PNG a SyntaxError
        if isinstance(error, FileNotFoundError | PermissionError):
            msg = f"{what} cannot be read: {error.strerror}; is the data set whole?"
            raise BadData(msg) from None
        reason = "it is empty" if content == b"" else type(error).__name__
        msg = f"{what} cannot be decoded ({reason}); expected PNG, JPEG or another common format"
        raise BadData(msg) from None
    if pixels is None:
        expected = "grey with 8 bits, as the first image" if channels == 1 else "grey or colour with 8 bits"
        msg = f"{what} has mode {mode}, expected {expected}; convert it first"
        raise BadData(msg)
    return pixels.reshape(*pixels.shape[:2], channels)


def _fitted(image: "Opened", mode: str, side: int | None) -> "Opened":
    """The largest centred square of an image, resized; an image that has the size is left as it is."""
    from PIL import Image

    if side is None or image.size == (side, side):
        return image if image.mode == mode else image.convert(mode)
    image.draft(None, (2 * side, 2 * side))  # a JPEG of many pixels is decoded with fewer
    width, height = image.size
    cut = min(width, height)
    left, top = (width - cut) // 2, (height - cut) // 2
    square = image.crop((left, top, left + cut, top + cut))
    return square.convert(mode).resize((side, side), Image.Resampling.BILINEAR)


def _refuse(inputs: ImageFiles | ArrowRows) -> NoReturn:
    msg = (
        f"{len(inputs):,} inputs that are read lazily are no array; take some of them, as inputs[:128] does, "
        f"or all of them, as inputs[:] does"
    )
    raise TypeError(msg)
