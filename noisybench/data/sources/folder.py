"""Your own images in class folders, below ``train`` and ``test`` or below one folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from noisybench.data.classes import class_order
from noisybench.data.images.class_folders import children, find_parts, is_folder
from noisybench.data.images.files import original_files, read_images, unbroken_files
from noisybench.data.repeats import marked, repeated_images
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.tables.columns import (
    as_classes,
    beside,
    check_present,
    errors_as_bad_data,
    read_table,
    spelled_classes,
)
from noisybench.data.tables.layout import layout_of
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import options_said


@dataclass(frozen=True, slots=True)
class Folder:
    """Images whose class is the name of the folder that they are in, in the order of their names.

    Where there is a folder ``train`` of class folders, these are the training samples, and the test samples are in
    ``test``, else in the folder of validation samples, where there is one of these, in any usual spelling (``Training``,
    ``VAL``, ``test_set``); otherwise the class folders are in the folder itself, and there is no test set. Files are
    sorted by name, classes too, or by value where all are whole numbers; the same image twice is marked as ``duplicate``
    where the pixels are kept in memory. Images may lie deeper in a class's folder, in any format and of any kind that
    Pillow reads as 8 bits. Up to 1 GiB of pixels are kept in memory; beyond that, ``side`` is needed, and images are
    read when they are asked for.

    Attributes:
        side: Height and width in pixels that all images are brought to, in colour: the largest centred square, resized.
            None leaves them as they are, all of one size.
        clean: A CSV or Parquet file of the right classes that are known, with columns ``path`` (below the folder, or below
            ``train``) and ``label``; it lies in the folder too. Other labels are neither right nor wrong.
        train: Folder of the class folders of training samples, ``.`` for the folder itself; None finds it by its name.
        test: Folder of the class folders of test samples, ``none`` for no test set; ``auto`` finds it by its name.
        skip_broken: Whether images that cannot be decoded are left out, and named; else they are refused, all at once.

    Raises:
        BadUsage: No folder is given, so many images that a side is needed, or a ``train`` or ``test`` that is not there.
        BadData: No class folders, folders that are parts or groups and no classes, a file that is no image, images of
            several sizes, or a line of ``clean`` that is of no image or names no class.
    """

    side: int | None = None
    clean: str | None = None
    train: str | None = None
    test: str = "auto"
    skip_broken: bool = False

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'folder' needs a folder: say --data FOLDER, with a folder of images for each class"
            raise BadUsage(msg)
        train, test, found = find_parts(data, self.train, None if self.test == "auto" else self.test)
        class_names = _classes(train)
        names, labels = _listing(train, class_names)
        tested = None if test is None else _listing(test, _known_classes(test, class_names))
        clean = None if self.clean is None else _clean(data, train, self.clean, names, class_names)
        notes: tuple[str, ...] = ()
        left_out: tuple[str, ...] = ()
        if self.skip_broken:
            rows, left_out, notes = unbroken_files(train, names, limit=limit)
            names, labels = [names[i] for i in rows], labels[rows]
            clean = None if clean is None else clean[rows]
            if test is not None and tested is not None:
                rows, more, said = unbroken_files(test, tested[0])
                tested = [tested[0][i] for i in rows], tested[1][rows]
                left_out += tuple(f"{test.name}/{name}" for name in more)
                notes += said
        kept = names if limit is None else names[: max(limit, 1)]  # one below one is refused with the arrays
        inputs = read_images(train, kept, self.side)
        marks, twice = marked([repeated_images(inputs, kept, labels[: len(kept)])])
        return source_from_arrays(
            "folder",
            inputs,
            labels,
            clean=clean,
            test_inputs=None if test is None or tested is None else read_images(test, tested[0], self.side),
            test_labels=None if tested is None else tested[1],
            class_names=class_names,
            order="sorted by name",
            options=options_said(self, test="auto", skip_broken=False),
            limit=limit,
            sample_names=names,
            marks=marks,
            notes=(*found, *notes, *twice),
            left_out=left_out,
            originals=original_files(train, kept, self.side),
        )


def _classes(folder: Path) -> tuple[str, ...]:
    class_names = class_order(entry.name for entry in children(folder) if is_folder(entry))
    if not class_names:
        msg = f"{folder} holds no folders; expected one of images for each class"
        raise BadData(msg)
    return class_names


def _known_classes(test: Path, class_names: tuple[str, ...]) -> tuple[str, ...]:
    """All classes, once those of the test folder are among them."""
    for name in _classes(test):
        if name not in class_names:
            msg = (
                f"{test / name} is of no class of the training folder: {unknown(name, class_names, 'class')} (for no test "
                f"set, say --source-set test=none)"
            )
            raise BadData(msg)
    return class_names


def _listing(folder: Path, class_names: tuple[str, ...]) -> tuple[list[str], Labels]:
    """Images below a folder and their classes (n,), sorted by name; a class may have none, but not all."""
    names: list[str] = []
    counts = []
    called = sorted(range(len(class_names)), key=class_names.__getitem__)  # as torchvision's ImageFolder has them
    for label in called:
        before = len(names)
        if (folder / class_names[label]).is_dir():
            names += _images(folder, class_names[label])
        counts.append(len(names) - before)
    if not names:
        msg = f"{folder} holds no image in its class folders, such as {folder / class_names[0]}; expected some"
        raise BadData(msg)
    return names, np.repeat(np.array(called, dtype=np.int64), counts)


def _images(folder: Path, below: str) -> Iterator[str]:
    """Images in a folder and in those within, by their names below ``folder``, sorted."""
    from PIL import Image

    endings = Image.registered_extensions()
    for entry in children(folder / below):
        name = f"{below}/{entry.name}"
        if is_folder(entry):
            yield from _images(folder, name)
        elif endings.get(os.path.splitext(entry.name)[1].lower()) in Image.OPEN:  # noqa: PTH122 - ten times as fast
            yield name
        else:
            msg = f"{folder / name} is no image by its name; take it away, or give it the ending of its format"
            raise BadData(msg)


def _clean(data: Path, train: Path, file_name: str, names: list[str], class_names: tuple[str, ...]) -> Labels:
    """What a table says of the right classes, shape (n,)."""
    file = beside(data, file_name, "clean")
    with errors_as_bad_data(file):
        layout = layout_of(file)
    columns = read_table(layout, texts=("path", "label"))
    check_present(columns["path"], "path", file)
    (_, right), _ = spelled_classes(pa.array([], pa.string()), columns["label"], names=class_names)
    found = as_classes(right, class_names, "label", file)
    numbers = {name: i for i, name in enumerate(names)}
    prefix = "" if train == data else f"{train.name}/"
    clean = np.full(len(names), UNKNOWN, dtype=np.int64)
    seen: set[int] = set()
    for row, path in enumerate(columns["path"].to_pylist()):
        plain = path.replace("\\", "/").removeprefix("./")
        i = numbers.get(plain, numbers.get(plain.removeprefix(prefix)))
        if i is None:
            msg = f"row {row} of {file} is of '{path}', which is no image below {train}"
            raise BadData(msg)
        if i in seen:
            msg = f"row {row} of {file} is of '{path}' again; expected each image once"
            raise BadData(msg)
        seen.add(i)
        clean[i] = found[row]
    return clean


SOURCE: type[LoadSource] = Folder
