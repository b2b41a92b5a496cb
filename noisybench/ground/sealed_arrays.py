"""Arrays as files whose last bytes are the digest of all before."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.files import replacing


def write_array(values: NDArray[Any], path: Path, *, sealed: bool = False) -> None:
    """Write one array as ``.npy``; ``sealed`` with its digest at the end, where NumPy does not look, see ``is_sealed``."""
    with replacing(path) as part:
        with part.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)
        if sealed:
            digest = _digest_up_to(part, part.stat().st_size)
            with part.open("ab") as stream:
                stream.write(digest)


def is_sealed(path: Path) -> bool:
    """Whether a file is there and ends with the digest of all its bytes before: nothing was cut off, zeroed or changed."""
    if not path.is_file():
        return False
    before = path.stat().st_size - SEAL
    with path.open("rb") as stream:
        stream.seek(max(before, 0))
        return before >= 0 and stream.read() == _digest_up_to(path, before)


SEAL = hashlib.sha256().digest_size
"""Bytes of a digest at the end of a file."""


def _digest_up_to(path: Path, size: int) -> bytes:
    """SHA-256 of the first ``size`` bytes of a file."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while size > 0 and (read := stream.read(min(size, 1 << 20))):
            found.update(read)
            size -= len(read)
    return found.digest()
