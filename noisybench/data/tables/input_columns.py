"""What the inputs of one's own table are, and in which columns."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisybench.data.tables.column_kinds import are_texts
from noisybench.data.tables.column_roles import (
    NOTHING,
    NUMBERED,
    SPLIT,
    TEXT_COLUMNS,
    bookkeeping,
    image_column,
    left_out,
)
from noisybench.data.tables.columns import (
    check_are_classes,
    check_present,
    first_texts,
    index_columns,
    read_table,
    strings,
)
from noisybench.data.tables.feature_columns import Choices, FeatureColumns, feature_columns
from noisybench.data.tables.layout import Layout
from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData, BadUsage


@dataclass(frozen=True, slots=True)
class Part:
    """The training or the test table."""

    file: Path
    columns: Mapping[str, Any]
    label: str


@dataclass(frozen=True, slots=True)
class TableKind:
    """What the inputs are, in which columns, what is left out and why, and whether nobody said so."""

    form: str  # image, text, features or nothing
    columns: tuple[str, ...]
    out: Mapping[str, str] = field(default_factory=dict)
    chosen: bool = False
    found: FeatureColumns | None = None

    def settled(self, train: Part, choices: Choices) -> "TableKind":
        """What the columns hold; where nobody named them, without those that say nothing.

        A column of texts is the input where no other is left.

        Raises:
            BadData: There is no column of inputs, or one holds what it is not.
            BadUsage: Several columns may be the texts.
        """
        if self.form != "features":
            return self
        columns = {name: train.columns[name] for name in self.columns}
        found = feature_columns(columns, train.file, choices, chosen=self.chosen)
        out = {**self.out, **found.out}
        if found.kinds:
            return replace(self, columns=tuple(found.kinds), out=out, found=found)
        if not found.texts and self.chosen and {*found.out.values()} <= {NUMBERED, SPLIT}:
            return replace(self, form=NOTHING, columns=(), out=out)
        if not found.texts:
            msg = f"{train.file} has no column of inputs: {left_out(out)}, and features=nothing means labels alone"
            raise BadData(msg)
        if len(found.texts) > 1:
            named = " or ".join(f"--source-set text={name}" for name in found.texts[:4])
            msg = f"which column of {train.file} holds the texts? say {named}"
            raise BadUsage(msg)
        out.pop(found.texts[0])
        return TableKind("text", found.texts, out)

    def notes(self) -> tuple[str, ...]:
        """What was chosen of it, a sentence each."""
        said: tuple[str, ...] = ()
        if self.form == "image" and self.columns != ("path",):
            said = (f"images are the files of column '{self.columns[0]}'; image=… says otherwise",)
        if self.form == "text" and self.columns != ("text",):
            said = (f"inputs are the texts of column '{self.columns[0]}'; text=… or features=… says otherwise",)
        silent = self.form == NOTHING and not self.chosen
        return (*said, left_out(self.out)) if self.out and not silent else said


@dataclass(frozen=True, slots=True)
class ReadInputs:
    """Inputs as they are read.

    Attributes:
        inputs: Of the training rows.
        tested: Of the test rows; None where there are none.
        called: What people call each training row; None where the inputs do not say.
        rows: The training rows that are kept; None: all.
        tested_rows: The same of the test rows.
        notes: What was chosen or left out.
        left_out: What is left out.
        repeats: Which inputs are there twice, from the classes of those kept.
        texts: What the inputs were made of, of every training row, where these are texts.
        words: The training rows in words, where the inputs are their columns.
        originals: The training images as their files hold them.
    """

    inputs: Any
    tested: Any
    called: list[str] | None = None
    rows: Labels | None = None
    tested_rows: Labels | None = None
    notes: Sequence[str] = ()
    left_out: tuple[str, ...] = ()
    repeats: Callable[[Labels], Any] | None = None
    texts: Sequence[str] | None = None
    words: Sequence[str] | None = None
    originals: Any = None


def recognised(layout: Layout, rest: Sequence[str], wished: Sequence[str], *, asked: Sequence[str] = ()) -> TableKind:
    """What the inputs are where nobody said so, of columns without another meaning; labels alone where there is none.

    Args:
        layout: The table.
        rest: The columns.
        wished: Those that are features, whatever they are called.
        asked: Those that tell what several people were asked about, which are none.
    """
    books = bookkeeping((name for name in rest if name not in wished), index_columns(layout))
    books |= {name: books.get(name, "what was asked about") for name in asked}
    if not wished:
        first = partial(first_texts, layout)
        parts = {name: why for name, why in books.items() if why == SPLIT}
        images = "path" if "path" in rest else image_column(rest, first)
        if images is not None:
            return TableKind("image", (images,), parts)
        named = (name for name in TEXT_COLUMNS if name in rest)
        texts = next((name for name in named if name == "text" or are_texts(first(name))), None)
        if texts is not None:
            unused = (name for name in rest if name != texts and name not in books)
            return TableKind("text", (texts,), parts | dict.fromkeys(unused, "not read beside texts"))
    inputs = tuple(name for name in rest if name not in books)
    return TableKind("features" if inputs else NOTHING, inputs, books, chosen=True)


def _check_no_header(columns: Mapping[str, Any], label: str, file: Path) -> None:
    """Raise ``BadData`` where the names of the columns stand among the rows again."""
    again = pc.equal(columns[label], label)
    if not pc.any(again).as_py():
        return
    for name, column in columns.items():
        if pa.types.is_string(column.type):
            again = pc.and_(again, pc.equal(column, name))
    rows = np.flatnonzero(again.fill_null(False).to_numpy(zero_copy_only=False))  # noqa: FBT003 - of Arrow
    if rows.size:
        msg = (
            f"row {rows[0]} of {file} holds the names of the columns again ({rows.size} such rows), as where files were put "
            f"together; drop them"
        )
        raise BadData(msg)


def read_part(layout: Layout, kind: TableKind, label: str | None, *others: str, training: bool = True) -> Part:
    """The columns of a table that are needed; without a label where answers make it."""
    inputs, texts = (kind.columns, ()) if kind.form == "features" else ((), kind.columns)
    needed = (*(() if label is None else (label,)), *others, *texts)
    columns = read_table(layout, texts=tuple(dict.fromkeys(needed)), inputs=inputs)
    if label is not None:
        if training:
            check_present(columns[label], label, layout.file)
        _check_no_header(columns, label, layout.file)
        check_are_classes(columns[label], label, layout, training=training)
    return Part(layout.file, columns, label or "")


def image_files(part: Part, name: str, root: Path) -> list[str]:
    """Image files below a folder that a column names, once all of them are there.

    Raises:
        BadData: One is missing, or outside the folder.
    """
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
            f"files relative to it, or say --source-set root=FOLDER, or features=nothing for labels alone"
        )
        raise BadData(msg)
    return names


def texts_of(part: Part, name: str) -> list[str]:
    """A column of texts.

    Raises:
        BadData: One is empty, or they are no texts.
    """
    column = strings(part.columns[name], name, part.file)
    check_present(column, name, part.file)
    texts: list[str] = column.to_pylist()
    return texts
