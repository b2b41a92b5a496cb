"""Arrays in files of ``torch.save``, read without torch and without running anything that the file asks for."""

import pickle
import pickletools
import re
import zipfile
import zlib
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData

_MOST_BYTES = 1 << 25  # of an unpacked part; the largest file of CIFAR-N has 2.4 MB
_STORAGES = {
    "ByteStorage": "u1", "CharStorage": "i1", "ShortStorage": "i2", "IntStorage": "i4", "LongStorage": "i8",
    "FloatStorage": "f4", "DoubleStorage": "f8", "BoolStorage": "b1",
}  # fmt: skip


def read_saved_arrays(path: Path, *, what: str, mend: str) -> dict[str, Any] | NDArray[Any]:
    """What a file of ``torch.save`` holds: arrays of numbers by name, or one array.

    The file is a zip archive with one pickle. Functions of ours rebuild its arrays and tensors in place of NumPy's and
    torch's, which a forged type can crash; a pickle that names any other is refused, whatever it would do.

    Args:
        path: The file.
        what: What it should be, for the message.
        mend: What to do where it is not.

    Raises:
        BadData: The file is missing, broken, or no pickle of arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content, home = _pickle_in(archive)
            columns = _ArrayUnpickler(content, archive, home).load()
        return (
            {key: _numbers(value) for key, value in columns.items()} if isinstance(columns, dict) else _numbers(columns)
        )
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise BadData(msg) from None
    except (
        # What a pickle machine stumbles over when its program is damaged; nothing but our own functions has run.
        zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError,
        AttributeError, OverflowError, RuntimeError, MemoryError,
    ) as error:  # fmt: skip
        msg = f"{path} is not {what}: {error}; {mend}"
        raise BadData(msg) from None


def _pickle_in(archive: zipfile.ZipFile) -> tuple[bytes, str]:
    """The one pickle of an archive, and the folder in which it lies."""
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
    return content, members[0].filename.removesuffix("data.pkl")


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds dicts, lists, arrays and tensors of numbers, and nothing else."""

    def __init__(self, content: bytes, archive: zipfile.ZipFile, home: str) -> None:
        super().__init__(BytesIO(content), encoding="latin1")
        self.archive, self.home = archive, home
        self.parts: dict[str, NDArray[Any]] = {}
        self.left = _MOST_BYTES

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as in its parent
        symbols: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): _rebuild,
            ("numpy._core.multiarray", "_reconstruct"): _rebuild,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): _encode,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("collections", "OrderedDict"): dict,
            **{("torch", name): code for name, code in _STORAGES.items()},
        }
        if (module, name) not in symbols:
            msg = f"it asks for {module}.{name}"
            raise pickle.UnpicklingError(msg)
        return symbols[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:  # noqa: ANN401 - as in its parent
        """The numbers of a tensor, which lie in a part of the archive, shape (size,)."""
        kind, code, key, *_ = pid
        if kind != "storage" or code not in _STORAGES.values() or not re.fullmatch(r"\d{1,9}", key):
            msg = "it asks for something else than the numbers of a tensor"
            raise pickle.UnpicklingError(msg)
        if key not in self.parts:
            part = self.archive.getinfo(f"{self.home}data/{key}")
            self.left -= part.file_size
            if self.left < 0:
                msg = f"the numbers in it take more than {_MOST_BYTES} bytes"
                raise ValueError(msg)
            self.parts[key] = np.frombuffer(self.archive.read(part), np.dtype(f"{self._order()}{code}"))
        return self.parts[key]

    def _order(self) -> str:
        """Order of the bytes of a number, as the archive tells it."""
        name = f"{self.home}byteorder"
        if name not in self.archive.namelist():
            return "<"
        return ">" if self.archive.getinfo(name).file_size == len("big") else "<"


def _tensor(numbers: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: object) -> "_Array":  # noqa: ANN401, ARG001 - what torch would make of it
    """A tensor whose numbers lie one after the other."""
    steps = tuple(prod(size[i + 1 :]) for i in range(len(size)))
    if (
        not isinstance(numbers, np.ndarray)
        or not size
        or any(n > 1 and a != b for n, a, b in zip(size, stride, steps, strict=True))
    ):
        msg = f"it holds a tensor of shape {str(size)[:40]} whose numbers do not lie one after the other"
        raise pickle.UnpicklingError(msg)
    array = _Array()
    array.values = numbers[offset : offset + prod(size)].reshape(size)
    return array


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
