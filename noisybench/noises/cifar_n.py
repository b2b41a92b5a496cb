"""Labels that people gave to CIFAR-10 and CIFAR-100 (CIFAR-N): real label noise, right labels known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.arrays import Labels, as_labels, check_labels, read_only
from noisybench.ground.digests import fingerprint
from noisybench.ground.download import fetch
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import NO_ARRAY
from noisybench.noises._archive import read_annotations
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Published:
    """One file of CIFAR-N, and the source whose labels it knows under the name ``clean``."""

    name: str
    sha256: str
    size: int
    source: str
    classes: int
    clean: str = "clean_label"

    @property
    def url(self) -> str:
        return f"https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/{self.name}"


_TEN = _Published(
    "CIFAR-10_human.pt", "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310", 2_401_007, "cifar10", 10
)
_HUNDRED = _Published(
    "CIFAR-100_human.pt", "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394", 1_000_959, "cifar100", 100
)

_COARSE = replace(_HUNDRED, source="cifar100(labels=coarse)", classes=20, clean="clean_coarse_label")

# Choice → its file and the key in it.
_COLUMNS: dict[str, tuple[_Published, str]] = {
    "aggre": (_TEN, "aggre_label"),
    "worse": (_TEN, "worse_label"),
    "random1": (_TEN, "random_label1"),
    "random2": (_TEN, "random_label2"),
    "random3": (_TEN, "random_label3"),
    "fine": (_HUNDRED, "noisy_label"),
    "coarse": (_COARSE, "noisy_coarse_label"),
}

_TFDS = "the order of TensorFlow Datasets"

# Orders in which the labels of CIFAR circulate, by fingerprint.
_ORDERS = {
    "e826aa0bc480a9f84af67c4e846b6f870f5ec2170f41ecd5bc0f7ab0632da683": "the order of the tar archive (data_batch_4 first)",
    "905bbb44a2d3fdda93221c85251b6556d48fcc49801fea6efc4602672fc0ba85": _TFDS,
    "9989420b226815e64524d3d8f3a83d65d835d02687e0ab289529f8c9a11ebf0a": _TFDS,
    "5cba71b12ec1dfab4cb319e5440e411186793b1bfbafd76f32c14455346e716f": _TFDS,
    "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5": "the test set",
    "4dad7d09c7c97d33f6cb928d705cf4196221316fd6e31bdd978a08ed9103ee0b": "the test set",
    "48df17fb3bf299f43dd7e131db11ca0ea8b07d750be8b6dcf7ad6ff1b4cc721d": "the test set",
}


@dataclass(frozen=True, slots=True)
class CifarN:
    """Take the labels of CIFAR-10N (50,000 images, three annotators each) or of CIFAR-100N (one annotator each).

    They are joined by position: in the order of the official Python batches, which is that of torchvision, or with
    ``order_file`` in that of TensorFlow Datasets. The clean labels in the file must be those of the source; a prefix of
    them (``--limit``) is enough.

    With the labels of CIFAR-10N come three marks, of the three annotators: ``votes`` (3: unanimous, 2: a majority, 1: a
    three-way split), ``split`` (votes is 1), and ``contested`` (unanimous, and not for the label of CIFAR-10: 282).

    Attributes:
        labels: For ``cifar10``: ``aggre`` (majority of the three, 9.010 % wrong), ``random1`` (17.234 %), ``random2``
            (18.122 %), ``random3`` (17.640 %), ``worse`` (a wrong annotation where there is one, 40.208 %). For
            ``cifar100``: ``fine`` (40.200 %). For ``cifar100(labels=coarse)``: ``coarse`` (26.404 %). ``worse`` was
            selected with the clean label in hand, ``random1`` to ``random3`` were not.
        file: ``CIFAR-10_human.pt`` or ``CIFAR-100_human.pt`` as published; None downloads it. Licence: CC BY-NC 4.0.
        contested: Whether the label of CIFAR-10 stays the clean one where all three annotators are against it, or their
            clean label is ``unknown``, which leaves these 282 out of every metric.
        order_file: For a source in the order of TensorFlow Datasets: ``image_order_c10.npy`` or ``image_order_c100.npy``,
            published beside the labels; or a ``.npz`` file with arrays ``cifar10`` and ``cifar100``.

    Source: Wei et al. 2022, arXiv:2110.12088. Its 9.03 % for ``aggre`` is not what the file holds.
    """

    labels: Literal["aggre", "worse", "random1", "random2", "random3", "fine", "coarse"]
    file: Path | None = None
    contested: Literal["keep", "unknown"] = "keep"
    order_file: Path | None = None
    found: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.labels not in _COLUMNS:
            msg = f"labels must be one of {', '.join(_COLUMNS)}, got '{self.labels}'"
            raise BadUsage(msg)
        if self.contested not in ("keep", "unknown"):
            msg = f"contested must be keep or unknown, got '{self.contested}'"
            raise BadUsage(msg)
        if self.contested == "unknown" and _COLUMNS[self.labels][0] is not _TEN:
            msg = f"labels={self.labels} have one annotator, so none are contested by three; leave contested out"
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
        clean, given = read_pair(columns, published, key, path)
        rows = _rows(source, clean, published, self.order_file)
        marks = {name: mark[rows] for name, mark in _marks(columns, clean, path).items()} if published is _TEN else {}
        return Draw(
            labels=given[rows],
            doubted=marks["contested"] if self.contested == "unknown" else None,
            marks={name: read_only(mark) for name, mark in marks.items()},
        )


def read_pair(columns: Mapping[str, Any], published: _Published, key: str, path: Path) -> tuple[Labels, Labels]:
    """The clean labels of a file and those that people gave, each of shape (n,).

    Raises:
        BadData: One of them is missing, of other classes, or of another length; or coarse labels are of twelve classes.
    """
    clean, given = (_column(columns, name, published.classes, path) for name in (published.clean, key))
    if len(clean) != len(given):
        msg = f"{path} has {len(clean)} labels '{published.clean}' and {len(given)} '{key}'; expected as many of each"
        raise BadData(msg)
    for name, labels in ((published.clean, clean), (key, given)) if published is _COARSE else ():
        if len(np.unique(labels)) != published.classes:
            msg = (
                f"'{name}' of {path} has {len(np.unique(labels))} of the {published.classes} superclasses, as copies from "
                f"before March 2023 do; download {published.name} again"
            )
            raise BadData(msg)
    return clean, given


def _marks(columns: Mapping[str, Any], clean: Labels, path: Path) -> dict[str, NDArray[Any]]:
    """What the three annotators of CIFAR-10N agree on, by name, each of shape (n,)."""
    answers = [_column(columns, f"random_label{j}", _TEN.classes, path) for j in (1, 2, 3)]
    if any(len(answer) != len(clean) for answer in answers):
        lengths = ", ".join(str(len(answer)) for answer in answers)
        msg = f"{path} has {len(clean)} clean labels, and {lengths} of its three annotators; download it again"
        raise BadData(msg)
    first, second, third = answers
    pairs = (first == second).astype(np.int64) + (second == third) + (third == first)  # 0, 1 or 3 pairs agree
    votes = np.array([1, 2, 2, 3])[pairs]
    return {"votes": votes, "split": votes == 1, "contested": (votes == len(answers)) & (first != clean)}


def _column(columns: Mapping[str, Any], key: str, num_classes: int, path: Path) -> Labels:
    if key not in columns:
        msg = f"{path} has no labels '{key}'; it has: {', '.join(map(str, columns))}"
        raise BadData(msg)
    what = f"'{key}' of {path.name}"
    return check_labels(as_labels(columns[key], what=what), num_classes, what=what)


def _rows(source: Source, clean: Labels, published: _Published, order_file: Path | None) -> Rows:
    """Row in the file of each sample of the source, shape (n,).

    Raises:
        BadData: The order is no permutation of the rows.
        Mismatch: The source is in neither order, or too short to tell them apart.
    """
    n = len(source.labels)
    official = np.arange(len(clean))
    if order_file is None:
        _check_order(source, clean, published)
        return official[:n]
    order = _read_order(order_file, published.source.partition("(")[0], len(clean))
    fits = [rows[:n] for rows in (official, order) if np.array_equal(clean[rows[:n]], source.labels)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        msg = (
            f"the {n} samples of source '{source.name}' fit both the official order and that of {order_file.name}; give "
            f"more samples, or leave order_file out where they are in the official one"
        )
        raise Mismatch(msg)
    msg = (
        f"source '{source.name}' is neither in the official order of {published.source} nor in that of "
        f"{order_file.name}; give it in one of the two, with the order file of the same set"
    )
    raise Mismatch(msg)


def _read_order(path: Path, name: str, n: int) -> Rows:
    """Official index of the i-th image in another order, shape (n,): the array of a ``.npy``, or ``name`` of a ``.npz``."""
    try:
        with path.open("rb") as stream:
            opened = np.load(stream, allow_pickle=False)
            order = np.asarray(opened if isinstance(opened, np.ndarray) else opened[name])
    except NO_ARRAY as error:
        reason = getattr(error, "strerror", None) or f"it is damaged, or no .npy and no .npz file with '{name}'"
        msg = f"{path} cannot be read: {reason}; download it again"
        raise BadData(msg) from None
    if order.shape != (n,) or order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(n)):
        msg = (
            f"{path} must hold each of 0..{n - 1} once, as image_order_c10.npy does, got {order.dtype} of shape "
            f"{order.shape}; download it again"
        )
        raise BadData(msg)
    return order.astype(np.intp)


def _check_order(source: Source, clean: Labels, published: _Published) -> None:
    """Refuse labels that would be joined to other images than those that people saw."""
    n = len(source.labels)
    if n <= len(clean) and np.array_equal(clean[:n], source.labels):
        return
    found = _ORDERS.get(fingerprint(source.labels))
    if found is None:
        agree = int((clean[:n] == source.labels[: len(clean)]).sum())
        found = f"no known order (its labels agree with the file's at {agree} of {n} positions)"
    mend = (
        "give it in that order"
        if found != _TFDS
        else f"say --set order_file=image_order_c{'10' if published is _TEN else '100'}.npy, published beside the labels"
    )
    msg = (
        f"source '{source.name}' is in {found}; CIFAR-N is joined by position to the training set of {published.source} "
        f"in the order of the official Python batches (data_batch_1 to 5, as in torchvision): {mend}"
    )
    raise Mismatch(msg)


NOISE: type[Noise] = CifarN
