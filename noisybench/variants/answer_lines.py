"""A person's answers about samples: a csv whose first line says what they are of. No torch here.

The first line is ``# noisybench KIND, variant_id=…`` and may name more; the second the header
``sample,name,given,corrected,action``; then a row for each sample. A spreadsheet that opened and saved the file may have
put semicolons or tabs for the commas, quotes around cells, empty cells behind them and a mark before the first byte, and
a name that began like a formula stands behind an apostrophe: all of it is read.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from noisybench.ground.claims import check_regular
from noisybench.ground.errors import BadData
from noisybench.ground.files import replacing
from noisybench.ground.text import spreadsheet_cell

COLUMNS_OF_ANSWERS = ("sample", "name", "given", "corrected", "action")
"""Columns, in the order in which they are written."""
MOST_BYTES = 1 << 28
"""Size of the largest file that is read."""


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One row: what a person decided about a sample.

    Attributes:
        sample: Its number.
        name: What people call it; may be empty.
        given: Name of the class that it has.
        corrected: Name of the class that it shall have; may be empty.
        action: The decision, in small letters; empty where there is none yet.
        line: Where it stands in the file, from 1; 0 of one that was not read.
    """

    sample: int
    name: str
    given: str
    corrected: str
    action: str
    line: int = 0


def read_answer_lines(path: Path, kind: str) -> tuple[dict[str, str], list[AnswerLine]]:
    """What the first line names, such as ``variant_id``, and the rows in the order of the file.

    Args:
        path: The file.
        kind: What it must be of, such as ``audit``.

    Raises:
        BadData: It cannot be read, is of another kind, lacks a column, or has a sample that is no number or stands twice.
    """
    first, _, rest = _text(path).partition("\n")
    told = re.match(r'["\s]*#\s*noisybench\s+([a-z ]+?)["\s]*([,;\t]|$)', first)
    if told is None or told[1] != kind:
        found = f"it is of {told[1]}" if told else f"it begins with {first.strip()[:40]!r}"
        msg = f"{path} must begin with '# noisybench {kind}, variant_id=…', as noisybench writes it; {found}"
        raise BadData(msg)
    names = dict(re.findall(r"\b([a-z_]+)=([0-9a-f]{64})\b", first))
    header = rest.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        rows = list(csv.reader(io.StringIO(rest, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        msg = f"{path} cannot be read as csv: {error}"
        raise BadData(msg) from None
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    missing = [name for name in ("sample", "action") if name not in columns]
    if missing:
        msg = f"{path} has no column {' and no '.join(missing)} in its second line; it must be {','.join(COLUMNS_OF_ANSWERS)}"
        raise BadData(msg)
    lines, seen = [], dict[int, int]()
    for number, row in enumerate(rows[1:], start=3):
        if not any(map(str.strip, row)):
            continue
        line = _line(dict(zip(columns, row, strict=False)), number, path)
        if line.sample in seen:
            msg = f"{path} has sample {line.sample} in rows {seen[line.sample]} and {number}; keep one of them"
            raise BadData(msg)
        seen[line.sample] = number
        lines.append(line)
    return names, lines


def write_answer_lines(path: Path, kind: str, names: Mapping[str, str], lines: Iterable[AnswerLine]) -> None:
    """Write such a file, which no spreadsheet takes formulas from.

    Args:
        path: The file; one that is there is replaced.
        kind: What it is of.
        names: What the first line names, ``variant_id`` first.
        lines: The rows.
    """
    stream = io.StringIO()
    stream.write(", ".join([f"# noisybench {kind}", *(f"{name}={value}" for name, value in names.items())]) + "\n")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS_OF_ANSWERS)
    for line in lines:
        writer.writerow([line.sample, *(spreadsheet_cell(getattr(line, name)) for name in COLUMNS_OF_ANSWERS[1:])])
    with replacing(path) as part:
        part.write_text(stream.getvalue(), encoding="utf-8", newline="")


def _line(cells: Mapping[str, str], number: int, path: Path) -> AnswerLine:
    """One row by the names of its columns."""
    text = cells["sample"].strip()
    if not re.fullmatch(r"[0-9]{1,15}", text):
        msg = f"{path}: the sample in row {number} is {text[:40]!r}, expected its number"
        raise BadData(msg)
    name, given, corrected = (_plain(cells.get(column, "")) for column in COLUMNS_OF_ANSWERS[1:4])
    return AnswerLine(int(text), name, given, corrected, cells.get("action", "").strip().lower(), number)


def _plain(text: str) -> str:
    """A cell without the apostrophe that ``spreadsheet_cell`` put before it."""
    return text[1:] if text.startswith("'") and spreadsheet_cell(text[1:]) != text[1:] else text


def _text(path: Path) -> str:
    """A text file with the line ends that it has."""
    check_regular(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            msg = f"{path} has {path.stat().st_size >> 20} MiB, more than a person answers"
            raise BadData(msg)
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        msg = f"{path} is no text in UTF-8; save it as 'CSV UTF-8'"
        raise BadData(msg) from None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise BadData(msg) from None
