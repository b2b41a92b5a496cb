"""Files that a power cut, or a hand, has damaged: taken away and said in one line, so that they are made again."""

import logging
from pathlib import Path

from noisybench.ground.errors import BadData
from noisybench.ground.files import read_columns

log = logging.getLogger("noisybench")

MAGIC = b"PAR1"
"""Begins and ends every Parquet file."""


def take_away(path: Path, follows: str = "it is made again") -> None:
    """Remove a damaged file, and say so in one line with what follows from it."""
    log.warning("%s is damaged: %s", path, follows)
    path.unlink(missing_ok=True)


def looks_whole(path: Path | str) -> bool:
    """Whether a Parquet file is there and has its two ends, which is known without reading it: it is not cut, nor empty."""
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - twice as fast as a Path's
            begins = stream.read(len(MAGIC))
            stream.seek(-len(MAGIC), 2)
            return begins == stream.read() == MAGIC
    except OSError:  # missing, or too short for an end
        return False


def can_be_read(path: Path) -> bool:
    """Whether a Parquet file is there and can be read, every checksum of it included."""
    if not looks_whole(path):
        return False
    try:
        read_columns(path)
    except BadData:
        return False
    return True
