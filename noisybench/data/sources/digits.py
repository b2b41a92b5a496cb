"""Handwritten digits of scikit-learn, 8 × 8: embedded, needs no download."""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.ground.arrays import Labels, read_only
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import derive

TESTED = 360
"""Images of the test set."""


@dataclass(frozen=True, slots=True)
class Digits:
    """1,797 images with 17 grey levels, split once into 1,437 for training and 360 for test, stratified by class.

    Source: Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits (its test part).
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is not None:
            msg = "source 'digits' is embedded: leave --data out"
            raise BadUsage(msg)
        images, labels = _read()
        train, test = _stratified(labels, TESTED, derive(0, "digits") % 2**32)
        images = images.reshape(-1, 8, 8, 1)
        return source_from_arrays(
            "digits",
            images[train],
            labels[train],
            clean=labels[train],
            test_inputs=images[test],
            test_labels=labels[test],
            class_names=[str(k) for k in range(10)],
            order="the stratified split of noisybench",
            limit=limit,
        )


@cache  # the text is most of what a load takes
def _read() -> tuple[NDArray[np.uint8], Labels]:
    """Images (n, 64) and labels (n,), as ``sklearn.datasets.load_digits`` has them, read-only.

    The file is read where scikit-learn lies, without its estimators: their import takes two seconds and more.
    """
    found = find_spec("sklearn")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as stream:
                rows = np.loadtxt(stream, dtype=np.int64, delimiter=",")
            return read_only(rows[:, :-1].astype(np.uint8)), read_only(rows[:, -1].copy())
    from sklearn.datasets import load_digits  # of a version that keeps its data elsewhere

    images, labels = load_digits(return_X_y=True)
    return read_only(images.astype(np.uint8)), read_only(labels.astype(np.int64))


def _stratified(labels: Labels, tested: int, seed: int) -> tuple[Labels, Labels]:
    """Positions for training and for test, with the draws of scikit-learn's ``train_test_split(…, stratify=labels)``."""
    random = np.random.RandomState(seed)  # whose draws NumPy never changes
    counts = np.bincount(labels)
    trained = _quotas(counts, len(labels) - tested, random)
    left = _quotas(counts - trained, tested, random)
    parts: tuple[list[Labels], list[Labels]] = ([], [])
    for label, (first, second) in enumerate(zip(trained, left, strict=True)):
        members = np.flatnonzero(labels == label)
        members = members[random.permutation(len(members))]
        parts[0].append(members[:first])
        parts[1].append(members[first : first + second])
    return random.permutation(np.concatenate(parts[0])), random.permutation(np.concatenate(parts[1]))


def _quotas(counts: Labels, total: int, random: np.random.RandomState) -> Labels:
    """How many of ``total`` fall to each class, in proportion to ``counts``; what is left over to the largest remainders."""
    exact = counts / counts.sum() * total
    whole = np.floor(exact)
    remainders, missing = exact - whole, int(total - whole.sum())
    for value in np.unique(remainders)[::-1]:
        if missing == 0:
            break
        alike = np.flatnonzero(remainders == value)
        chosen = random.choice(alike, min(len(alike), missing), replace=False)
        whole[chosen] += 1
        missing -= len(chosen)
    return whole.astype(np.int64)


SOURCE: type[LoadSource] = Digits
