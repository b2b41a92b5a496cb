"""Files of what several people answered: a row an answer, with columns of item, annotator and answer, or a matrix."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from noisybench.data.array_files import array_names, read_arrays
from noisybench.data.classes import class_order, class_spelling
from noisybench.data.tables.columns import (
    ArrowColumn,
    check_are_classes,
    check_present,
    errors_as_bad_data,
    header,
    read_table,
)
from noisybench.data.tables.layout import layout_of
from noisybench.ground.errors import BadData
from noisybench.ground.npy import read_array

MATRIX = 2
"""Dimensions of a matrix of answers: samples and annotators."""
_NUMBER = r"_?(ids?|names?|no|num|numbers?|index|idx|keys?|code)"
_PERSONS = (
    "annotator|worker|rater|coder|judge|labell?er|user|person|participant|turker|respondent|contributor|performer|crowdworker"
    "|reviewer|expert"
)
_PEOPLE = (rf"(.+_)?({_PERSONS})s?({_NUMBER})?", rf"(.+_)?(subject|who|by)({_NUMBER})?")
_ANSWERS = (
    "(.+_)?answers?",
    "(.+_)?(responses?|annotations?|judge?ments?|votes?)",
    "(.+_)?labels?",
    "(.+_)?(class|category|choice|opinion|decision|selected)",
    "(.+_)?(rating|value|result|output)",
    "(answer|output|response)_.+",
)
_THINGS = (
    "item|question|task|sample|example|instance|unit|object|document|doc|image|img|picture|photo|file|filename|path|url"
    "|text|sentence|tweet|title|song|track|clip|video|audio|record|datum|datapoint|case|query|pair|input|hit|product"
)
_ITEMS = (
    rf"(.+_)?({_THINGS})s?{_NUMBER}",
    rf"(.+_)?({_THINGS})s?",
    "(input|orig|original|data|source)_.+",
    "ids?|uid|uuid|index|idx|rows?|keys?|names?",
)
_TRUTH = re.compile(r"(.+_)?(gold|golden|true|truth|clean|correct|expected|reference)(_.+)?")


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """Answers as they stand in a file, one a row.

    Attributes:
        path: The file.
        item: Column of what was asked about; None where the rows of a matrix are the samples.
        annotator: Column of who answered, for messages.
        rows: Rows of a matrix; None of a table.
        items: What was asked about, Arrow strings (m,).
        annotators: Who answered, by number, shape (m,).
        names: Whom each number is, in the order of classes.
        answer: Column of the answers, for messages.
        said: What was answered, Arrow strings (m,), empty where nothing was.
        notes: What was recognised, a sentence each.
        array: Name of the array, where it is one of several in the file of the samples.
    """

    path: Path
    item: str | None
    annotator: str
    rows: int | None
    items: ArrowColumn
    annotators: NDArray[np.int64]
    names: tuple[str, ...]
    answer: str
    said: ArrowColumn
    notes: tuple[str, ...]
    array: str = ""


def answers_file(given: Path, data: Path) -> Path:
    """The file itself, or else the one of its name beside ``data``.

    Raises:
        BadData: Neither is there.
    """
    beside = data.parent / given.name
    found = next((path for path in (given, data.parent / given, beside) if path.is_file()), None)
    if found is None:
        msg = f"there is no file of answers at {given}, nor one called {given.name} beside {data}"
        raise BadData(msg)
    return found


def read_answer_file(path: Path, there: Sequence[str] = ()) -> AnswerFile:
    """The answers of a ``.csv``, ``.tsv`` or ``.parquet`` table, or of a ``.npy`` or ``.npz`` matrix (n, annotators).

    Args:
        path: The file.
        there: Columns of the table of samples: of several columns of items, one with such a name is meant.

    Raises:
        BadData: It cannot be read, or it is not clear which columns are meant.
    """
    if path.suffix.lower() == ".npy":
        return from_matrix(read_array(path), path, "the array")
    if path.suffix.lower() == ".npz":
        arrays = read_arrays(path, required=tuple(array_names(path)))
        tables = [name for name, values in arrays.items() if values.ndim == MATRIX]
        if len(tables) != 1:
            msg = f"{path} must hold one array of answers, of shape (n, annotators); it has {len(tables)} such arrays"
            raise BadData(msg)
        return from_matrix(arrays[tables[0]], path, f"array '{tables[0]}'")
    with errors_as_bad_data(path):
        layout = layout_of(path)
    names = header(layout)
    item, person, answer = _roles(names, there, path)
    columns = read_table(layout, texts=(item, person, answer))
    check_present(columns[item], item, path)
    check_present(columns[person], person, path)
    check_are_classes(columns[answer], answer, layout)
    numbers, people = _numbered(columns[person])
    return AnswerFile(
        path=path,
        item=item,
        annotator=person,
        rows=None,
        items=columns[item],
        annotators=numbers,
        names=people,
        answer=answer,
        said=columns[answer],
        notes=tuple(note.partition(";")[0] for note in layout.notes),
    )


def from_matrix(values: NDArray[Any], path: Path, what: str) -> AnswerFile:
    """Answers of shape (n, annotators), whole numbers or texts: -1, NaN or an empty text where nobody answered.

    Raises:
        BadData: It is no such matrix.
    """
    if not is_matrix(values):
        msg = (
            f"{what} of {path} must be classes of shape (n, annotators), -1 where nobody answered, got {values.dtype} of "
            f"shape {values.shape}"
        )
        raise BadData(msg)
    if values.dtype.kind == "f":
        absent = np.isnan(values)
        values = np.where(absent, -1, values).astype(np.int64)
    n, people = values.shape
    sample, annotator = np.divmod(np.arange(values.size), people)
    return AnswerFile(
        path=path,
        item=None,
        annotator="column",
        rows=n,
        items=pa.array(sample).cast(pa.string()),
        annotators=annotator,
        names=tuple(map(str, range(people))),
        answer=what,
        said=pa.array(values.ravel().astype(str), pa.string()),
        notes=(f"{what} of {path.name} holds the answers of {people} annotators, a row a sample",),
    )


def is_matrix(values: NDArray[Any]) -> bool:
    """Whether an array may be answers of shape (n, annotators)."""
    if values.ndim != MATRIX or not values.size or values.dtype.kind not in "iuUf":
        return False
    if values.dtype.kind != "f":
        return True
    some = values[~np.isnan(values)]
    return bool((some == np.trunc(some)).all() and (np.abs(some) < 1 << 53).all())


def _numbered(names: ArrowColumn) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """A number from 0 for each name, in the order of classes, shape (m,); and the names by number."""
    texts = pc.unique(names)
    spelling = class_spelling(texts.to_pylist())
    order = class_order(spelling.values())
    number = {name: j for j, name in enumerate(order)}
    numbers = np.array([number[spelling[text]] for text in texts.to_pylist()], dtype=np.int64)
    return numbers[pc.index_in(names, value_set=texts).to_numpy()], order


def plain_name(name: str) -> str:
    """Name of a column in lower case, words parted by underscores."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def _roles(names: Sequence[str], there: Sequence[str], path: Path) -> tuple[str, str, str]:
    """The columns of item, annotator and answer.

    Raises:
        BadData: One of them is not found.
    """
    known = {plain_name(name) for name in there}
    free = [name for name in names if name and not _TRUTH.fullmatch(plain_name(name))]
    person = next(_fitting(free, _PEOPLE), None)
    free = [name for name in free if name != person]
    same = [name for name in free if plain_name(name) in known]
    answer = next(_fitting([name for name in free if name not in same], _ANSWERS), None)
    answer = answer or next(_fitting(free, _ANSWERS), None)
    free = [name for name in free if name != answer]
    item = next(
        (name for name in (*_fitting([name for name in free if name in same], _ITEMS), *_fitting(free, _ITEMS))), None
    )
    item = item or next((name for name in free if name in same), None)
    rest = [name for name in free if name != item and not re.fullmatch(r"unnamed_\d+|index", plain_name(name))]
    found = [item, person, answer]
    if found.count(None) == 1 and len(rest) == 1:
        found[found.index(None)] = rest[0]
    missing = [role for role, name in zip(("item", "annotator", "answer"), found, strict=True) if name is None]
    if missing:
        msg = (
            f"{path} has no column that is called like {' or '.join(missing)}; it has: {', '.join(names[:20])}; expected a "
            f"row an answer, with columns item, annotator and answer"
        )
        raise BadData(msg)
    return str(found[0]), str(found[1]), str(found[2])


def _fitting(names: Sequence[str], patterns: Sequence[str]) -> Iterator[str]:
    """The names that fit a pattern, those of earlier patterns first."""
    for pattern in patterns:
        yield from (name for name in names if re.fullmatch(pattern, plain_name(name)))
