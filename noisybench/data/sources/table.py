"""Your own CSV or Parquet table of images, texts or numbers with their labels."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from noisybench.data.classes import class_order
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._bookkeeping import NUMBERED, SPLIT, bookkeeping, counts_rows, image_column, left_out
from noisybench.data.sources._columns import (
    as_classes,
    beside,
    check_are_classes,
    check_column,
    check_present,
    errors_as_bad_data,
    first_texts,
    header,
    index_columns,
    read_table,
    spelled_classes,
)
from noisybench.data.sources._layout import SUFFIXES, Layout, layout_of
from noisybench.data.sources._own_images import read_images
from noisybench.data.sources._repeats import marked, repeated, repeated_images
from noisybench.data.sources._text import COLUMNS, text_features
from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import plain_options


@dataclass(frozen=True, slots=True)
class Table:
    """One row a sample, in the order of the file: an image file, a text or numbers, and a label.

    Without ``image``, ``text`` and ``features``, a column such as ``path`` or ``file_name`` names image files; else a
    column ``text`` holds texts; else every column that has no other meaning is a number. Row numbers, ids, splits, file
    names and further labels have one: they are left out, and named in ``Source.notes``.

    Classes are the labels that occur, by value where all are whole numbers, however they are written (``1.0`` is ``1``),
    else by code points. Nothing may be missing but clean labels. Images are read as source ``folder`` reads them; texts
    become TF-IDF features, of which the training texts alone decide the words and their weights. Samples of the same
    image, text or id have the mark ``duplicate``. Text files may be packed by gzip, bzip2 or xz; separator, encoding and
    decimal commas are recognised.

    Attributes:
        label: Column of given labels, texts or whole numbers.
        clean: Column of the right classes; empty, -1, NaN or null where nobody knows. None where there is none.
        image: Column of image files, below ``root``.
        text: Column of texts.
        features: Columns of numbers, as ``a,b,c``; ``*`` is every column without another meaning, row numbers too.
        id: Column of what samples are called, which ``suspects`` shows; of images it is their path.
        test: A file of test samples with the same columns, in the folder of the table.
        root: Folder of the images, in the folder of the table; None is that folder itself.
        side: Height and width in pixels that all images are brought to; None leaves them as they are, all of one size.
        words: How many words are features, at most.
        separator: Between two columns of a text file: one character or its name, such as ``tab``; None recognises it.
        encoding: Of a text file, as Python calls it; None recognises UTF-8, UTF-16 and Western European text.
        decimal: ``.`` or ``,``, before the fraction of a number in a text file; None recognises it.

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
    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    endings: ClassVar[tuple[str, ...]] = SUFFIXES

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if data is None:
            msg = "source 'table' needs a file: say --data FILE, a .csv, .tsv or .parquet with a row for each sample"
            raise BadUsage(msg)
        layout = self._layout(data)
        kind = self._kind(header(layout), layout)
        train = _read(layout, kind, self.label, *(name for name in (self.clean, self.id) if name is not None))
        kind = kind.without_row_numbers(train)
        test = None
        if self.test is not None:
            test = _read(self._layout(beside(data.parent, self.test, "test")), kind, self.label)
        classes, clean, tested_classes, class_names = self._classes(train, test)
        kept = slice(None if limit is None else max(limit, 1))  # one below one is refused with the arrays
        called = None if self.id is None else train.columns[self.id].to_pylist()
        repeats = [] if called is None else [repeated(called[kept], classes[kept], None, f"{self.id}")]
        if kind.form == "image":
            root = data.parent if self.root is None else beside(data.parent, self.root, "root")
            files = _files(train, kind.columns[0], root)
            called = called or files
            inputs = read_images(root, files[kept], self.side)
            tested = None if test is None else read_images(root, _files(test, kind.columns[0], root), self.side)
            repeats.append(repeated_images(inputs, files[kept], classes[kept]))
        elif kind.form == "text":
            texts, others = (() if part is None else _texts(part, kind.columns[0]) for part in (train, test))
            # Of all texts, so that a feature does not depend on the limit.
            inputs, tested = text_features(
                texts, others, columns=self.words, what=f"column '{kind.columns[0]}' of {data}"
            )
            repeats.append(repeated(texts[kept], classes[kept], None, "text"))
        else:
            inputs, tested = (None if part is None else _numbers(part, kind.columns) for part in (train, test))
        marks, twice = marked(repeats)
        return source_from_arrays(
            "table",
            inputs,
            classes,
            clean=clean,
            test_inputs=None if test is None else tested,
            test_labels=tested_classes,
            class_names=class_names,
            order="of the table",
            options=plain_options(self),
            limit=limit,
            sample_names=called,
            marks=marks,
            notes=(*layout.notes, *kind.notes(), *self._doubts(classes, clean, class_names), *twice),
        )

    def _layout(self, file: Path) -> Layout:
        """How a file is written, as far as it is not said."""
        with errors_as_bad_data(file):
            return layout_of(file, separator=self.separator, encoding=self.encoding, decimal=self.decimal)

    def _classes(
        self, train: "_Part", test: "_Part | None"
    ) -> tuple[Labels, Labels | None, Labels | None, tuple[str, ...]]:
        """Given, right and test classes, and the names of all."""
        clean = None if self.clean is None else train.columns[self.clean]
        tested = None if test is None else test.columns[self.label]
        columns, found = spelled_classes(train.columns[self.label], clean, tested)
        class_names = class_order(found)
        given = as_classes(columns[0], class_names, self.label, train.file)
        right = None if self.clean is None else as_classes(columns[1], class_names, self.clean, train.file)
        if test is None:
            return given, right, None, class_names
        return given, right, as_classes(columns[-1], class_names, self.label, test.file), class_names

    def _doubts(self, given: Labels, clean: Labels | None, class_names: Sequence[str]) -> Iterator[str]:
        """What is odd of the right classes, a sentence each."""
        if clean is None:
            return
        known = np.unique(clean[clean >= 0])
        if known.size and not np.isin(known, given).any():
            ours, theirs = class_names[given[0]], class_names[known[0]]
            yield (
                f"columns '{self.label}' and '{self.clean}' have no class in common, such as '{ours}' and '{theirs}': every "
                f"known label counts as wrong"
            )
        if known.size and class_names[known[0]] == "-1":
            yield f"-1 in column '{self.clean}' is the class -1, as column '{self.label}' has it; leave empty what nobody knows"

    def _kind(self, there: Sequence[str], layout: Layout) -> "_Kind":
        """What the inputs are, of the columns that there are."""
        file = layout.file
        others = [name for name in (self.label, self.clean, self.id) if name is not None]
        for name in others:
            check_column(name, there, file)
        rest = tuple(name for name in there if name not in others)
        one = {"image": self.image, "text": self.text}
        given = [_Kind(form, (name,)) for form, name in one.items() if name is not None]
        if self.features is not None:
            named = tuple(name.strip() for name in self.features.split(","))
            given.append(_Kind("features", rest if named == ("*",) else named))
        if len(given) > 1:
            msg = f"inputs are one of image=…, text=… and features=…, got {' and '.join(kind.form for kind in given)}"
            raise BadUsage(msg)
        if given:
            for name in given[0].columns:
                check_column(name, there, file)
            return given[0]
        if not rest:
            msg = f"{file} has no column beside {', '.join(there)}; expected image files, texts or numbers too"
            raise BadData(msg)
        out = bookkeeping(rest, index_columns(layout))
        images = "path" if "path" in rest else image_column(rest, lambda name: first_texts(layout, name))
        if images is not None or "text" in rest:
            parts = {name: why for name, why in out.items() if why == SPLIT}
            return _Kind("text", ("text",), parts) if images is None else _Kind("image", (images,), parts)
        inputs = tuple(name for name in rest if name not in out)
        if not inputs:
            msg = f"{file} has no column of inputs: {left_out(out)}"
            raise BadData(msg)
        return _Kind("features", inputs, out, chosen=True)


