"""Arrays from anyone's ``.npz`` file, whatever is wrong with it; nothing is ever unpickled."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData
from noisybench.ground.files import NO_ARRAY


def array_names(file: Path) -> list[str]:
    """Names of the arrays in a ``.npz`` file; none of what is no such file, which ``read_arrays`` says."""
    try:
        with open_arrays(file) as opened:
            return list(opened.files)
    except BadData:
        return []


def read_arrays(file: Path, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, NDArray[Any]]:
    """The required arrays by name, and those of the optional ones that are there.

    Raises:
        BadData: The file is missing, truncated or no ``.npz``, or an array is missing or holds Python objects.
    """
    with open_arrays(file, f"expected a .npz file with arrays {', '.join(required)}") as opened:
        missing = [name for name in required if name not in opened.files]
        if missing:
            msg = f"{file} has no array '{missing[0]}'; it has: {', '.join(opened.files) or 'none'}"
            raise BadData(msg)
        names = [name for name in dict.fromkeys((*required, *optional)) if name in opened.files]
        return {name: read_member(opened, name, file) for name in names}


@contextmanager
def open_arrays(file: Path, expected: str = "save it again") -> Iterator[Any]:
    """NumPy's open archive of a ``.npz`` file; ``expected`` ends the message where it is none.

    Raises:
        BadData: The file is missing, truncated or no ``.npz``.
    """
    try:
        with file.open("rb") as stream:  # opened here, because NumPy leaves a file open that it cannot read
            try:
                opened = np.load(stream, allow_pickle=False)
            except NO_ARRAY:
                msg = f"{file} is truncated or no .npz file; {expected}"
                raise BadData(msg) from None
            if isinstance(opened, np.ndarray):
                msg = f"{file} holds one array without a name; {expected}"
                raise BadData(msg)
            yield opened
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}; {expected}"
        raise BadData(msg) from None


def read_member(opened: Any, name: str, file: Path) -> NDArray[Any]:  # noqa: ANN401 - NumPy's open archive
    """One array of an archive of ``open_arrays``.

    Raises:
        BadData: It holds Python objects, is broken, or is no array.
    """
    try:
        array: Any = opened[name]
    except NO_ARRAY as error:
        msg = (
            f"array '{name}' of {file} holds Python objects, which are never unpickled; save numbers or plain strings"
            if "allow_pickle" in str(error)
            else f"array '{name}' of {file} is broken ({type(error).__name__}); copy or save the file again"
        )
        raise BadData(msg) from None
    if not isinstance(array, np.ndarray):  # NumPy gives the bytes of a member that is no array
        msg = f"'{name}' of {file} is no array; copy or save the file again"
        raise BadData(msg)
    return array
