"""The files of CIFAR-N: zip archives with one pickle, read without running anything that it asks for."""

import pickle
import pickletools
import re
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData

_MOST_BYTES = 1 << 25  # of an unpacked file; the larger of the two has 2.4 MB


def read_annotations(path: Path) -> dict[str, Any]:
    """What a file of CIFAR-N holds, read without torch and without running anything that the file asks for.

    The file is a zip archive with one pickle. Four functions of ours rebuild its arrays in place of NumPy's, which a
    forged type can crash; a pickle that names any other is refused, whatever it would do.

    Raises:
        BadData: The file is missing, broken, or no pickle of arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = _pickle_in(archive)
        columns = _ArrayUnpickler(BytesIO(content), encoding="latin1").load()
        if isinstance(columns, dict):
            columns = {key: _numbers(value) for key, value in columns.items()}
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise BadData(msg) from None
    except (
        # What a pickle machine stumbles over when its program is damaged; nothing but the four functions has run.
        zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError,
        AttributeError, OverflowError, RuntimeError, MemoryError,
    ) as error:  # fmt: skip
        msg = f"{path} is not a file of CIFAR-N as published: {error}; download it again"
        raise BadData(msg) from None
    if not isinstance(columns, dict):
        msg = f"{path} is not a file of CIFAR-N as published: it holds a {type(columns).__name__}, expected a dict"
        raise BadData(msg)
    return columns


def _pickle_in(archive: zipfile.ZipFile) -> bytes:
    members = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
    if len(members) != 1 or members[0].file_size > _MOST_BYTES:
        msg = f"expected one data.pkl of at most {_MOST_BYTES} bytes in it, found {[m.file_size for m in members]}"
        raise ValueError(msg)
    content = archive.read(members[0])
    for opcode, argument, _ in pickletools.genops(content):
        # Memory is taken up to the place that is named, so a few bytes could ask for all there is.
        if "PUT" in opcode.name and isinstance(argument, int) and argument > len(content):
            msg = f"it remembers a value at place {argument}, beyond its own length"
            raise ValueError(msg)
    return content


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dicts, lists and arrays of numbers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as in its parent
        symbols: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): _rebuild,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): _encode,
        }
        if (module, name) not in symbols:
            msg = f"it asks for {module}.{name}"
            raise pickle.UnpicklingError(msg)
        return symbols[module, name]


class _Type:
    """Stands in for the type of an array of numbers, such as ``i8``."""

    def __init__(self, code: str, *rest: object) -> None:  # noqa: ARG002 - how NumPy would align and copy it
        if not isinstance(code, str) or not re.fullmatch("[biuf][1248]", code):
            msg = f"it asks for an array of {str(code)[:40]!r}"
            raise pickle.UnpicklingError(msg)
        self.code, self.order = code, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Stands in for an array of numbers."""

    values: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        numbers = np.frombuffer(content, np.dtype(f"{kind.order}{kind.code}"))
        self.values = numbers.reshape(shape, order="F" if fortran else "C")


def _rebuild(*arguments: object) -> _Array:  # noqa: ARG001 - an empty array, whose shape and content come after
    return _Array()


def _numbers(value: Any) -> NDArray[Any]:  # noqa: ANN401 - what a pickle may hold
    if isinstance(value, _Array):
        return value.values
    # Lists in lists could name one list many times over: a little file, and more numbers than there are atoms.
    if not isinstance(value, list) or not all(type(part) is int for part in value):
        msg = f"it holds a {type(value).__name__} where numbers are expected"
        raise pickle.UnpicklingError(msg)
    return np.array(value)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes that were pickled as text; the one encoding of these files and no other codec."""
    if encoding != "latin1":
        msg = f"it asks for the codec {encoding}"
        raise pickle.UnpicklingError(msg)
    return text.encode("latin1")