@dataclass(frozen=True, slots=True)
class _Part:
    """The training or the test table."""

    file: Path
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the inputs are, in which columns, what is left out and why, and whether nobody said so."""

    form: str  # image, text or features
    columns: tuple[str, ...]
    out: Mapping[str, str] = field(default_factory=dict)
    chosen: bool = False

    def without_row_numbers(self, train: _Part) -> "_Kind":
        """Columns whose very values count the rows are left out too, where the columns were not named."""
        if not self.chosen:
            return self
        counting = {name: NUMBERED for name in self.columns if counts_rows(train.columns[name])}
        if len(counting) == len(self.columns):
            msg = f"{train.file} has no column of inputs: {left_out({**self.out, **counting})}"
            raise BadData(msg)
        return replace(
            self,
            columns=tuple(name for name in self.columns if name not in counting),
            out={**self.out, **counting},
        )

    def notes(self) -> tuple[str, ...]:
        """What was chosen of it, a sentence each."""
        images = self.form == "image" and self.columns != ("path",)
        said = (f"images are the files of column '{self.columns[0]}'; image=… says otherwise",) if images else ()
        return (*said, left_out(self.out)) if self.out else said


def _read(layout: Layout, kind: _Kind, label: str, *others: str) -> _Part:
    """The columns of a table that are needed."""
    inputs, numbers = ((), kind.columns) if kind.form == "features" else (kind.columns, ())
    columns = read_table(layout, texts=tuple(dict.fromkeys((label, *others, *inputs))), numbers=numbers)
    check_present(columns[label], label, layout.file)
    check_are_classes(columns[label], label, layout.file)
    return _Part(layout.file, columns)


def _files(part: _Part, name: str, root: Path) -> list[str]:
    """Image files below a folder, once all of them are there."""
    check_present(part.columns[name], name, part.file)
    names: list[str] = []
    odd = []
    for row, path in enumerate(part.columns[name].to_pylist()):
        plain = os.path.relpath(path, root) if os.path.isabs(path) else path  # noqa: PTH117 - of a million
        if "\\" in plain and not os.path.isfile(os.path.join(root, plain)):  # noqa: PTH113, PTH118
            plain = plain.replace("\\", "/")  # as Windows writes paths
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
    return np.column_stack([part.columns[name].astype(np.float32) for name in names])


SOURCE: type[LoadSource] = Table
