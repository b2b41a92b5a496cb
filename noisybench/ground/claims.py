"""Claims: what a file says of its own size, held against the file before anything is unpacked. A stranger may have written it."""

import stat
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
import pyarrow as pa

from noisybench.ground.errors import BadData

FREE = 1 << 26
"""Bytes that any file may unpack to: 64 MiB, some two million samples of a variant."""
RATIO = 64
"""Bytes that a greater file may unpack to, for each of its own: what we write was never packed more than 30-fold."""
LARGEST_RECORD = 1 << 23
"""Bytes of a record as JSON, at most: 8 MiB, the names of some hundred thousand classes."""
LONGEST_TEXT = 1 << 22
"""Bytes of the text beside the arrays of a file, at most."""

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_regular(path: Path) -> None:
    """Raise ``BadData`` for a pipe, a device or a socket, which might be waited for, or read without end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says why
        return
    kind = KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        msg = f"{path} is {kind}, expected a file; take it away and make the file again"
        raise BadData(msg)


def check_own_file(path: Path) -> None:
    """Raise ``BadData`` for a link, which may lead out of a stranger's folder, as for a pipe, a device or a socket."""
    if path.is_symlink():
        msg = f"{path} is a link, and what it leads to may be anybody's; put the file itself there, or take it away"
        raise BadData(msg)
    check_regular(path)


def check_record_size(path: Path) -> None:
    """Raise ``BadData`` for a JSON file that is larger than any record."""
    check_regular(path)
    size = _size(path)
    if size > LARGEST_RECORD:
        msg = f"{path} has {size} bytes, and no record more than {LARGEST_RECORD}; make it again"
        raise BadData(msg)


def check_table(path: Path, rows: int, fields: Any, chosen: list[str] | None) -> None:  # noqa: ANN401 - of pyarrow
    """Raise ``BadData`` where the columns of a Parquet file would take far more memory than the file has bytes.

    Args:
        path: The file.
        rows: Rows that its header claims.
        fields: Its schema.
        chosen: Columns that will be read; None reads all.
    """
    width = 0
    for field in fields:
        if chosen is None or field.name in chosen:
            width += _width(field.type)
            if width < 0 or not _is_known(field.type):
                msg = (
                    f"{path}: column '{field.name}' is {str(field.type)[:60]}, expected numbers or texts; make it again"
                )
                raise BadData(msg)
    check_claim(path, rows * width, f"{rows} rows of {width} bytes")


def check_claim(path: Path, claimed: int, words: str) -> None:
    """Raise ``BadData`` where a file would unpack to far more bytes than it has."""
    size = _size(path)
    if claimed > max(FREE, RATIO * size):
        msg = f"{path} has {size} bytes and claims {words}, far more than a file of that size holds; make it again"
        raise BadData(msg)


def holds_texts(kind: Any) -> bool:  # noqa: ANN401 - pyarrow is untyped
    """Whether a column is of texts, which are read once each, however often they stand there."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _width(kind: Any) -> int:  # noqa: ANN401 - pyarrow is untyped
    """Bytes of one value in memory."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_dictionary(kind) or holds_texts(kind) or pa.types.is_null(kind):
        return 8
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 8


def _is_known(kind: Any) -> bool:  # noqa: ANN401 - pyarrow is untyped
    """Whether a column is of a kind that we write, whose size its header tells."""
    if pa.types.is_fixed_size_list(kind):
        return (
            not pa.types.is_nested(kind.value_type) and _is_known(kind.value_type) and not holds_texts(kind.value_type)
        )
    if pa.types.is_dictionary(kind):
        return holds_texts(kind.value_type)
    return bool(pa.types.is_primitive(kind) or holds_texts(kind) or pa.types.is_null(kind))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that the header of an ``.npy`` file claims; the stream then stands at its values.

    Raises:
        ValueError: There is no such header.
    """
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        msg = f"a header of version {version}"
        raise ValueError(msg)
    shape, _, kind = read[version](stream)
    return shape, kind


def claimed_arrays(stream: IO[bytes]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Name → shape and type that the arrays of an ``.npz`` file claim to have; nothing of them is unpacked."""
    with ZipFile(stream) as archive:
        found = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                found[name.removesuffix(".npy")] = array_header(member)
        return found
