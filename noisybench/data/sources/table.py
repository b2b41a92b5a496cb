"""Your own CSV or Parquet table of images, texts or numbers with their labels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._columns import (
    as_classes,
    beside,
    check_column,
    check_present,
    class_names_of,
    header,
    read_table,
)
from noisybench.data.sources._own_images import read_images
from noisybench.data.sources._text import COLUMNS, text_features
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import plain_options


@dataclass(frozen=True, slots=True)
class Table:
    """One row a sample, in the order of the file: an image file, a text or numbers, and a label.

    Without ``image``, ``text`` and ``features``, a column ``path`` names image files; else a column ``text`` holds texts;
    else every column that has no other meaning is a number. Classes are the labels that occur, sorted: as numbers where
    all are whole numbers, else as texts. Nothing may be missing but clean labels. Images are read as source ``folder``
    reads them; texts become TF-IDF features, of which the training texts alone decide the words and their weights.

    Attributes:
        label: Column of given labels, texts or whole numbers.
        clean: Column of the right classes, empty where nobody knows; None where there is none.
        image: Column of image files, below ``root``.
        text: Column of texts.
        features: Columns of numbers, as ``a,b,c``.
        id: Column of what samples are called, which ``suspects`` shows; of images it is their path.
        test: A file of test samples with the same columns, in the folder of the table.
        root: Folder of the images, in the folder of the table; None is that folder itself.
        side: Height and width in pixels that all images are brought to; None leaves them as they are, all of one size.
        words: How many words are features, at most.

    Raises:
        BadUsage: No file is given, several kinds of inputs, or a column that does not exist.
        BadData: The table cannot be read, or a value is missing or cannot be used.
    """

    label: str = "label"
    clean: str | None = None
    image: str | None = None
    text: str | None = None
    features: str | None = None
    id: str | None = None
    test: str | None = None
    root: str | None = None
    side: int | None = None
    words: int = COLUMNS

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'table' needs a file: say --data FILE, a .csv or .parquet with a row for each sample"
            raise BadUsage(msg)
        kind = self._kind(header(data), data)
        train = _read(data, kind, self.label, *(name for name in (self.clean, self.id) if name is not None))
        test = None if self.test is None else _read(beside(data.parent, self.test, "test"), kind, self.label)
        named = [train.columns[name] for name in (self.label, self.clean) if name is not None]
        class_names = class_names_of(*named)
        kept = slice(None if limit is None else max(limit, 1))  # one below one is refused with the arrays
        called = None if self.id is None else train.columns[self.id].to_pylist()
        if kind.form == "image":
            root = data.parent if self.root is None else beside(data.parent, self.root, "root")
            files = _files(train, kind.columns[0], root)
            called = called or files
            inputs = read_images(root, files[kept], self.side)
            tested = None if test is None else read_images(root, _files(test, kind.columns[0], root), self.side)
        elif kind.form == "text":
            texts, others = (() if part is None else _texts(part, kind.columns[0]) for part in (train, test))
            # Of all texts, so that a feature does not depend on the limit.
            inputs, tested = text_features(
                texts, others, columns=self.words, what=f"column '{kind.columns[0]}' of {data}"
            )
        else:
            inputs, tested = (None if part is None else _numbers(part, kind.columns) for part in (train, test))
        return source_from_arrays(
            "table",
            inputs,
            as_classes(train.columns[self.label], class_names, self.label, data),
            clean=None if self.clean is None else as_classes(train.columns[self.clean], class_names, self.clean, data),
            test_inputs=None if test is None else tested,
            test_labels=None
            if test is None
            else as_classes(test.columns[self.label], class_names, self.label, test.file),
            class_names=class_names,
            order="of the table",
            options=plain_options(self),
            limit=limit,
            sample_names=called,
        )

    def _kind(self, there: Sequence[str], file: Path) -> "_Kind":
        """What the inputs are, of the columns that there are."""
        others = [name for name in (self.label, self.clean, self.id) if name is not None]
        for name in others:
            check_column(name, there, file)
        one = {"image": self.image, "text": self.text}
        given = [_Kind(form, (name,)) for form, name in one.items() if name is not None]
        if self.features is not None:
            given.append(_Kind("features", tuple(name.strip() for name in self.features.split(","))))
        if len(given) > 1:
            msg = f"inputs are one of image=…, text=… and features=…, got {' and '.join(kind.form for kind in given)}"
            raise BadUsage(msg)
        if given:
            for name in given[0].columns:
                check_column(name, there, file)
            return given[0]
        rest = tuple(name for name in there if name not in others)
        if not rest:
            msg = f"{file} has no column beside {', '.join(there)}; expected image files, texts or numbers too"
            raise BadData(msg)
        if "path" in rest:
            return _Kind("image", ("path",))
        return _Kind("text", ("text",)) if "text" in rest else _Kind("features", rest)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the inputs are, and in which columns."""

    form: str  # image, text or features
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """The training or the test table."""

    file: Path
    columns: Mapping[str, Any]


def _read(file: Path, kind: _Kind, label: str, *others: str) -> _Part:
    """The columns of a table that are needed."""
    inputs, numbers = ((), kind.columns) if kind.form == "features" else (kind.columns, ())
    columns = read_table(file, texts=tuple(dict.fromkeys((label, *others, *inputs))), numbers=numbers)
    check_present(columns[label], label, file)
    return _Part(file, columns)


def _files(part: _Part, name: str, root: Path) -> list[str]:
    """Image files below a folder, once all of them are there."""
    check_present(part.columns[name], name, part.file)
    names: list[str] = []
    odd = []
    for row, path in enumerate(part.columns[name].to_pylist()):
        plain = os.path.relpath(path, root) if os.path.isabs(path) else path  # noqa: PTH117 - of a million
        names.append(plain.replace(os.sep, "/"))
        outside = os.path.normpath(plain).startswith(f"..{os.sep}")
        if outside or not os.path.isfile(os.path.join(root, plain)):  # noqa: PTH113, PTH118
            odd.append((row, path))
    if odd:
        row, path = odd[0]
        msg = (
            f"column '{name}' of {part.file}, row {row}: '{path}' is no file below {root} ({len(odd)} such rows); name "
            f"files relative to it, or say --source-set root=FOLDER"
        )
        raise BadData(msg)
    return names


def _texts(part: _Part, name: str) -> list[str]:
    check_present(part.columns[name], name, part.file)
    texts: list[str] = part.columns[name].to_pylist()
    return texts


def _numbers(part: _Part, names: Sequence[str]) -> NDArray[np.float32]:
    """Features, shape (n, d)."""
    return np.column_stack([part.columns[name] for name in names])


SOURCE: type[LoadSource] = Table
