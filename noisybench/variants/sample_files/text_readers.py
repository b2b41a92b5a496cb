"""Columns of anyone's text file, one row a sample: separated values and lines of JSON, packed or not. No torch here."""

import csv as text_rows
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from noisybench.ground.errors import BadData
from noisybench.ground.packing import open_unpacked
from noisybench.variants.sample_files.column_names import LABELS, VARIANT_ID
from noisybench.variants.variant import Variant

DELIMITERS = ",;\t|"
LONGEST_LINE = 1 << 24
LONGEST_VALUE = 1 << 12

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which columns of a file are read.

    Attributes:
        names: All of them, the values first.
        texts: Those that may hold texts; of the others, everything must be a number.
    """

    names: tuple[str, ...]
    texts: frozenset[str]


Choose = Callable[[Sequence[str]], Chosen]  # of the columns that there are, those to read


def size_of(path: Path) -> int:
    """Bytes of a file.

    Raises:
        BadData: It cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            return stream.seek(0, 2)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise BadData(msg) from None


def read_separated(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen columns of a file with a header, a block at a time; separated by commas, semicolons, tabs or bars.

    Raises:
        BadData: The file cannot be read, or a cell is no number where one is needed; by column and line.
    """
    size_of(path)
    numbers: list[str] = []
    with reading(path, "CSV"):
        parse = csv.ParseOptions(delimiter=delimiter_of(path))
        try:
            with open_unpacked(path) as stream, csv.open_csv(stream, parse_options=parse) as reader:
                chosen = choose(reader.schema.names)
            numbers = [name for name in chosen.names if name not in chosen.texts]
            kinds = {name: pa.float64() if name in numbers else pa.string() for name in chosen.names}
            convert = csv.ConvertOptions(include_columns=chosen.names, column_types=kinds, null_values=[""])
            with (
                open_unpacked(path) as stream,
                csv.open_csv(stream, parse_options=parse, convert_options=convert) as reader,
            ):
                return as_columns(_first_rows(reader, len(variant.labels)), chosen)
        except pa.ArrowInvalid:
            fault = fault_of(path, parse.delimiter, numbers)
            if fault is None:
                raise
            raise BadData(fault) from None


def read_json_lines(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen columns of a file with an object of JSON in each line, which has the names of the first.

    Raises:
        BadData: The file cannot be read, or a line is no object, or lacks a value; by its number.
    """
    size_of(path)
    n = len(variant.labels)
    columns: dict[str, list[Any]] = {}
    chosen = Chosen((), frozenset())
    with reading(path, "lines of JSON"), open_unpacked(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
            if not line.strip():
                continue
            row = _object(line, number, path)
            if not columns:
                chosen = choose(list(row))
                columns = {name: [] for name in chosen.names}
            for name, values in columns.items():
                if row.get(name) is None:
                    msg = f"line {number} of {path} has no {name!r}, as the first line has"
                    raise BadData(msg)
                if isinstance(row[name], str | list) and len(row[name]) > LONGEST_VALUE + variant.num_classes:
                    msg = f"line {number} of {path} has {len(row[name])} parts as {name!r}, which is no number and no name"
                    raise BadData(msg)
                values.append(row[name])
            if len(columns[chosen.names[0]]) > n:
                break
    if not columns:
        chosen = choose([])
    return {name: _array(values, name, path, text=name in chosen.texts) for name, values in columns.items()}


def _object(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        try:
            row = json.loads(line)  # which knows NaN
        except (ValueError, RecursionError):
            row = None
    if not isinstance(row, dict):
        msg = (
            f"line {number} of {path} is no object of JSON; expected one in each line, as "
            f"pandas' to_json(orient='records', lines=True) writes them"
        )
        raise BadData(msg)
    return row


def _array(values: list[Any], name: str, path: Path, *, text: bool) -> NDArray[Any]:
    """What the lines say under one name: numbers (n,) or (n, k), or texts (n,)."""
    if text and not all(type(value) is int for value in values):
        return np.array([value if isinstance(value, str) else str(value) for value in values], object)
    if values and isinstance(values[0], list):
        odd = [i for i, value in enumerate(values) if not isinstance(value, list) or len(value) != len(values[0])]
    else:
        odd = [i for i, value in enumerate(values) if isinstance(value, list)]
    if odd:
        msg = f"row {odd[0]} of {name!r} in {path} has another length than the first ({len(odd)} such rows)"
        raise BadData(msg)
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        array = np.array(["?"])
    if array.dtype.kind not in "fiub":
        msg = f"column {name!r} of {path} holds something that is no number; expected numbers in each line"
        raise BadData(msg)
    return array


def delimiter_of(path: Path) -> str:
    """What separates the names of the first line: what the file's name says, else a comma, else what is there most often."""
    with open_unpacked(path) as stream:
        header = stream.readline(1 << 20)
    if ".tsv" in path.name.lower() and b"\t" in header:
        return "\t"
    return "," if b"," in header else max(DELIMITERS, key=lambda mark: header.count(mark.encode()))


def _first_rows(reader: Any, n: int) -> Any:  # noqa: ANN401 - pyarrow is untyped
    """A table of the rows of a CSV file, and of one too many where there are more than ``n``, perhaps many more."""
    batches, rows = [], 0
    for batch in reader:
        batches.append(batch)
        rows += len(batch)
        if rows > n:
            break
    return pa.Table.from_batches(batches, reader.schema)


def fault_of(path: Path, delimiter: str, numbers: Sequence[str]) -> str | None:
    """What is wrong with a CSV file, in a sentence: by name of column and line of the file, the header being line 1."""
    ragged: list[tuple[int, int]] = []
    faults: dict[str, list[tuple[int, str]]] = {}
    with open_unpacked(path) as packed:
        try:
            stream = io.TextIOWrapper(packed, encoding="utf-8-sig", newline="")
            reader = text_rows.reader(stream, delimiter=delimiter)
            header = next(reader)
            for row in reader:
                if row and len(row) != len(header):
                    ragged.append((reader.line_num, len(row)))
                elif row:
                    cells = {name: row[header.index(name)] for name in numbers}
                    for name, cell in cells.items():
                        if not _is_number(cell):
                            faults.setdefault(name, []).append((reader.line_num, cell))
        except (text_rows.Error, StopIteration, UnicodeDecodeError, ValueError):
            return None
    if ragged:
        line, width = ragged[0]
        return (
            f"line {line} of {path} has {width} cells, its header {len(header)} ({_lines(ragged)}); "
            f"put cells that hold {delimiter!r} in double quotes, or take the surplus out"
        )
    if not faults:
        return None
    return "; ".join(_words_on(name, bad, path) for name, bad in faults.items())


def _words_on(name: str, bad: Sequence[tuple[int, str]], path: Path) -> str:
    line, cell = bad[0]
    what = f"{cell[:40]!r} in line {line} is no number" if cell else f"line {line} is empty"
    mend = "write decimal points, not commas" if _is_number(cell.replace(",", ".", 1)) else "expected a number in each"
    return f"column {name!r} of {path}: {what} ({_lines(bad)}); {mend}"


def _lines(bad: Sequence[tuple[int, Any]]) -> str:
    if len(bad) == 1:
        return "1 such line"
    shown = ", ".join(str(line) for line, _ in bad[:5]) + (", …" if len(bad) > 5 else "")  # noqa: PLR2004 - to a sentence
    return f"{len(bad)} such lines: {shown}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_CUT = (EOFError, zlib.error, lzma.LZMAError)  # of packed files


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Whatever a reader says of a file that it cannot read, in one sentence.

    Raises:
        BadData: The sentence.
    """
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError, KeyError, OverflowError, *_CUT) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path} cannot be read as {kind}: {reason}; write it again"
        raise BadData(msg) from None


def as_columns(table: Any, chosen: Chosen) -> Columns:  # noqa: ANN401 - pyarrow is untyped
    """Columns as arrays (n,) or, of lists, (n, k); of the variant ids, the different ones."""
    columns: Columns = {}
    for name in chosen.names:
        column = table[name].unique() if name == VARIANT_ID else table[name].combine_chunks()
        missing = column.null_count
        if holds_lists(column.type):
            lengths = pc.unique(pc.list_value_length(column)).to_pylist()
            column = column.flatten()
            missing += column.null_count
            if len(lengths) > 1:
                msg = f"the lists of {name!r} have {len(lengths)} different lengths"
                raise pa.ArrowInvalid(msg)
            columns[name] = column.to_numpy(zero_copy_only=False).reshape(len(table), *lengths)
        elif name in chosen.texts and not pa.types.is_integer(column.type):
            missing = 0 if name in LABELS else missing  # an empty text is no class, as others are none
            columns[name] = _texts(column)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
        if missing:
            msg = f"{missing} values of {name!r} are missing"
            raise pa.ArrowInvalid(msg)
    return columns


def _texts(column: Any) -> NDArray[Any]:  # noqa: ANN401 - pyarrow is untyped
    """Texts (n,), each of which is kept once; what is missing is empty."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    spelled = np.array([*(("" if text is None else str(text)) for text in column.dictionary.to_pylist()), ""], object)
    return spelled[column.indices.fill_null(len(spelled) - 1).to_numpy(zero_copy_only=False).astype(np.int64)]


def holds_lists(kind: Any) -> bool:  # noqa: ANN401 - pyarrow is untyped
    """Whether a column holds lists."""
    return any(is_kind(kind) for is_kind in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))
