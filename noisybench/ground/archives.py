"""Arrays in ``.npz`` files, never unpickled: small ones, as noisybench writes them itself, and large ones of anybody's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.claims import check_claim
from noisybench.ground.errors import BadData
from noisybench.ground.files import NO_ARRAY, replacing


def write_archive(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays by name; the same arrays give the same bytes."""
    with replacing(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)  # the dates in it are those of no day


def read_archive(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read what ``write_archive`` wrote, which must be arrays of exactly these names.

    Raises:
        BadData: The file is damaged or of another kind, or its arrays are compressed: they may grow beyond bounds.
    """
    try:
        with path.open("rb") as stream, ZipFile(stream) as members:
            stored = all(member.compress_type == ZIP_STORED for member in members.infolist())
            found = [member.filename.removesuffix(".npy") for member in members.infolist()]
            if stored and sorted(found) == sorted(names):
                stream.seek(0)
                with np.load(stream, allow_pickle=False) as opened:
                    arrays = {name: opened[name] for name in names}
                if all(isinstance(array, np.ndarray) for array in arrays.values()):
                    return arrays
        reason = f"it does not hold the arrays {', '.join(names)}, not compressed"
    except NO_ARRAY as error:
        reason = getattr(error, "strerror", None) or "it is damaged, or no .npz file"
    msg = f"{path} cannot be read: {reason}; build again"
    raise BadData(msg)


@dataclass(frozen=True, slots=True)
class StoredArrays:
    """The arrays of an archive, of which only those are read that are asked for, and of large ones some rows at a time."""

    archive: ZipFile
    path: Path

    @property
    def names(self) -> set[str]:
        """Names of the arrays."""
        return {name.removesuffix(".npy") for name in self.archive.namelist()}

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of an array of numbers or texts, whose rows follow each other.

        Raises:
            BadData: It holds Python objects, is stored by columns, or claims more than the file can hold.
        """
        with self.archive.open(f"{name}.npy") as stream:
            shape, kind = self._header(stream, name)
        check_claim(self.path, prod(shape) * kind.itemsize, f"{shape} values of {name!r}")
        return shape, kind

    def _header(self, stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, kind = read(stream)
        if kind.hasobject:
            msg = (
                f"{name!r} in {self.path} holds Python objects, which are never unpickled; if you trust the file, write its "
                f"arrays again as text or numbers, with np.savez and {name}=array.astype('S')"
            )
            raise BadData(msg)
        if by_columns and len(shape) > 1:
            msg = f"{name!r} in {self.path} is stored by columns; write it again by rows, with np.ascontiguousarray"
            raise BadData(msg)
        return shape, kind

    def read(self, name: str) -> NDArray[Any]:
        """One whole array of shape (n,)."""
        shape, _ = self.header(name)
        if len(shape) != 1:
            msg = f"{name!r} in {self.path} has shape {shape}, expected one value a sample"
            raise BadData(msg)
        (rows,) = self.rows(name, max(shape[0], 1))
        return rows

    def rows(self, name: str, step: int) -> Iterator[NDArray[Any]]:
        """Rows of an array, so many at a time.

        Raises:
            EOFError: There are fewer than its header says.
        """
        with self.archive.open(f"{name}.npy") as stream:
            shape, kind = self._header(stream, name)
            size = prod(shape[1:]) * kind.itemsize
            for first in range(0, max(shape[0], 1), step):
                count = min(step, shape[0] - first)
                content = stream.read(count * size)
                if len(content) != count * size:
                    raise EOFError
                yield np.frombuffer(content, kind).reshape(count, *shape[1:])
