"""One array in a ``.npy`` file, written whole or not at all, and never unpickled."""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.claims import array_header, check_claim, check_regular
from noisybench.ground.errors import BadData
from noisybench.ground.files import NO_ARRAY, replacing


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


MAPPED = 1 << 28
"""Bytes of the smallest array, 256 MiB, that is mapped where its reader allows it: a smaller one may change while it is used."""


def read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """Read one ``.npy`` array, never unpickling.

    Args:
        path: The file.
        mapped: Whether a large one may be a memory map, whose numbers are read where they are asked for.

    Raises:
        BadData: The file is missing, is no array, holds Python objects, or claims more values than it has bytes.
    """
    check_regular(path)
    try:
        with path.open("rb") as stream:  # NumPy leaves a file open that it cannot read
            if stream.read(6) == b"\x93NUMPY":
                stream.seek(0)
                shape, kind = array_header(stream)
                size = math.prod(shape) * kind.itemsize
                check_claim(path, size, f"{shape} values")
                if mapped and size >= MAPPED and not kind.hasobject:
                    return np.load(path, mmap_mode="r", allow_pickle=False)
            stream.seek(0)
            array = np.load(stream, allow_pickle=False)
    except BadData:
        raise
    except NO_ARRAY as error:
        # NumPy's own words advise to trust the file, or tell of its own insides.
        pickled = "it holds Python objects, which are never unpickled" if "pickle" in str(error) else None
        reason = pickled or getattr(error, "strerror", None) or "it is damaged, or no .npy file"
        msg = f"{path} cannot be read as a NumPy array: {reason}; make it again"
        raise BadData(msg) from None
    if not isinstance(array, np.ndarray):
        msg = f"{path} holds several arrays, expected one (.npy)"
        raise BadData(msg)
    return array
