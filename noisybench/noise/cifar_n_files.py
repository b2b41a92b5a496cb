"""The files of CIFAR-N, read without unpickling what they may hold."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import Indices, Labels, as_labels, check_labels
from noisybench.ground.digests import fingerprint
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import NO_ARRAY
from noisybench.noise.pickled_arrays import read_saved_arrays


@dataclass(frozen=True, slots=True)
class AnnotationFile:
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


TEN = AnnotationFile(
    "CIFAR-10_human.pt", "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310", 2_401_007, "cifar10", 10
)
HUNDRED = AnnotationFile(
    "CIFAR-100_human.pt", "bd2d80409754d420292d622e15e25248ba21e37d27429efac49c8da723f44394", 1_000_959, "cifar100", 100
)

COARSE = replace(HUNDRED, source="cifar100(labels=coarse)", classes=20, clean="clean_coarse_label")

# Choice → its file and the key in it.
COLUMNS: dict[str, tuple[AnnotationFile, str]] = {
    "aggre": (TEN, "aggre_label"),
    "worse": (TEN, "worse_label"),
    "random1": (TEN, "random_label1"),
    "random2": (TEN, "random_label2"),
    "random3": (TEN, "random_label3"),
    "fine": (HUNDRED, "noisy_label"),
    "coarse": (COARSE, "noisy_coarse_label"),
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


def read_annotations(path: Path) -> dict[str, Any]:
    """What a file of CIFAR-N holds, see ``read_saved_arrays``.

    Raises:
        BadData: The file is missing, broken, or no pickle of a dict of arrays.
    """
    columns = read_saved_arrays(path, what="a file of CIFAR-N as published", mend="download it again")
    if not isinstance(columns, dict):
        msg = f"{path} is not a file of CIFAR-N as published: it holds one array, expected a dict; download it again"
        raise BadData(msg)
    return columns


def read_pair(columns: Mapping[str, Any], published: AnnotationFile, key: str, path: Path) -> tuple[Labels, Labels]:
    """The clean labels of a file and those that people gave, each of shape (n,).

    Raises:
        BadData: One of them is missing, of other classes, or of another length; or coarse labels are of twelve classes.
    """
    clean, given = (read_column(columns, name, published.classes, path) for name in (published.clean, key))
    if len(clean) != len(given):
        msg = f"{path} has {len(clean)} labels '{published.clean}' and {len(given)} '{key}'; expected as many of each"
        raise BadData(msg)
    for name, labels in ((published.clean, clean), (key, given)) if published is COARSE else ():
        if len(np.unique(labels)) != published.classes:
            msg = (
                f"'{name}' of {path} has {len(np.unique(labels))} of the {published.classes} superclasses, as copies from "
                f"before March 2023 do; download {published.name} again"
            )
            raise BadData(msg)
    return clean, given


def read_column(columns: Mapping[str, Any], key: str, num_classes: int, path: Path) -> Labels:
    """One label column of a file of CIFAR-N, checked."""
    if key not in columns:
        msg = f"{path} has no labels '{key}'; it has: {', '.join(map(str, columns))}"
        raise BadData(msg)
    what = f"'{key}' of {path.name}"
    return check_labels(as_labels(columns[key], what=what), num_classes, what=what)


def read_rows_of(source: Source, clean: Labels, published: AnnotationFile, order_file: Path | None) -> Indices:
    """Row in the file of each sample of the source, shape (n,).

    Raises:
        BadData: The order is no permutation of the rows.
        Mismatch: The source is in neither order, or too short to tell them apart.
    """
    n = len(source.labels)
    official = np.arange(len(clean))
    if order_file is None:
        check_order(source, clean, published)
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


def _read_order(path: Path, name: str, n: int) -> Indices:
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


def check_order(source: Source, clean: Labels, published: AnnotationFile) -> None:
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
        else f"say --set order_file=image_order_c{'10' if published is TEN else '100'}.npy, published beside the labels"
    )
    msg = (
        f"source '{source.name}' is in {found}; CIFAR-N is joined by position to the training set of {published.source} "
        f"in the order of the official Python batches (data_batch_1 to 5, as in torchvision): {mend}"
    )
    raise Mismatch(msg)
