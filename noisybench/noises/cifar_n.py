"""Labels that people gave to CIFAR-10 and CIFAR-100 (CIFAR-N): real label noise, right labels known."""

import pickle
import pickletools
import re
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.arrays import Labels, as_labels, check_labels, fingerprint
from noisybench.download import fetch
from noisybench.drawing import Mode
from noisybench.errors import BadData, BadUsage, Mismatch
from noisybench.source import Source
from noisybench.variant import Draw, Noise


@dataclass(frozen=True, slots=True)
class _Published:
    """One file of CIFAR-N."""

    name: str
    sha256: str
    size: int
    source: str
    classes: int

    @property
    def url(self) -> str:
        return f"https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/{self.name}"


_TEN = _Published(
    "CIFAR-10_human.pt", "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310", 2_401_007, "cifar10", 10
)
_HUNDRED = _Published(
    "CIFAR-100_human.pt", "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394", 1_000_959, "cifar100", 100
)

# Choice → its file and the key in it.
_COLUMNS: dict[str, tuple[_Published, str]] = {
    "aggre": (_TEN, "aggre_label"),
    "worse": (_TEN, "worse_label"),
    "random1": (_TEN, "random_label1"),
    "random2": (_TEN, "random_label2"),
    "random3": (_TEN, "random_label3"),
    "fine": (_HUNDRED, "noisy_label"),
}

# Orders in which the labels of CIFAR circulate, by fingerprint.
_ORDERS = {
    "e826aa0bc480a9f84af67c4e846b6f870f5ec2170f41ecd5bc0f7ab0632da683": "the order of the tar archive (data_batch_4 first)",
    "905bbb44a2d3fdda93221c85251b6556d48fcc49801fea6efc4602672fc0ba85": "the order of TensorFlow Datasets",
    "9989420b226815e64524d3d8f3a83d65d835d02687e0ab289529f8c9a11ebf0a": "the order of TensorFlow Datasets",
    "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5": "the test set",
    "4dad7d09c7c97d33f6cb928d705cf4196221316fd6e31bdd978a08ed9103ee0b": "the test set",
}

_MOST_BYTES = 1 << 25  # of an unpacked file; the larger of the two has 2.4 MB


@dataclass(frozen=True, slots=True)
class CifarN:
    """Take the labels of CIFAR-10N (50,000 images, three annotators each) or of CIFAR-100N (one annotator each).

    They are joined by position, so they fit the order of the official Python batches only, which is that of
    torchvision. The clean labels in the file must be those of the source; a prefix of them (``--limit``) is enough.

    Attributes:
        labels: For ``cifar10``: ``aggre`` (majority of the three, 9.010 % wrong), ``random1`` (17.234 %), ``random2``
            (18.122 %), ``random3`` (17.640 %), ``worse`` (a wrong annotation where there is one, 40.208 %). For
            ``cifar100``: ``fine`` (40.200 %).
        file: ``CIFAR-10_human.pt`` or ``CIFAR-100_human.pt`` as published; None downloads it. Licence: CC BY-NC 4.0.

    Source: Wei et al. 2022, arXiv:2110.12088. Its 9.03 % for ``aggre`` is not what the file holds.
    """

    labels: Literal["aggre", "worse", "random1", "random2", "random3", "fine"]
    file: Path | None = None
    found: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.labels not in _COLUMNS:
            msg = f"labels must be one of {', '.join(_COLUMNS)}, got '{self.labels}'"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
        published, key = _COLUMNS[self.labels]
        if source.num_classes != published.classes:
            msg = (
                f"labels={self.labels} belong to {published.source} with {published.classes} classes, "
                f"source '{source.name}' has {source.num_classes}"
            )
            raise BadUsage(msg)
        path = self.file or fetch(
            published.name, published.url, published.sha256, published.size, instead=f"--set file=…/{published.name}"
        )
        columns = read_annotations(path)
        clean, given = (_column(columns, name, published.classes, path) for name in ("clean_label", key))
        if len(clean) != len(given):
            msg = f"{path} has {len(clean)} labels 'clean_label' and {len(given)} '{key}'; expected as many of each"
            raise BadData(msg)
        _check_order(source, clean, published)
        return Draw(labels=given[: len(source.labels)])


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


def _column(columns: dict[str, Any], key: str, num_classes: int, path: Path) -> Labels:
    if key not in columns:
        msg = f"{path} has no labels '{key}'; it has: {', '.join(map(str, columns))}"
        raise BadData(msg)
    what = f"'{key}' of {path.name}"
    return check_labels(as_labels(columns[key], what=what), num_classes, what=what)


def _check_order(source: Source, clean: Labels, published: _Published) -> None:
    """Refuse labels that would be joined to other images than those that people saw."""
    n = len(source.labels)
    if n <= len(clean) and np.array_equal(clean[:n], source.labels):
        return
    found = _ORDERS.get(fingerprint(source.labels))
    if found is None:
        agree = int((clean[:n] == source.labels[: len(clean)]).sum())
        found = f"no known order (its labels agree with the file's at {agree} of {n} positions)"
    msg = (
        f"source '{source.name}' is in {found}; CIFAR-N is joined by position to the training set of {published.source} "
        f"in the order of the official Python batches (data_batch_1 to 5, as in torchvision): give it in that order"
    )
    raise Mismatch(msg)


NOISE: type[Noise] = CifarN
