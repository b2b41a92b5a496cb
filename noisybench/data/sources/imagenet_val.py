"""The validation images of ImageNet as samples, with the labels of people who looked again (ReaL) as truth."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._requested import requested_folder
from noisybench.data.sources._verdicts import clean_labels, judged_words, read_verdicts
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels
from noisybench.ground.checks import whole
from noisybench.ground.download import fetch
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import read_json
from noisybench.ground.options import plain_options

Truth = Literal["real", "label_errors", "published"]

IMAGES, CLASSES = 50_000, 1_000
HOW = (
    "get ILSVRC2012_img_val.tar from image-net.org, which wants an account, and sort its images into 1,000 folders by "
    "class: n01440764/ILSVRC2012_val_00000293.JPEG and so on"
)
_REAL_URL = "https://raw.githubusercontent.com/google-research/reassessed-imagenet/master/real.json"
_REAL_SHA256 = "d83e9bff374c631aae8439eb064c7019acc56e1b3bc3f56b8380c2a710b0220b"
_REAL_SIZE = 388_478
_ENOUGH = 100  # samples from which on labels of other images can be told


@dataclass(frozen=True, slots=True)
class ImagenetVal:
    """ImageNet's validation images in the order of their numbers; their label is the folder that they are in.

    There is no test set then. Images are read when they are asked for, each resized to one side.

    Attributes:
        truth: ``real``: an image has any number of right classes. Its label is wrong where it is none of them; the right
            class is known where there is only one, and nothing is known where there is none. ``label_errors``: people's
            verdicts on suspected errors, as of source ``testset``. ``published``: the labels are the reference.
        file: ``real.json`` or ``imagenet_mturk.json`` as published; None downloads it.
        side: Height and width of an image in pixels.

    Source: Beyer et al. 2020, arXiv:2006.07159; Northcutt, Athalye and Mueller 2021, arXiv:2103.14749.
    """

    truth: Truth = "real"
    file: Path | None = None
    side: int = 224

    def __post_init__(self) -> None:
        if self.truth not in get_args(Truth):
            msg = f"truth of source 'imagenet_val' must be one of {', '.join(get_args(Truth))}, got '{self.truth}'"
            raise BadUsage(msg)
        if self.truth == "published" and self.file is not None:
            msg = f"file={self.file.name} is of no truth; say truth=real or truth=label_errors, or leave it out"
            raise BadUsage(msg)

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        data = requested_folder("imagenet_val", data, HOW)
        side = whole(self.side, "side", least=1)
        root = data / "val" if (data / "val").is_dir() else data
        classes, names, labels = list_images(root)
        numbers = np.array([_number(name) for name in names])
        clean, words = labels, "truth: the folders"
        if self.truth == "real":
            clean = by_reassessment(read_reassessment(self.file), labels, numbers)
            words = judged_words(clean, labels)
        elif self.truth == "label_errors":
            verdicts = read_verdicts(self.file, "imagenet")
            rows = np.full(max(IMAGES, int(verdicts[:, 0].max())) + 1, -1)
            rows[numbers] = np.arange(len(numbers))
            clean = clean_labels(verdicts, labels, rows[verdicts[:, 0]], CLASSES)
            words = judged_words(clean, labels)
        return source_from_arrays(
            "imagenet_val",
            ImageFiles(root, names, side),
            labels,
            clean=clean,
            class_names=classes,
            order=f"by number, {len(names):,} of {IMAGES:,} images; {words}",
            augmentation="crop_flip",
            options=plain_options(replace(self, side=side)),
            limit=limit,
        )


def _number(name: str) -> int:
    return int(name[-13:-5])


def list_images(root: Path) -> tuple[list[str], list[str], Labels]:
    """Class names, and the images in the order of their numbers with their classes, shape (n,).

    Raises:
        BadData: Not all classes are there, a file is no image of the set, or an image is there twice.
    """
    classes = sorted(path.name for path in root.glob("n*") if re.fullmatch(r"n\d{8}", path.name) and path.is_dir())
    if len(classes) != CLASSES:
        msg = f"{root} holds {len(classes)} folders named like n01440764, expected all {CLASSES} classes; {HOW}"
        raise BadData(msg)
    found: dict[int, tuple[str, int]] = {}
    for k, name in enumerate(classes):
        for file in sorted(path.name for path in (root / name).glob("[!.]*")):
            number = int(file[15:23]) if re.fullmatch(r"ILSVRC2012_val_\d{8}\.JPEG", file) else 0
            if not 1 <= number <= IMAGES:
                msg = f"{root / name / file} is no ILSVRC2012_val_00000001.JPEG to {IMAGES:08d}; move it away"
                raise BadData(msg)
            if number in found:
                msg = f"{file} is both in {name} and as {found[number][0]} in {root}; sort the images again"
                raise BadData(msg)
            found[number] = f"{name}/{file}", k
    ordered = [found[number] for number in sorted(found)]
    if not ordered:
        msg = f"the folders of classes in {root} hold no image; {HOW}"
        raise BadData(msg)
    return classes, [name for name, _ in ordered], np.array([k for _, k in ordered], dtype=np.int64)


def read_reassessment(path: Path | None) -> list[list[int]]:
    """The right classes of every image, in the order of their numbers.

    Raises:
        BadData: The file is damaged, or does not have a list of classes for each of 50,000 images.
    """
    if path is None:
        instead = "--source-set file=…/real.json"
        path = fetch("real.json", _REAL_URL, _REAL_SHA256, _REAL_SIZE, instead=instead)
    lists = read_json(path)
    if not isinstance(lists, list) or len(lists) != IMAGES:
        found = f"{len(lists)} entries" if isinstance(lists, list) else f"a {type(lists).__name__}"
        msg = (
            f"{path} holds {found}, expected a list of classes for each of {IMAGES:,} images; download real.json again"
        )
        raise BadData(msg)
    for number, classes in enumerate(lists, start=1):
        whole_list = isinstance(classes, list) and all(type(k) is int and 0 <= k < CLASSES for k in classes)
        if not whole_list or len(set(classes)) != len(classes):
            msg = f"{path} has {str(classes)[:60]} for image {number}, expected classes of 0..{CLASSES - 1}; download it again"
            raise BadData(msg)
    return lists


def by_reassessment(lists: list[list[int]], labels: Labels, numbers: Labels) -> Labels:
    """Clean labels as far as they follow from the right classes, shape (n,).

    Args:
        lists: Right classes of the images 1, 2, …
        labels: Shape (n,).
        numbers: Of the images, shape (n,).

    Raises:
        Mismatch: Most labels are wrong by these lists, so they are of other images.
    """
    clean = np.full(len(labels), UNKNOWN)
    for i, (label, number) in enumerate(zip(labels.tolist(), numbers.tolist(), strict=True)):
        right = lists[number - 1]
        if right:
            clean[i] = label if label in right else right[0] if len(right) == 1 else WRONG
    known = clean != UNKNOWN
    agree = float((clean == labels)[known].mean()) if known.any() else 1.0
    if known.sum() >= _ENOUGH and agree < 1 / 2:
        msg = (
            f"real.json has the label of {agree:.1%} of {known.sum()} images only, where nine in ten are right: the images "
            f"are in folders of other classes, or the file is in another order"
        )
        raise Mismatch(msg)
    return clean


SOURCE: type[LoadSource] = ImagenetVal
