"""Transition matrices in files."""

from collections.abc import Callable
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_json
from noisybench.ground.npy import read_array


def read_matrix(path: Path) -> Floats:
    """The numbers of a file ``.npy``, ``.csv`` or ``.json`` as float64, of whatever shape they are.

    Raises:
        BadUsage: A file of another kind.
        BadData: The file is missing or does not hold rows of numbers of equal length.
    """
    readers: dict[str, Callable[[Path], Any]] = {
        ".npy": read_array,
        ".csv": _read_rows,
        ".json": read_json,
    }
    if path.suffix.lower() not in readers:
        msg = f"a transition matrix is a {', '.join(readers)} file, got '{path.name}'"
        raise BadUsage(msg)
    if not isfile(path):  # noqa: PTH113 - False for a text that can be no path, where Path.is_file raises
        msg = f"there is no transition matrix at {path}"
        raise BadData(msg)
    try:
        matrix = np.asarray(readers[path.suffix.lower()](path))
    except BadData:
        raise
    except (ValueError, OSError) as error:
        msg = f"{path} does not hold rows of numbers of equal length: {error}"
        raise BadData(msg) from None
    if matrix.dtype.kind not in "fiu":
        msg = f"{path} does not hold rows of numbers of equal length: it holds {matrix.dtype}"
        raise BadData(msg)
    return matrix.astype(np.float64)


def _read_rows(path: Path) -> list[list[float]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[float(cell) for cell in line.split(",")] for line in lines if line.strip()]
