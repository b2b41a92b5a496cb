"""Tables that are no text of separated fields: JSON lines and Excel workbooks, every entry as a text."""

import codecs
import json
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, MissingPackage, NoisybenchError, UnknownName

_LARGEST = 1 << 31
"""Bytes of a workbook once it is unpacked; what is larger is no table that Excel could have written."""


def json_records(stream: IO[bytes], file: Path, encoding: str) -> tuple[Any, list[str]]:
    """Objects, one a line or in one list → a table of texts, absent ones null, and what is to be told.

    Columns are in the order in which their names first occur. Numbers keep the digits that were written. What holds lists
    or objects is no column.

    Raises:
        BadData: A line that is no JSON object.
    """
    columns: dict[str, list[str | None]] = {}
    nested: dict[str, None] = {}
    n = 0
    for n, record in enumerate(_objects(stream, file, encoding), start=1):
        for name, value in record.items():
            if isinstance(value, (list, dict)):
                nested[name] = None
                continue
            if name not in columns:
                columns[name] = [None] * (n - 1)
            columns[name].append(_text(value))
        if len(record) < len(columns) or nested:
            for column in columns.values():
                column.extend([None] * (n - len(column)))
    for name in nested:
        columns.pop(name, None)
    table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    reader = "source 'huggingface' reads lists of numbers"
    told = [f"left out, because they hold lists or objects: {', '.join(nested)}; {reader}"] if nested else []
    return table, told


def _objects(stream: IO[bytes], file: Path, encoding: str) -> Iterator[Mapping[str, Any]]:
    """Each object, numbers as they are written."""
    lines = codecs.getreader(encoding)(stream)
    numbers: dict[str, Any] = {"parse_float": str, "parse_int": str}
    first = True
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix("\ufeff").strip() if first else line.strip()
        if not text:
            continue
        if first and text.startswith("["):
            yield from _listed(text + lines.read(), file, numbers)
            return
        try:
            record = json.loads(text, **numbers)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and first and record and all(isinstance(v, list | dict) for v in record.values()):
            inner = next(iter(record))
            msg = (
                f"{file} begins with one object that holds lists or objects alone, such as '{inner}'; expected an object for "
                f"each sample, one a line or in one list"
            )
            raise BadData(msg)
        first = False
        if not isinstance(record, dict):
            msg = (
                f'line {number} of {file} is no JSON object such as {{"a": 1, "label": 0}}; expected one a line, or a '
                f"list of them"
            )
            raise BadData(msg)
        yield record


def _listed(text: str, file: Path, numbers: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objects of one list."""
    try:
        records = json.loads(text, **numbers)
    except (ValueError, RecursionError) as error:
        msg = f"{file} begins as a JSON list and is none ({str(error)[:80]}); expected objects, one a line or in a list"
        raise BadData(msg) from None
    odd = [i for i, record in enumerate(records) if not isinstance(record, dict)]
    if odd:
        msg = f"entry {odd[0]} of {file} is no JSON object ({len(odd)} such entries); expected one for each sample"
        raise BadData(msg)
    found: list[Mapping[str, Any]] = records
    return found


def workbook(file: Path, sheet: str | None) -> tuple[Any, list[str]]:
    """A sheet of an Excel workbook → a table of texts, absent ones null, and what is to be told.

    The first row that is not empty holds the names of the columns. Formulas are what they were when they were last saved.

    Args:
        file: A ``.xlsx`` file.
        sheet: Its name; None takes the first.

    Raises:
        MissingPackage: openpyxl is not installed.
        UnknownName: There is no such sheet.
        BadData: It is no workbook, or a damaged one.
    """
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError:
        msg = f"{file} is an Excel workbook, which needs the package 'openpyxl': pip install 'noisybench[excel]'; or save it as .csv"
        raise MissingPackage(msg) from None
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST:
            msg = f"{file} would be {size:,} bytes once unpacked, more than {_LARGEST:,}; save the table as .csv or .parquet"
            raise BadData(msg)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations that have nothing to do with the entries
            book = load_workbook(file, read_only=True, data_only=True)
            try:
                names = [page.title for page in book.worksheets]
                if sheet is not None and sheet not in names:
                    raise UnknownName(unknown(sheet, tuple(names), f"sheet of {file}"))
                rows = [tuple(map(_text, row)) for row in book[sheet or names[0]].iter_rows(values_only=True)]
            finally:
                book.close()
    except NoisybenchError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, SyntaxError, LookupError, ValueError, TypeError, AttributeError):
        msg = f"{file} is no Excel workbook (.xlsx), or a damaged one; save it again, or save the table as .csv"
        raise BadData(msg) from None
    told = [f"the table is sheet '{names[0]}' of {', '.join(names)}; sheet=… names another"]
    return _sheet(rows), told if sheet is None and len(names) > 1 else []


def _sheet(rows: Sequence[Sequence[str | None]]) -> Any:  # noqa: ANN401 - pyarrow.Table
    """Rows with their header, without empty rows, and without empty columns that have no name."""
    header, *entries = [row for row in rows if any(row)] or [()]
    width = max([len(header), *map(len, entries)])
    names = [name or "" for name in _padded(header, width)]
    columns = list(zip(*(_padded(row, width) for row in entries), strict=True)) or [()] * width
    kept = [k for k in range(width) if names[k] or any(columns[k])]
    return pa.table([pa.array(columns[k], pa.string()) for k in kept], names=[names[k] for k in kept])


def _padded(row: Sequence[str | None], width: int) -> tuple[str | None, ...]:
    return (*row, *[None] * (width - len(row)))


def _text(value: Any) -> str | None:  # noqa: ANN401 - of a cell or of JSON
    """How an entry would be written in a text file."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return repr(value.total_seconds() / 86_400)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, (date, time)) else str(value)
