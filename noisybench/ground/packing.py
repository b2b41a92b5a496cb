"""Text files that may be packed by gzip, bzip2 or xz: their first bytes say so, whatever they are called."""

import bz2
import gzip
import lzma
import os
from pathlib import Path
from typing import IO, Any

from noisybench.ground.errors import BadData

ENDINGS = (".gz", ".bz2", ".xz")
_PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_NOT_READ = {b"PK\x03\x04": "a zip archive or an Excel workbook", b"(\xb5/\xfd": "packed by zstd"}


def open_unpacked(path: Path) -> IO[bytes]:
    """The bytes of a text file, unpacked where it is packed.

    Raises:
        BadData: It is an archive of a kind that is not read.
        OSError: It cannot be opened.
    """
    with path.open("rb") as stream:
        head = stream.read(6)
    for mark, what in _NOT_READ.items():
        if head.startswith(mark):
            msg = f"{path} is {what}, expected a text file of rows; unpack it, or save the table as .csv or .parquet"
            raise BadData(msg)
    opener = next((opener for mark, opener in _PACKED.items() if head.startswith(mark)), open)
    unpacked: IO[bytes] = opener(path, "rb")
    return unpacked


def ending_of(path: str | Path) -> str:
    """The ending that says what a file holds, in lower case: that before the one of its packing, if there is one.

    >>> ending_of("labels.CSV.gz"), ending_of("labels.gz")
    ('.csv', '.gz')
    """
    stem, ending = os.path.splitext(path)  # noqa: PTH122 - of a million names
    inner = os.path.splitext(stem)[1] if ending.lower() in ENDINGS else ""  # noqa: PTH122
    return (inner or ending).lower()
