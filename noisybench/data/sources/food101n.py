"""Food-101N: 310,009 photographs of 101 dishes with the labels of the web, of which people verified one in five."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._lists import Listing, Names, check_once, find_images, find_rows, read_lines, read_words
from noisybench.data.sources._requested import first_existing, requested_folder
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData
from noisybench.ground.options import plain_options

CLASSES = 101
HEADER = "class_name"  # every file begins with a line that does
HOW = (
    "get Food-101N_release.zip from kuanghuei.github.io/Food-101N and unpack it: images/<class>/<hash>.jpg and "
    "meta/classes.txt, imagelist.tsv, verified_train.tsv, verified_val.tsv"
)
_RIGHT, _WRONG = 1, 0  # what a verification says of a label


@dataclass(frozen=True, slots=True)
class Food101N:
    """Food-101N from its official files. The label of an image is the dish that it was found with.

    Of the verified images it is known whether that label is right. Where it is, it is the clean label; where it is not,
    nobody says which dish it is (``WRONG``). Images are read when they are asked for, each resized to one side.

    Attributes:
        verified: Which verifications count: of both files, or of ``train`` or ``val`` alone.
        test: Folder of Food-101 (``food-101/``), whose test images are the test set; None leaves it out.
        side: Height and width of an image in pixels.

    Source: Lee et al. 2018, arXiv:1711.07131.
    """

    verified: Literal["both", "train", "val"] = "both"
    test: Path | None = None
    side: int = 224

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        data = requested_folder("food101n", data, HOW)
        meta = first_existing([data / "meta", data / "Food-101N_release" / "meta"], HOW)
        side = whole(self.side, "side", least=1)
        classes = _without_header(read_lines(meta / "classes.txt"), meta / "classes.txt")
        check_once(classes, meta / "classes.txt")
        if len(classes) != CLASSES:
            msg = f"{meta / 'classes.txt'} names {len(classes)} classes, expected {CLASSES}; unpack it again"
            raise BadData(msg)
        file = meta / "imagelist.tsv"
        names = _without_header(read_lines(file), file)
        check_once(names, file)
        labels = _labels(names, classes, file)
        parts = ("train", "val") if self.verified == "both" else (self.verified,)
        clean, words = _clean(names, labels, [_verdicts(meta / f"verified_{part}.tsv") for part in parts])
        images = find_images([meta.parent / "images"], names, mend="unpack Food-101N_release.zip again")
        tested = None if self.test is None else _food101(self.test, classes, side)
        return source_from_arrays(
            "food101n",
            ImageFiles(images, names, side),
            labels,
            clean=clean,
            test_inputs=None if tested is None else tested[0],
            test_labels=None if tested is None else tested[1],
            class_names=classes.to_pylist(),
            order=f"of imagelist.tsv; {words}",
            augmentation="crop_flip",
            options=plain_options(replace(self, test=None, side=side)),
            limit=limit,
        )


def _without_header(names: Names, file: Path) -> Names:
    if not names[0].as_py().startswith(HEADER) or len(names) < 2:  # noqa: PLR2004 - the header, and something below it
        msg = f"{file} must begin with a line '{HEADER}…' and go on, got '{names[0]}' in {len(names)} lines; unpack it again"
        raise BadData(msg)
    return names[1:]


def _labels(names: Names, classes: Names, file: Path) -> Labels:
    """Class of each image from the folder that it is in, shape (n,)."""
    labels = find_rows(pc.list_element(pc.split_pattern(names, "/", max_splits=1), 0), classes)
    odd = np.flatnonzero(labels < 0)
    if odd.size:
        msg = (
            f"{file} lists '{names[int(odd[0])]}', which is in the folder of no class of classes.txt ({odd.size} such "
            f"images); unpack both again"
        )
        raise BadData(msg)
    return labels


def _verdicts(file: Path) -> Listing:
    """Images of a file of verifications, and whether their label is right (1) or wrong (0)."""
    names, verdicts = read_words(file, "<class>/<image file> <0 or 1>", 2)
    names, verdicts = _without_header(names, file), verdicts[1:]
    labels = find_rows(verdicts, pa.array(["0", "1"]))
    odd = np.flatnonzero(labels < 0)
    if odd.size:
        msg = (
            f"{file} says '{verdicts[int(odd[0])]}' of '{names[int(odd[0])]}', expected 0 or 1 ({odd.size} such entries); "
            "unpack it again"
        )
        raise BadData(msg)
    return Listing(names, labels, file)


def _clean(names: Names, labels: Labels, parts: list[Listing]) -> tuple[Labels, str]:
    """Clean labels as far as they were verified, shape (n,), and how far that is.

    One verified image stands in imagelist.tsv under another dish than it was verified for, as others report: a few such
    verdicts say nothing. More of them are of another release.
    """
    clean = np.full(len(labels), UNKNOWN)
    verdict = np.full(len(labels), -1)
    absent = total = 0
    for part in parts:
        rows = find_rows(part.names, names)
        found = rows >= 0
        rows_found, right = rows[found], part.labels[found]
        absent, total = absent + int((~found).sum()), total + len(rows)
        for value in (_RIGHT, _WRONG):
            said = rows_found[right == value]
            against = said[verdict[said] == 1 - value]
            if against.size:
                msg = f"{part.file} contradicts another verification of '{names[int(against[0])]}'; unpack both again"
                raise BadData(msg)
            verdict[said] = value
    if absent > max(1, total // 100):
        msg = (
            f"{absent} of {total} verified images are not in imagelist.tsv; verified_train.tsv, verified_val.tsv and "
            f"imagelist.tsv must be of one release: unpack them again"
        )
        raise BadData(msg)
    clean[verdict == _RIGHT] = labels[verdict == _RIGHT]
    clean[verdict == _WRONG] = WRONG
    gone = f", {absent} verified ones are not in it" if absent else ""
    return clean, f"{int((verdict >= 0).sum())} verified{gone}"


def _food101(folder: Path, classes: Names, side: int) -> tuple[ImageFiles, Labels]:
    """Test images of Food-101 and their classes."""
    how = "food-101/ as ETH Zürich publishes it: images/<class>/<number>.jpg, meta/test.txt"
    file = first_existing([folder / "meta" / "test.txt", folder / "food-101" / "meta" / "test.txt"], how)
    names = read_lines(file)
    check_once(names, file)
    images = pc.binary_join_element_wise(names, ".jpg", "")
    root = find_images([file.parent.parent / "images"], images, mend=f"expected {how}")
    return ImageFiles(root, images, side), _labels(names, classes, file)


SOURCE: type[LoadSource] = Food101N
