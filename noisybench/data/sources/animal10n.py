"""Animal-10N: ten animals, 64 × 64, easy to confuse two by two, labelled by people who sometimes did."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import AnyInputs
from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._requested import requested_folder
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData

CLASS_NAMES = (
    "Cat", "Lynx", "Wolf", "Coyote", "Cheetah", "Jaguar", "Chimpanzee", "Orangutan", "Hamster", "Guinea pig",
)  # fmt: skip
SAMPLES = (50_000, 5_000)
SIDE = 64
CHUNK = 1_024
RECORD = np.dtype([("id", ">u4"), ("label", ">u4"), ("planes", "u1", (3, SIDE, SIDE))])
HOW = (
    "fill in the form at dm.kaist.ac.kr/datasets/animal-10n and unpack into one folder either data_batch_1.bin, … and "
    "test_batch.bin, or training/ and testing/ with images <label>_<id>.jpg"
)


@dataclass(frozen=True, slots=True)
class Animal10N:
    """Animal-10N from its binary files or its folders of images. No clean label of a training image is known.

    The binary records are put in the order of their ids, whatever file they are in; images of folders are in the order
    of their names, and read when they are asked for. Test labels agree with the word that the image was found with, and
    are taken as clean.

    Source: Song et al. 2019, SELFIE: Refurbishing Unclean Samples for Robust Deep Learning.

    Raises:
        BadUsage: No folder is given.
        BadData: A file is missing, truncated, of another layout, or given twice.
    """

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        data = requested_folder("animal10n", data, HOW)
        folders = [folder for folder in (data, data / "raw_image") if (folder / "training").is_dir()]
        batches = sorted(data.glob("data_batch_*.bin"))
        if folders and not batches:
            order = "by file name"
            read: list[tuple[AnyInputs, Labels]] = [_read_folder(folders[0] / part) for part in ("training", "testing")]
        elif batches and not folders:
            order = "by id"
            read = [_read_batches(files) for files in (batches, [data / "test_batch.bin"])]
        else:
            both = "both data_batch_*.bin and training/, of which one is enough" if folders else "no Animal-10N"
            msg = f"{data} holds {both}; {HOW}"
            raise BadData(msg)
        (inputs, labels), (test_inputs, test_labels) = read
        for what, found, official in (("training", labels, SAMPLES[0]), ("test", test_labels, SAMPLES[1])):
            if len(found) != official:
                order += f"; {len(found):,} {what} images, where the official set has {official:,}"
        return source_from_arrays(
            "animal10n",
            inputs,
            labels,
            clean=np.full_like(labels, UNKNOWN),
            test_inputs=test_inputs,
            test_labels=test_labels,
            class_names=CLASS_NAMES,
            order=order,
            augmentation="crop_flip",
            limit=limit,
        )


def _read_batches(files: list[Path]) -> tuple[NDArray[np.uint8], Labels]:
    """Images (n, 64, 64, 3) and labels (n,) of binary records, in the order of their ids."""
    records = [_records(file) for file in files]
    n = sum(map(len, records))
    holder = np.full(n, -1)  # the file that gave an id
    labels = np.empty(n, dtype=np.int64)
    images = np.empty((n, SIDE, SIDE, 3), dtype=np.uint8)
    for number, (file, found) in enumerate(zip(files, records, strict=True)):
        ids = found["id"].astype(np.int64)
        if ids.max() >= n:
            msg = f"{file} has a record of id {ids.max()} where {n} records have ids 0..{n - 1}; {_lost(files)}"
            raise BadData(msg)
        values, counts = np.unique(ids, return_counts=True)
        twice = np.concatenate([values[counts > 1], values[holder[values] >= 0]])
        if twice.size:
            first = int(twice[0])
            other = f" and {files[holder[first]].name}" if holder[first] >= 0 else " twice"
            msg = f"id {first} is in {file}{other} ({twice.size} such ids); {_lost(files)}"
            raise BadData(msg)
        wrong = np.flatnonzero(found["label"] >= len(CLASS_NAMES))
        if wrong.size:
            msg = (
                f"record {wrong[0]} of {file} has label {found['label'][wrong[0]]}, expected 0..{len(CLASS_NAMES) - 1} "
                f"({wrong.size} such records): it is damaged, or no Animal-10N with big-endian numbers"
            )
            raise BadData(msg)
        holder[ids] = number
        labels[ids] = found["label"]
        for start in range(0, len(ids), CHUNK):  # so that a whole file is not in memory twice
            part = slice(start, start + CHUNK)
            images[ids[part]] = found["planes"][part].transpose(0, 2, 3, 1)
    return images, labels


def _records(file: Path) -> NDArray[np.void]:
    """The records of a file, mapped."""
    try:
        size = file.stat().st_size
        if not size or size % RECORD.itemsize:
            msg = (
                f"{file} has {size:,} bytes, expected a multiple of {RECORD.itemsize:,}: it is truncated, copy it again"
            )
            raise BadData(msg)
        return np.memmap(file, RECORD, "r")
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror}; {HOW}"
        raise BadData(msg) from None


def _lost(files: list[Path]) -> str:
    return (
        f"a file of another set is among {', '.join(file.name for file in files)}, or one is missing: copy them again"
    )


def _read_folder(folder: Path) -> tuple[ImageFiles, Labels]:
    """Images and labels (n,) of files ``<label>_<id>.jpg``, in the order of their names."""
    names = sorted(_image_names(folder))
    if not names:
        msg = f"{folder} has no image <label>_<id>.jpg; {HOW}"
        raise BadData(msg)
    labels = np.array([int(name.partition("_")[0]) for name in names], dtype=np.int64)
    return ImageFiles(folder, names, SIDE), labels


def _image_names(folder: Path) -> Iterator[str]:
    try:
        found = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        msg = f"{folder} cannot be read: {error.strerror}; {HOW}"
        raise BadData(msg) from None
    for name in found:
        if not re.fullmatch(rf"[0-{len(CLASS_NAMES) - 1}]_\w+\.jpe?g", name, re.IGNORECASE):
            msg = f"{folder / name} is no image <label>_<id>.jpg with a label 0..{len(CLASS_NAMES) - 1}; take it away"
            raise BadData(msg)
        yield name


SOURCE: type[LoadSource] = Animal10N
