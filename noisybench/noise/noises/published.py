"""Labels released with a paper, in a file: a column of noisy labels in the order of the source."""

from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import Labels, check_labels
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.npy import read_array
from noisybench.noise.label_files import ALONE, CLEAN, in_order, name_columns, numbered, read_label_file
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.sample_files.text_readers import Columns


@dataclass(frozen=True, slots=True)
class Published:
    """Take the labels of a file, one for each sample, in the order of the source, or by a column of ids or of files.

    They are checked: clean labels in the file, or in ``clean_labels.npy`` beside it, must be those of the source; where
    there are none, the given labels must agree with the source's more often than in any other order. A source that is a
    prefix (``--limit``) takes the first of them. Nothing is drawn: there is no seed, mode or rate.

    Attributes:
        file: ``.npy``, ``.npz``, ``.csv``, ``.tsv``, or a ``.pt`` of arrays or tensors, which is read without torch.
        label: Column, array or key of the given labels; None takes the one of a usual name (``label_noisy``,
            ``noise_label_train``, …), or the only one.
        clean: That of the clean labels; None takes the one of a usual name where there is one.

    Source: none; the labels are those of whoever released the file.
    """

    file: Path
    label: str | None = None
    clean: str | None = None
    found: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isfile(self.file):  # noqa: PTH113 - False for a text that can be no path, where Path.is_file raises
            msg = f"there is no file of labels at {self.file}"
            raise BadData(msg)
        label, clean = name_columns(read_label_file(self.file), self.file, self.label, self.clean)
        object.__setattr__(self, "label", label)  # so that provenance tells which columns these are
        object.__setattr__(self, "clean", clean)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
        columns = in_order(
            read_label_file(self.file),
            (self.label, self.clean),
            self.file,
            source.sample_names,
            prefix=source.limit is not None,
        )
        if self.clean is not None:
            _check_clean(_column(columns, self.clean, source, self.file), source, self.file)
        verified = self.clean is not None or _verified_beside(self.file, source)
        given = _column(columns, str(self.label), source, self.file, verified=verified)
        if not verified:
            _check_agreement(given, source, self.file)
        return Draw(labels=given)


def _column(columns: Columns, name: str, source: Source, path: Path, *, verified: bool = True) -> Labels:
    """The labels of the samples of a source, shape (n,): the first ones of more where their order is verified.

    Raises:
        BadData: There are not as many, or one is no class.
    """
    what = f"'{name}' of {path.name}"
    if name not in columns:
        msg = f"{what} has not as many rows as the ids beside it; expected one each"
        raise BadData(msg)
    labels = numbered(columns[name], source.class_names, what)
    n = len(source.labels)
    if len(labels) < n or (len(labels) > n and source.limit is None and not verified):
        hint = f"; say --limit {len(labels)} where they are those of the first" if len(labels) < n else ""
        msg = f"{what} has {len(labels)} labels, source '{source.name}' has {n} samples; expected one each{hint}"
        raise BadData(msg)
    return check_labels(labels[:n], source.num_classes, what=what)


def _reference(source: Source) -> Labels:
    """The clean labels of a source, and those it came with where they are unknown."""
    return np.where(source.clean >= 0, source.clean, source.labels)


def _check_clean(clean: Labels, source: Source, path: Path) -> None:
    """Refuse clean labels that are not the source's: the given ones would go to other samples."""
    own = _reference(source)
    odd = np.flatnonzero(clean != own)
    if odd.size:
        i = odd[0]
        msg = (
            f"the clean labels of {path} are not those of source '{source.name}': {odd.size} of {len(own)} differ, the "
            f"first of sample {i} ({clean[i]}, not {own[i]}); give the file of this source, in its order"
        )
        raise Mismatch(msg)


def _verified_beside(path: Path, source: Source) -> bool:
    """Whether a file of clean labels beside a file shows that it is of the source.

    Raises:
        Mismatch: It shows that it is not.
    """
    for place in (path.with_name(f"{name}.npy") for name in CLEAN if "clean" in name or "true" in name):
        if place == path or not isfile(place):  # noqa: PTH113 - as above
            continue
        _check_clean(_column({ALONE: read_array(place)}, ALONE, source, place), source, place)
        return True
    return False


def _check_agreement(given: Labels, source: Source, path: Path) -> None:
    """Refuse labels that agree with the source's no more often than in another order."""
    own, n, k = _reference(source), len(given), source.num_classes
    chance = float(np.bincount(given, minlength=k) @ np.bincount(own, minlength=k)) / n**2
    agree = float((given == own).mean())
    if chance < 1 and agree <= chance + 3 * np.sqrt(chance * (1 - chance) / n):
        msg = (
            f"the labels of {path} agree with those of source '{source.name}' at {agree:.1%} of the samples, no more than "
            f"in any other order; give the file of this source, or its clean labels to check by: --set clean=…"
        )
        raise Mismatch(msg)


NOISE: type[Noise] = Published
