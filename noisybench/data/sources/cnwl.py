"""Controlled Noisy Web Labels: Mini-ImageNet with a chosen share of web images (red) or of flipped labels (blue)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._lists import Listing, check_once, find_images, read_listing
from noisybench.data.sources._mini_imagenet import CLASS_NAMES, WORDNET
from noisybench.data.sources._requested import first_existing, requested_folder
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_record
from noisybench.ground.options import plain_options

Verdicts = Mapping[str, list[tuple[int, bool]]]
"""Web image → the labels that were put to people, and whether they found them right."""

LEVELS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
ANNOTATIONS = "mini-imagenet-annotations.json"
IMAGENET = r"^n[0-9]{8}"
HOW = (
    "unpack storage.googleapis.com/cnlw/dataset_no_images.zip, then put all images of its lists, from its addresses and "
    "from ImageNet, into all_images/ and those of clean_validation into validation/; or the folders training/<list>/<class>/ "
    f"and validation/<class>/ beside {ANNOTATIONS}"
)


@dataclass(frozen=True, slots=True)
class ControlledNoisyWebLabels:
    """Mini-ImageNet of Controlled Noisy Web Labels, from its lists or from class folders. Stanford Cars is not read.

    The right class of an image of ImageNet, whose name begins with n, is known from its name. Of a web image people
    said whether its label is right: then it is the clean one, else it is known to be wrong, and the right class is not
    known. A label that nobody was asked about is unknown. Images are read when they are asked for, each resized to one
    side.

    Source: Jiang et al. 2020, arXiv:1911.09781.

    Attributes:
        noise: ``red``: images replaced by web images that came with the label; ``blue``: labels flipped at random.
        level: Nominal share of such labels, one of ten from 0.0 to 0.8.
        side: Height and width of an image in pixels.

    Raises:
        BadUsage: No folder is given, or a level that was not published.
        BadData: A file is missing or damaged, an image that was looked for is missing, or lists and images do not match.
    """

    noise: Literal["red", "blue"] = "red"
    level: float = 0.2
    side: int = 32

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if self.level not in LEVELS:
            msg = f"level {self.level} was not published; there are {', '.join(map(str, LEVELS))}"
            raise BadUsage(msg)
        data = requested_folder("cnwl", data, HOW)
        side = whole(self.side, "side", least=1)
        roots = [data, data / "mini-imagenet", data / "dataset_no_images", data / "dataset_no_images" / "mini-imagenet"]
        split = f"{self.noise}_noise_nl_{float(self.level)}"
        if (data / "training" / split).is_dir():
            train = _class_folders(data / "training" / split)
            images, order = train.file, f"by class and file name, of training/{split}"
        else:
            train = read_listing(first_existing([root / "split" / split for root in roots], HOW), len(CLASS_NAMES))
            check_once(train.names, train.file)
            folders = [root / folder for root in roots for folder in ("all_images", "noisy_images")]
            images = find_images(
                [folder for folder in folders if folder.is_dir()] or folders[:1], train.names, mend=HOW
            )
            order = f"of split/{split}"
        test, test_images = _validation(roots)
        clean = _clean(train, _read_verdicts(first_existing([root / ANNOTATIONS for root in roots], HOW)))
        self._check_numbers(train, clean)
        return source_from_arrays(
            "cnwl",
            ImageFiles(images, train.names, side),
            train.labels,
            clean=clean,
            test_inputs=ImageFiles(test_images, test.names, side),
            test_labels=test.labels,
            class_names=CLASS_NAMES,
            order=order,
            augmentation="crop_flip",
            options=plain_options(self),
            limit=limit,
        )

    def _check_numbers(self, train: Listing, clean: Labels) -> None:
        """Red replaces images, not labels: those of ImageNet keep theirs."""
        known = clean >= 0
        wrong = (clean != train.labels) & known
        if self.noise == "red" and 2 * wrong.sum() > known.sum():
            row = int(np.flatnonzero(wrong)[0])
            msg = (
                f"{train.file} gives '{train.names[row]}' the class {train.labels[row]}, which is {clean[row]} by its name "
                f"or its annotation ({wrong.sum()} of {known.sum()} known); it is no red list, or numbered otherwise"
            )
            raise BadData(msg)


def _clean(train: Listing, verdicts: Verdicts) -> Labels:
    """Clean labels (n,); ``WRONG`` where people said no, ``UNKNOWN`` where nobody was asked."""
    stems = pc.replace_substring_regex(train.names, r"^.*/|\.[A-Za-z]+$", "")
    clean = np.full_like(train.labels, UNKNOWN)
    imagenet = pc.match_substring_regex(stems, IMAGENET).to_numpy(zero_copy_only=False)
    numbers = pc.index_in(pc.utf8_slice_codeunits(stems, 0, 9), value_set=pa.array(WORDNET))
    classes: Labels = numbers.fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    foreign = np.flatnonzero(imagenet & (classes < 0))
    if foreign.size:
        msg = (
            f"{train.file} lists '{train.names[int(foreign[0])]}', which is of no class of Mini-ImageNet "
            f"({foreign.size} such images); use the published lists"
        )
        raise BadData(msg)
    clean[imagenet] = classes[imagenet]
    for row in np.flatnonzero(~imagenet):
        clean[row] = _verdict(int(train.labels[row]), verdicts.get(stems[int(row)].as_py(), []))
    return clean


def _verdict(label: int, given: list[tuple[int, bool]]) -> int:
    """The clean label of a web image, as far as the verdicts tell it."""
    right = {asked for asked, clean in given if clean}
    wrong = {asked for asked, clean in given if not clean}
    if len(right) > 1 or right & wrong:  # they contradict each other
        return UNKNOWN
    if right:
        return right.pop()
    return WRONG if label in wrong else UNKNOWN


def _read_verdicts(file: Path) -> Verdicts:
    record = read_record(file)
    verdicts: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    try:
        for entries in record["data"]:
            for entry in entries:
                label, clean = int(entry["image/class/label"]), int(entry["image/class/label/is_clean"])
                verdicts[str(entry["image/id"])].append((_checked(label, len(CLASS_NAMES)), bool(_checked(clean, 2))))
    except (KeyError, TypeError, ValueError) as error:
        msg = (
            f"{file} has an entry without a usable {error}; expected image/id, image/class/label in "
            f"0..{len(CLASS_NAMES) - 1} and image/class/label/is_clean 0 or 1"
        )
        raise BadData(msg) from None
    return verdicts


def _checked(number: int, least_above: int) -> int:
    if not 0 <= number < least_above:
        msg = f"value {number}"
        raise ValueError(msg)
    return number


def _validation(roots: list[Path]) -> tuple[Listing, Path]:
    """The validation images, and the folder that they are in."""
    folder = first_existing([root / "validation" for root in roots], HOW)
    lists = [root / "split" / name for root in roots for name in ("clean_validation", "validation")]
    file = next((folder for folder in lists if folder.is_file()), None)
    if file is None:
        return _class_folders(folder), folder
    test = read_listing(file, len(CLASS_NAMES))
    check_once(test.names, file)
    if (folder / "0").is_dir():
        names = pc.binary_join_element_wise(pa.array(test.labels).cast(pa.string()), test.names, "/")
        test = Listing(names, test.labels, file)
    return test, find_images([folder], test.names, mend=HOW)


def _class_folders(folder: Path) -> Listing:
    """Images of the folders ``0`` to ``99``, by class and file name."""
    names: list[str] = []
    labels: list[int] = []
    for k in range(len(CLASS_NAMES)):
        try:
            found = sorted(path.name for path in (folder / str(k)).iterdir() if not path.name.startswith("."))
        except OSError as error:
            msg = f"{folder / str(k)} cannot be read: {error.strerror}; expected folders 0 to 99 of images"
            raise BadData(msg) from None
        names += [f"{k}/{name}" for name in found]
        labels += [k] * len(found)
    if not names:
        msg = f"{folder} has folders 0 to 99 without images; {HOW}"
        raise BadData(msg)
    return Listing(pa.array(names), np.array(labels, dtype=np.int64), folder)


SOURCE: type[LoadSource] = ControlledNoisyWebLabels
