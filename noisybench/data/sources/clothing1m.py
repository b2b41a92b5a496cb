"""Clothing1M: a million photographs of clothes with the labels of the web, and some that people labelled."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._lists import (
    Listing,
    Names,
    check_once,
    find_images,
    find_rows,
    labels_of,
    read_lines,
    read_listing,
)
from noisybench.data.sources._requested import first_existing, requested_folder
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import plain_options
from noisybench.ground.random_streams import bits

# Of category_names_eng.txt as others cite it, where the file is not there.
CLASS_NAMES = (
    "T-Shirt", "Shirt", "Knitwear", "Chiffon", "Sweater", "Hoodie", "Windbreaker",
    "Jacket", "Downcoat", "Suit", "Shawl", "Dress", "Vest", "Underwear",
)  # fmt: skip
HOW = (
    "ask the first author, whose address is in the README of github.com/Cysu/noisy_label, and unpack both the text files "
    "and the images (images/0/00/… to images/9/99/…) into one folder"
)
MEND = "unpack all archives of images"


@dataclass(frozen=True, slots=True)
class Clothing1M:
    """Clothing1M from its official files. Its labels come from the texts around the images.

    Images are read when they are asked for, each resized to one side; their names are kept, not their pixels. The text
    files lie in the folder or in ``annotations/`` there; the images in ``images/``, or beside it as ``0/`` to ``9/``.

    Source: Xiao et al. 2015, Learning from Massive Noisy Labeled Data for Image Classification.

    Attributes:
        part: ``noisy`` (the million of the noisy training list), ``verified`` (the clean training images that have a
            noisy label too: the given label is the noisy one, the clean one is known), ``both``, the one after the
            other, or ``clean`` (the clean training list with its clean labels).
        subset: ``all``, or ``balanced``: as many of each given label, drawn by ``seed``, in the order of the lists. The
            order of the source tells the digest of their names.
        per_class: How many of each label are kept by ``balanced``.
        seed: Decides that draw alone.
        test: The test set: the clean ``test`` list, or ``val``.
        side: Height and width of an image in pixels.

    Raises:
        BadUsage: No folder is given, or a label has too few images for ``balanced``.
        BadData: A file is missing, damaged or of another release, or an image that was looked for is missing.
    """

    part: Literal["noisy", "verified", "both", "clean"] = "noisy"
    subset: Literal["all", "balanced"] = "all"
    per_class: int = 18_976
    seed: int = 0
    test: Literal["test", "val"] = "test"
    side: int = 224

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        data = requested_folder("clothing1m", data, HOW)
        text = first_existing([data / "noisy_label_kv.txt", data / "annotations" / "noisy_label_kv.txt"], HOW).parent
        noisy, clean = (_listing(text / f"{kind}_label_kv.txt") for kind in ("noisy", "clean"))
        names, labels = self._training(text, noisy, clean)
        tested, test_labels = _part(text / f"clean_{self.test}_key_list.txt", clean)
        _check_apart(names, tested, self.test)
        order = f"of the lists, part {self.part}"
        if self.subset == "balanced":
            kept = _balanced(labels, whole(self.per_class, "per_class", least=1), whole(self.seed, "seed", least=0))
            names, labels = names.take(pa.array(kept)), labels[kept]
            digest = hashlib.sha256("\n".join(names.to_pylist()).encode()).hexdigest()
            order += f", {self.per_class} of each label by seed {self.seed} (sha256 of their names {digest})"
        rows = find_rows(names, clean.names)
        images = find_images([data / "images", data], names, mend=MEND)
        find_images([images], tested, mend=MEND)
        return source_from_arrays(
            "clothing1m",
            ImageFiles(images, names, self.side),
            labels,
            clean=np.where(rows >= 0, clean.labels[rows], UNKNOWN),
            test_inputs=ImageFiles(images, tested, self.side),
            test_labels=test_labels,
            class_names=_class_names(text / "category_names_eng.txt"),
            order=order,
            augmentation="crop_flip",
            options=plain_options(replace(self, side=whole(self.side, "side", least=1))),
            limit=limit,
        )

    def _training(self, text: Path, noisy: Listing, clean: Listing) -> tuple[Names, Labels]:
        """Names (n,) and given labels (n,) of the part."""
        if self.part == "clean":
            return _part(text / "clean_train_key_list.txt", clean)
        parts = []
        if self.part in ("noisy", "both"):
            parts.append(_part(text / "noisy_train_key_list.txt", noisy))
        if self.part in ("verified", "both"):
            names, _ = _part(text / "clean_train_key_list.txt", clean)
            rows = find_rows(names, noisy.names)
            parts.append((names.filter(pa.array(rows >= 0)), noisy.labels[rows[rows >= 0]]))
        names = pa.concat_arrays([part for part, _ in parts])
        if not len(names):
            msg = f"no image of {text / 'clean_train_key_list.txt'} has a noisy label; copy the label files again"
            raise BadData(msg)
        if self.part == "both":
            check_once(names, text / "noisy_train_key_list.txt")
        return names, np.concatenate([labels for _, labels in parts])


def _listing(file: Path) -> Listing:
    """The labels of a file by the name of the image below ``images/``."""
    listing = read_listing(file, len(CLASS_NAMES))
    names = _below_images(listing.names)
    check_once(names, file)
    return replace(listing, names=names)


def _part(file: Path, listing: Listing) -> tuple[Names, Labels]:
    """Names (m,) of a list of keys, and their labels (m,)."""
    names = _below_images(read_lines(file))
    check_once(names, file)
    return names, labels_of(names, file, listing)


def _below_images(names: Names) -> Names:
    return pc.replace_substring_regex(names, r"^(\./)?images/", "")


def _check_apart(names: Names, tested: Names, test: str) -> None:
    shared = np.flatnonzero(find_rows(names, tested) >= 0)
    if shared.size:
        msg = (
            f"'{names[int(shared[0])]}' of clean_{test}_key_list.txt is in the training list too ({shared.size} such "
            "images); the lists are mixed up, copy them again"
        )
        raise BadData(msg)


def _balanced(labels: Labels, per_class: int, seed: int) -> Labels:
    """Rows of ``per_class`` samples of each label, in their order."""
    counts = np.bincount(labels, minlength=len(CLASS_NAMES))
    if counts.min() < per_class:
        msg = (
            f"subset=balanced keeps {per_class} of each label, and only {counts.min()} images have label "
            f"{counts.argmin()}; say --source-set per_class={counts.min()} or less"
        )
        raise BadUsage(msg)
    drawn = np.lexsort((bits(seed, "balanced subset", len(labels)), labels))
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)  # within the label
    kept: Labels = np.sort(drawn[rank < per_class])
    return kept


def _class_names(file: Path) -> tuple[str, ...]:
    if not file.is_file():
        return CLASS_NAMES
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    names = tuple(name for name in names if name)
    if len(names) != len(CLASS_NAMES):
        msg = f"{file} names {len(names)} classes, expected {len(CLASS_NAMES)}; copy it again"
        raise BadData(msg)
    return names


SOURCE: type[LoadSource] = Clothing1M
