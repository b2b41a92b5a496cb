"""Arrays from a ``.npz`` file, whatever is wrong with it."""

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from noisybench.errors import BadData


def read_arrays(file: Path, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """The required arrays by name and those of the optional that are there; nothing is ever unpickled.

    Raises:
        BadData: The file is missing, truncated or no ``.npz``, or an array is missing or holds Python objects.
    """
    wanted = " and ".join((", ".join(required[:-1]), required[-1]))
    name = None
    try:
        with np.load(file, allow_pickle=False) as opened:
            missing = [name for name in required if name not in opened.files]
            if missing:
                msg = f"{file} has no array '{missing[0]}'; it has: {', '.join(opened.files) or 'none'}"
                raise BadData(msg)
            arrays = {}
            for name in (*required, *(name for name in optional if name in opened.files)):
                arrays[name] = opened[name]
            return arrays
    except (OSError, EOFError, BadZipFile, zlib.error, ValueError, TypeError, AttributeError) as error:
        ...
