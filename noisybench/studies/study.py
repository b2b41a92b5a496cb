"""What a study finds: tables of records with words for people, and verdicts on claims with what speaks for them."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from noisybench.board.rendering import markdown
from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName
from noisybench.ground.text import spreadsheet_cell, visible


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim that was put to the test.

    Attributes:
        claim: In one sentence.
        holds: Whether it does; None where what was found cannot tell.
        evidence: What was counted, in one sentence.
    """

    claim: str
    holds: bool | None
    evidence: str

    @property
    def word(self) -> str:
        """The verdict for people."""
        return {True: "holds", False: "fails", None: "undecided"}[self.holds]


@dataclass(frozen=True, slots=True)
class StudyTable:
    """A table of a study.

    Attributes:
        name: By which it is asked for.
        caption: What it holds.
        records: Every field of every row, for programs; unknown is None.
        header: Names of the columns for people.
        lines: Their cells.
    """

    name: str
    caption: str
    records: tuple[Mapping[str, Any], ...]
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, repr=False)
class StudyFindings:
    """What a study found.

    Attributes:
        study: Its name.
        about: What was run, in sentences.
        tables: In the order in which they are told.
        verdicts: On the claims.
    """

    study: str
    about: str
    tables: tuple[StudyTable, ...]
    verdicts: tuple[Verdict, ...]

    def __repr__(self) -> str:
        held = sum(verdict.holds is True for verdict in self.verdicts)
        return f"<Study {self.study}: {', '.join(self.names)}; {held} of {len(self.verdicts)} claims hold>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tables, that of the verdicts first."""
        return ("verdicts", *(table.name for table in self.tables))

    def table(self, name: str) -> StudyTable:
        """One of the tables, that of the verdicts among them.

        Raises:
            UnknownName: There is none of that name.
        """
        if name not in self.names:
            raise UnknownName(unknown(name, self.names, "table of this study"))
        return next((table for table in self.tables if table.name == name), self._verdicts())

    def to_records(self, name: str = "verdicts") -> list[dict[str, Any]]:
        """Every field of every row of a table."""
        return [dict(record) for record in self.table(name).records]

    def to_markdown(self, *names: str) -> str:
        """For people: what was run, and the named tables under their captions; all of them where none is named."""
        tables = [self.table(name) for name in names or self.names]
        parts = [
            self.about,
            *(f"{table.caption}\n\n{markdown(table.header, table.lines).rstrip()}" for table in tables),
        ]
        return "\n\n".join(parts) + "\n"

    def to_csv(self, name: str = "verdicts") -> str:
        """CSV of one table, with every field; None is empty."""
        return csv_of(self.to_records(name))

    def to_json(self) -> str:
        """A JSON object: what was run, and the records of each table by its name."""
        told = {"study": self.study, "about": self.about, **{name: self.to_records(name) for name in self.names}}
        return json_of(told)

    def _verdicts(self) -> StudyTable:
        lines = tuple((one.claim, one.word, one.evidence) for one in self.verdicts)
        records = tuple(asdict(one) for one in self.verdicts)
        return StudyTable("verdicts", "Verdicts.", records, ("claim", "verdict", "evidence"), lines)


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record for programs: NaN is None, and numbers of NumPy are Python's."""
    found = {key: value.item() if hasattr(value, "item") else value for key, value in record.items()}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in found.items()}


def csv_of(records: Sequence[Mapping[str, Any]]) -> str:
    """CSV of records, with every field that one of them has; None is empty."""
    text = io.StringIO()
    fields = dict.fromkeys(key for record in records for key in record)
    writer = csv.DictWriter(text, [*fields], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: spreadsheet_cell(value) if isinstance(value, str) else value for key, value in record.items()}
        for record in records
    )
    return text.getvalue()


def json_of(told: object) -> str:
    """JSON of records or of an object that holds some, which have no NaN."""
    return visible(json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False))


def pivoted(
    records: Sequence[Mapping[str, Any]], by: Sequence[str], across: str, value: str, *, prefix: str = ""
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and lines of a table for people: a line for each combination of some fields, a column for each value of another.

    Args:
        records: One for each cell.
        by: Fields that a line is of.
        across: The field that the columns are of.
        value: The field of the cell, a text.
        prefix: Before the name of each such column.
    """
    columns = list(dict.fromkeys(record[across] for record in records))
    lines: dict[tuple[Any, ...], dict[Any, str]] = {}
    for record in records:
        lines.setdefault(tuple(record[field] for field in by), {})[record[across]] = record[value]
    header = (*by, *(f"{prefix}{column}" for column in columns))
    return header, tuple(
        (*map(_word, key), *(cells.get(column, "–") for column in columns)) for key, cells in lines.items()
    )


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
