"""Labels that say of which variant a file of numbers is, and in which order: in it, beside it or said."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import as_labels
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.npy import read_array
from noisybench.ground.packing import ending_of
from noisybench.variants.sample_files.column_names import LABELS
from noisybench.variants.sample_files.readers import reader_of
from noisybench.variants.sample_files.text_readers import Chosen
from noisybench.variants.variant import Variant


def places_beside(path: Path) -> list[Path]:
    """Files of labels that lie beside a file, by their usual names."""
    places = [path.with_name(f"{name}.npy") for name in LABELS]
    return [place for place in places if place != path and place.is_file()]


def check_labels_of(given: NDArray[Any], variant: Variant, path: Path, *, of_clean: bool) -> None:
    """Refuse labels (n,), classes or their names, that are not the variant's.

    Args:
        given: In sample order.
        variant: Whose they must be.
        path: The file that they are in, for messages.
        of_clean: Whether the clean labels of the variant, where they are known, do as well.

    Raises:
        Mismatch: They are others.
    """
    known = variant.class_known
    read = _numbered(given, variant, path)
    if of_clean and any(known.any() and np.array_equal(labels[known], variant.clean[known]) for labels in read):
        return
    labels = read[0] if len(read) == 1 else max(read, key=lambda each: int((each == variant.labels).sum()))
    odd = np.flatnonzero(labels != variant.labels)
    if odd.size:
        i = odd[0]
        mend = "score the labels of this variant"
        if np.array_equal(np.sort(labels), np.sort(variant.labels)):
            mend = "they are as many of each class, so its rows may stand in another order than the samples"
        msg = (
            f"{path} was made with other labels: {odd.size} of {len(labels)} are not the variant's, the first of sample "
            f"{i} ({given[i]}, not {variant.labels[i]}); {mend}"
        )
        raise Mismatch(msg)


def _numbered(given: NDArray[Any], variant: Variant, path: Path) -> list[NDArray[np.int64]]:
    """Labels as classes, in every way that they may be meant: as numbers of classes or as names; -1 is no class."""
    by_name = {name: j for j, name in enumerate(variant.class_names)}
    by_number = {str(j): j for j in range(variant.num_classes)}
    if given.dtype.kind not in "UO":
        numbers = as_labels(given, what=f"labels in {path}")
        if not set(by_name) & {str(number) for number in np.unique(numbers)}:
            return [numbers]
        return [numbers, _spelled(numbers, by_name)]
    return [_spelled(given, kind) for kind in (by_name, by_number)]


def _spelled(given: NDArray[Any], kind: dict[str, int]) -> NDArray[np.int64]:
    """The class of each label by its text, of which 1.0 is 1; -1 where it is none."""
    texts, where = np.unique(given, return_inverse=True)
    plain = [re.sub(r"(?<=\d)\.0+$", "", str(text)) if str(text) not in kind else str(text) for text in texts]
    return np.array([kind.get(text, -1) for text in plain], np.int64)[where]


def labels_beside(
    path: Path, variant: Variant, order: NDArray[np.int64], *, said: str | Path | None, silent: bool
) -> bool:
    """Whether labels that were said, or that lie in a file beside it, show the order of a file's rows.

    Args:
        path: The file of scores.
        variant: Whose labels they must be.
        order: Row of each sample.
        said: A file of labels in the order of the rows; None looks beside ``path``.
        silent: Whether ``path`` says itself neither by ids nor by labels whose its rows are.

    Raises:
        BadData: The labels that were said are not as many as the rows.
        Mismatch: They are neither the given labels nor, of a file that was found, the clean ones.
    """
    if said is None and not silent:
        return False
    n = len(variant.labels)
    for place in places_beside(path) if said is None else [Path(said)]:
        given = _read_labels(place, variant)
        if given.shape == (n,):
            check_labels_of(given[order], variant, place, of_clean=said is None)
            return True
        if said is not None:
            msg = f"{place} has labels of shape {given.shape}, expected ({n},): one for each row of {path}"
            raise BadData(msg)
    return False


def _read_labels(path: Path, variant: Variant) -> NDArray[Any]:
    """The label column of a file, in the order of its rows.

    Raises:
        BadUsage: The file's name ends in something that is not read.
        BadData: It cannot be read, or has no labels.
    """

    def choose(there: Sequence[str]) -> Chosen:
        names = [name for name in LABELS if name in there] or list(there)
        if len(names) != 1:
            shown = ", ".join(there[:20])
            msg = f"{path} must have one column of labels, called {' or '.join(LABELS)}; it has: {shown}"
            raise BadData(msg)
        return Chosen((names[0],), frozenset(names))

    if ending_of(path) == ".npy":
        return read_array(path)
    return next(iter(reader_of(path, "labels")(path, choose, variant).values()))
