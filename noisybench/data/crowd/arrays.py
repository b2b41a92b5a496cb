"""Arrays whose samples several people answered: the labels that are made, and the rows that stay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noisybench.data.array_files import read_arrays
from noisybench.data.crowd.answer_files import AnswerFile, answers_file, from_matrix, is_matrix, read_answer_file
from noisybench.data.crowd.answers import Answers
from noisybench.data.crowd.joining import COLUMN, join, make_labels, read_aggregate
from noisybench.data.label_columns import label_columns
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData

ARRAY = "answers"
"""Name of the array of answers, where no other is said."""


@dataclass(frozen=True, slots=True)
class AnsweredArrays:
    """Labels of the rows that stay, indices of ``class_names``, as ``source_from_arrays`` takes them.

    Attributes:
        labels: Given labels, shape (n,).
        clean: Right labels, shape (n,), or None.
        test_labels: Shape (m,), or None.
        class_names: One a class.
        answers: What was answered.
        kept: Rows that stay, ascending; None where all do.
        notes: A sentence for each choice and each oddity.
    """

    labels: Labels
    clean: Labels | None
    test_labels: Labels | None
    class_names: tuple[str, ...]
    answers: Answers
    kept: NDArray[np.intp] | None
    notes: tuple[str, ...]


def find_answers(answers: Path | None, data: Path, there: Sequence[str]) -> tuple[AnswerFile | None, tuple[str, ...]]:
    """The answers that are said to be in an array or a file, or that are in the array of that name; and a note.

    Raises:
        BadData: What is said is not there, or holds something else.
    """
    name = ARRAY if answers is None else answers.name
    if name in there and (answers is None or not answers.is_file()):
        values = read_arrays(data, required=(name,))[name]
        if answers is not None or is_matrix(values):
            return replace(from_matrix(values, data, f"array '{name}'"), array=name), ()
        return None, (
            f"array '{name}' of shape {values.shape} is no matrix of classes (n, annotators), and is not read",
        )
    return (None if answers is None else read_answer_file(answers_file(answers, data))), ()


def answered_arrays(
    file: AnswerFile,
    aggregate: str | None,
    labels: Any,  # noqa: ANN401 - anything NumPy can read, or None
    clean: Any,  # noqa: ANN401
    test_labels: Any,  # noqa: ANN401
    *,
    n: int,
    class_names: Sequence[str] | None,
) -> AnsweredArrays:
    """Classes of all columns and answers together, and the given labels that the answers make.

    Args:
        file: The answers.
        aggregate: How they make the given labels.
        labels: That the samples came with, shape (n,); None where there are none.
        clean: Right labels, shape (n,), or None.
        test_labels: Shape (m,), or None.
        n: Samples.
        class_names: Declared names, or None.

    Raises:
        BadUsage: An aggregate that means nothing, or one of a column that is not there.
        BadData: Columns or answers that are no classes, or do not fit.
    """
    rule = read_aggregate(aggregate, answered=True, labelled=labels is not None)
    assert rule is not None  # noqa: S101 - there are answers
    own = None if labels is None or rule.rule != COLUMN else _column(labels, n)
    if own is None and rule.rule == COLUMN:
        msg = "aggregate=column takes the array of labels, and there is none; say aggregate=majority or one:SEED"
        raise BadData(msg)
    written = [np.asarray(column).ravel().astype(str) for column in (own, clean) if column is not None]
    joined = join(
        file, n, (), {*np.concatenate([*written, np.array([], dtype=str)]).tolist()} - {str(UNKNOWN)}, sure=False
    )
    said = _like(joined.said, own if own is not None else clean, class_names)
    every = said if own is None else np.concatenate([own, said])
    columns = label_columns(every, clean, test_labels, class_names=class_names, source="npz")
    first = 0 if own is None else n
    given, answers, made = make_labels(
        joined,
        file,
        rule,
        columns.labels[first:],
        own=None if own is None else columns.labels[:first],
        clean=np.full(n, UNKNOWN, dtype=np.int64) if columns.clean is None else columns.clean,
        names=columns.class_names,
        what="the array of labels",
        declared=class_names is not None,
    )
    notes = (*joined.notes, *made, *columns.notes)
    silent = np.flatnonzero(given == UNKNOWN)
    if not silent.size:
        return AnsweredArrays(given, columns.clean, columns.test_labels, columns.class_names, answers, None, notes)
    kept = np.flatnonzero(given != UNKNOWN)
    new = np.cumsum(given != UNKNOWN) - 1
    answers = Answers(new[answers.sample], answers.annotator, answers.label)
    notes = (*notes, f"rows that nobody answered are left out ({silent.size} of {n}, such as row {silent[0]})")
    left = None if columns.clean is None else columns.clean[kept]
    return AnsweredArrays(given[kept], left, columns.test_labels, columns.class_names, answers, kept, notes)


def _column(labels: Any, n: int) -> NDArray[Any]:  # noqa: ANN401
    """Labels of shape (n,) or (n, 1) as (n,); what is no column of classes is refused."""
    label_columns(labels, source="npz")
    column = np.asarray(labels).reshape(-1)
    if len(column) != n:
        msg = f"source 'npz' has {n} inputs and {len(column)} labels; expected as many of each"
        raise BadData(msg)
    return np.where(column, "true", "false") if column.dtype.kind == "b" else column


def _like(said: Any, labels: Any, class_names: Sequence[str] | None) -> NDArray[Any]:  # noqa: ANN401
    """Answers as whole numbers where the labels are, or where only numbers were answered; else as texts."""
    texts = np.array(said.cast(pa.string()).to_pylist(), dtype=str)
    if labels is not None and np.asarray(labels).dtype.kind not in "iuf":
        return texts
    if class_names is not None and set(np.unique(texts).tolist()) <= set(class_names):
        return np.array([class_names.index(text) for text in texts.tolist()], dtype=np.int64)
    try:
        numbers = texts.astype(np.float64)
    except ValueError:
        return texts
    return numbers.astype(np.int64) if (numbers == np.trunc(numbers)).all() else numbers
