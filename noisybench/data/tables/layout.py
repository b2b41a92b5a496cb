"""How one's own table is written: packing, encoding, separator and decimal sign, recognised or said."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.data.tables.record_files import json_records, workbook
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.packing import ending_of, open_unpacked

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xlsx", ".parquet")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SPOKEN = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|", "pipe": "|", "space": " "}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
_SAMPLE = 1 << 16  # bytes from which the separator is recognised
_ROWS = 50
_LETTERS = np.zeros(256, bool)
_LETTERS[[*range(65, 91), *range(97, 123)]] = True


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written.

    Attributes:
        file: Where it is.
        form: ``csv`` for all text files of separated columns, ``parquet``, else ``records``.
        separator: Between two columns of a text file.
        encoding: Of a text file.
        decimal: Before the fraction of a number, in a text file.
        rows: The first rows of a text file, with its header.
        notes: What was recognised that is not usual, a sentence each.
        table: All entries as texts, of ``records``: JSON lines and Excel workbooks.
    """

    file: Path
    form: str
    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    table: Any = None


def layout_of(
    file: Path,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
) -> Layout:
    """How a table is written; what is given is not looked for.

    Args:
        file: A ``.csv``, ``.tsv``, ``.jsonl``, ``.xlsx`` or ``.parquet`` file; text may be packed by gzip, bzip2 or xz.
        separator: One character or its name, such as ``tab``.
        encoding: As Python calls it, such as ``latin-1``.
        decimal: ``.`` or ``,``.
        sheet: Of a workbook.

    Raises:
        BadUsage: An option that means nothing.
        MissingPackage: A workbook is read by openpyxl, which is not there.
        BadData: No such file by its name, or one whose encoding is not recognised.
        OSError: It cannot be opened or unpacked.
    """
    separator = None if separator is None else _SPOKEN.get(separator, separator)
    _check_options(separator, encoding, decimal)
    suffix = ending_of(file)
    if suffix not in SUFFIXES:
        msg = f"{file} is no {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file; save the table as one of these"
        raise BadData(msg)
    if suffix == ".parquet":
        return Layout(file, "parquet")
    if suffix == ".xlsx":
        table, told = workbook(file, sheet)
        return Layout(file, "records", decimal=decimal or ".", notes=tuple(told), table=table)
    notes = []
    if encoding is None:
        encoding = _encoding(file)
        if encoding == "cp1252":
            notes.append(f"{file.name} is no UTF-8 and read as Windows-1252 (Latin-1); encoding=… says otherwise")
    if suffix in (".csv", ".tsv"):
        usual = "\t" if suffix == ".tsv" else ","
        return _fields(file, usual, separator=separator, encoding=encoding, decimal=decimal, notes=notes)
    with open_unpacked(file) as stream:
        table, told = json_records(stream, file, encoding)
    return Layout(file, "records", "", encoding, decimal or ".", (), (*notes, *told), table)


def _fields(
    file: Path, usual: str, *, separator: str | None, encoding: str, decimal: str | None, notes: list[str]
) -> Layout:
    """How a text file of separated columns is written."""
    with open_unpacked(file) as stream:
        sample = codecs.getincrementaldecoder(encoding)().decode(stream.read(_SAMPLE))
        whole = not stream.read(1)
    sample = sample.removeprefix("\ufeff")
    if separator is None:
        separator = _separator(sample, usual, whole=whole)
        if separator != usual:
            notes.append(
                f"the columns of {file.name} are separated by {SEPARATORS[separator]}; separator=… says otherwise"
            )
    rows = _rows(sample, separator, whole=whole)
    if decimal is None:
        decimal = _decimal(rows, separator)
        if decimal == ",":
            notes.append(f"the numbers of {file.name} have decimal commas; decimal=. says otherwise")
    return Layout(file, "csv", separator, encoding, decimal, rows, tuple(notes))


def _check_options(separator: str | None, encoding: str | None, decimal: str | None) -> None:
    if separator is not None and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n'):
        msg = f"separator must be one character, or one of {', '.join(_SPOKEN)}; got {separator!r}"
        raise BadUsage(msg)
    if decimal not in (None, ".", ","):
        msg = f"decimal must be a point or a comma, got {decimal!r}"
        raise BadUsage(msg)
    if decimal is not None and decimal == separator:
        msg = f"separator and decimal are both {decimal!r}; expected two characters"
        raise BadUsage(msg)
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        msg = f"encoding={encoding} is none that Python knows; such are utf-8, utf-16, latin-1, cp1251, shift_jis, gb18030"
        raise BadUsage(msg) from None


def _encoding(file: Path) -> str:
    """UTF-8 or what the byte order mark says; Windows-1252 for text with some letters of Western Europe."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid, counts = True, np.zeros(256, np.int64)
    with open_unpacked(file) as stream:
        chunk = stream.read(_CHUNK)
        for mark, name in _MARKS:
            if chunk.startswith(mark):
                return name
        if b"\0" in chunk:
            msg = (
                f"{file} holds zero bytes, as UTF-16 without its byte order mark does; say --source-set encoding=utf-16-le, "
                f"or save it as UTF-8"
            )
            raise BadData(msg)
        while chunk:
            counts += np.bincount(np.frombuffer(chunk, np.uint8), minlength=256)
            if valid:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    valid = False
            chunk = stream.read(_CHUNK)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid = False
    if valid:
        return "utf-8"
    unused = counts[[0x81, 0x8D, 0x8F, 0x90, 0x9D]].any()
    if unused or 5 * counts[128:].sum() > counts[_LETTERS].sum():  # in Western languages few letters have an accent
        msg = f"{file} is no text in UTF-8; say --source-set encoding=… (such as latin-1, cp1251), or save it as UTF-8"
        raise BadData(msg)
    return "cp1252"


def _rows(sample: str, separator: str, *, whole: bool) -> tuple[tuple[str, ...], ...]:
    """The first rows of a text, without one that the end of the sample may have cut."""
    found = [tuple(row) for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=separator), _ROWS + 1)]
    cut = len(found) > _ROWS or (not whole and len(found) > 1)
    return tuple(row for row in (found[:-1] if cut else found) if row)


def _separator(sample: str, usual: str, *, whole: bool) -> str:
    """The first that gives every row the columns of the header, else the first that the header has, else the usual."""
    tried = {mark: _rows(sample, mark, whole=whole) for mark in (usual, *SEPARATORS)}
    parted = {mark: rows for mark, rows in tried.items() if rows and len(rows[0]) > 1}
    even = [mark for mark, rows in parted.items() if len({len(row) for row in rows}) == 1]
    return next(iter((*even, *parted, usual)))


def _decimal(rows: tuple[tuple[str, ...], ...], separator: str) -> str:
    """A comma where some fields have one before their digits, and none a point."""
    if separator == ",":
        return "."
    fields = [field for row in rows[1:] for field in row]
    commas, points = (
        any(re.fullmatch(rf"[-+]?\d*{mark}\d+(e[-+]?\d+)?", field) for field in fields) for mark in (",", r"\.")
    )
    return "," if commas and not points else "."
