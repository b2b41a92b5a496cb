"""Rows of a table in words, for people to read: made when they are asked for, as a million of them would fill memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.checks import check_kind
from noisybench.ground.errors import BadData

MOST_COLUMNS = 40
"""Columns that a row says; of the others it says how many they are."""
_DIGITS = 6  # of a number, as people read it


@dataclass(frozen=True, eq=False)
class RowWords(Sequence[str]):
    """Rows of a table in words, such as ``alcohol: 13.2 · ash: 2.1``, shape (n,); an absent entry is left out.

    Attributes:
        columns: Arrow columns by name, shape (rows of the table,).
        taken: Which row of the table each is, shape (n,); -1 for none, whose words are empty. None: every row.

    Raises:
        BadData: There is no column, or they are not equally long.
    """

    columns: Mapping[str, Any]
    taken: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        check_kind(self.columns, Mapping, "columns", "give Arrow columns by name")
        if len({len(column) for column in self.columns.values()}) != 1:
            msg = f"rows in words need columns of one length, got {[len(column) for column in self.columns.values()]}"
            raise BadData(msg)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.taken is None else len(self.taken)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> "RowWords": ...
    def __getitem__(self, row: int | slice) -> "str | RowWords":
        if isinstance(row, slice):
            return self.take(np.arange(*row.indices(len(self))))
        if not -len(self) <= row < len(self):
            msg = f"row {row} is none of 0..{len(self) - 1}"
            raise IndexError(msg)
        row %= len(self)
        at = row if self.taken is None else int(self.taken[row])
        if at < 0:
            return ""
        shown = list(self.columns)[:MOST_COLUMNS]
        entries = ((name, self.columns[name][at].as_py()) for name in shown)
        said = [f"{name}: {_words(entry)}" for name, entry in entries if entry is not None and _words(entry)]
        more = len(self.columns) - len(shown)
        return " · ".join([*said, f"{more} more columns"] if more else said)

    def take(self, rows: NDArray[np.int64]) -> "RowWords":
        """Some of them; -1 is one without words."""
        taken = rows if self.taken is None else np.where(rows < 0, -1, self.taken[rows])
        return replace(self, taken=taken.astype(np.int64))


def words_at(words: Sequence[str], rows: NDArray[np.int64]) -> Sequence[str]:
    """Texts of some samples, shape (m,); of row -1 an empty one."""
    if isinstance(words, RowWords):
        return words.take(rows)
    return [words[row] if row >= 0 else "" for row in rows.tolist()]


def _words(entry: Any) -> str:  # noqa: ANN401 - an entry of a table
    """An entry as people read it: texts as they are written, fractions with six digits."""
    return f"{entry:.{_DIGITS}g}" if isinstance(entry, float) else " ".join(str(entry).split())
