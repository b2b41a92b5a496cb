"""A table whose samples several people answered: its rows, its columns of classes, and the labels that are made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisybench.data.classes import nobody_knows
from noisybench.data.crowd.answer_files import AnswerFile, answers_file, plain_name, read_answer_file
from noisybench.data.crowd.answers import Answers
from noisybench.data.crowd.joining import COLUMN, Aggregate, Joined, join, make_labels, read_aggregate
from noisybench.data.tables.column_roles import NUMBERED, bookkeeping
from noisybench.data.tables.columns import ArrowColumn, read_table, strings
from noisybench.data.tables.layout import Layout
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData, BadUsage


@dataclass(frozen=True, slots=True)
class AnsweredTable:
    """Answers to the rows of a table, before the rows are read.

    Attributes:
        file: The answers.
        rule: How they make the given labels.
        label: Column of given labels; None where the answers make them.
        items: Columns that the items may be of.
        sure: Whether they are of one of these, and no numbers of rows.
    """

    file: AnswerFile
    rule: Aggregate
    label: str | None
    items: tuple[str, ...]
    sure: bool

    def rows(self, layout: Layout, columns: Mapping[str, Any], clean: str | None) -> "AnsweredRows":
        """The rows of a table that stay, with the answers to them.

        Args:
            layout: The table.
            columns: What was read of it.
            clean: Column of right classes.
        """
        n = len(next(iter(columns.values())))
        given = [] if self.label is None else pc.unique(columns[self.label]).to_pylist()
        right = [] if clean is None else pc.unique(columns[clean]).to_pylist()
        known = {*given, *(text for text in right if not nobody_knows(text, given))}
        texts = [(name, column) for name in self.items if (column := _texts(layout, name, columns)) is not None]
        joined = join(self.file, n, texts, known, sure=self.sure)
        names = dict(texts).get(joined.key or "")
        answered = joined.answered(n)
        notes = joined.notes
        if self.rule.rule == COLUMN or answered.all():
            return AnsweredRows(self, columns, joined, None if names is None else names.to_pylist(), notes)
        row = int(np.flatnonzero(~answered)[0])
        called = "" if names is None else f" ('{names[row]}')"
        notes = (
            *notes,
            f"rows that nobody answered are left out ({(~answered).sum()} of {n}, such as row {row}{called})",
        )
        new = np.cumsum(answered) - 1
        kept = pa.array(answered)
        joined = Joined(new[joined.sample], joined.annotator, joined.said, joined.key, joined.notes)
        left = {name: column.filter(kept) for name, column in columns.items()}
        called_all = np.flatnonzero(answered).astype(str).tolist() if names is None else names.filter(kept).to_pylist()
        return AnsweredRows(self, left, joined, called_all, notes)


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """The rows that stay.

    Attributes:
        table: The table.
        columns: What was read of it, by name, shape (n,) each.
        joined: The answers.
        names: What the samples are called; None where the number of the row is all there is.
        notes: What was chosen and what is odd, a sentence each.
    """

    table: AnsweredTable
    columns: Mapping[str, Any]
    joined: Joined
    names: Sequence[str] | None
    notes: tuple[str, ...]

    def texts(self) -> ArrowColumn:
        """Given labels, where there is a column of them, and then what was answered: one column of classes."""
        label = self.table.label
        said = self.joined.said.cast(pa.string())
        return said if label is None else pa.concat_arrays([self.columns[label], said])

    def labels(
        self, classes: Labels, clean: Labels | None, names: Sequence[str]
    ) -> tuple[Labels, Answers, tuple[str, ...]]:
        """Given labels (n,), answers, and what is to be told, from the classes of ``texts`` and the right ones."""
        n = len(next(iter(self.columns.values())))
        table = self.table
        first = 0 if table.label is None else n
        return make_labels(
            self.joined,
            table.file,
            table.rule,
            classes[first:],
            own=None if table.label is None else classes[:n],
            clean=np.full(n, UNKNOWN, dtype=np.int64) if clean is None else clean,
            names=names,
            what=f"column '{table.label}'",
        )


def answered_table(
    answers: Path | None,
    aggregate: str | None,
    data: Path,
    there: Sequence[str],
    *,
    label: str,
    clean: str | None,
    id: str | None,  # noqa: A002 - as the option is called
    index: Collection[str],
) -> AnsweredTable | None:
    """What the options of a source say of answers; None where there are none.

    Args:
        answers: The file of answers.
        aggregate: How they make the given labels.
        data: The table.
        there: Its columns.
        label: Column of given labels.
        clean: Column of right classes.
        id: Column of what samples are called.
        index: Columns that the file itself calls an index.

    Raises:
        BadUsage: Options that contradict each other.
        BadData: The file is missing, or is not what it must be.
    """
    file = None if answers is None else read_answer_file(answers_file(answers, data), there)
    labelled = label in there and label != clean
    rule = read_aggregate(aggregate, answered=file is not None, labelled=labelled)
    if file is None or rule is None:
        return None
    if rule.rule != COLUMN and label not in ("label", clean):
        msg = f"label={label} is read with aggregate=column alone; say clean={label} where it is the right class"
        raise BadUsage(msg)
    same = [name for name in there if file.item is not None and plain_name(name) == plain_name(file.item)]
    decisive = [name for name in (id, *same[:1]) if name is not None][:1]
    found = bookkeeping([name for name in there if name not in (label, clean)], index)
    books = tuple(name for name, why in found.items() if why in (NUMBERED, "ids", "file names"))
    return AnsweredTable(file, rule, label if rule.rule == COLUMN else None, tuple(decisive) or books, bool(decisive))


def _texts(layout: Layout, name: str, columns: Mapping[str, Any]) -> ArrowColumn | None:
    """A column of texts; None where it holds something else, so that no item is called so."""
    try:
        return strings(columns[name], name, layout.file) if name in columns else read_table(layout, texts=(name,))[name]
    except BadData:
        return None
