"""Several small arrays in one ``.npz`` file, as noisybench writes them itself: not compressed, never unpickled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

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
