"""Columns of one's own CSV or Parquet file: texts that all are there, numbers that are all finite, classes by name."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, UnknownName

ArrowColumn = Any
"""Arrow strings, shape (n,); absent ones are empty."""

SUFFIXES = (".csv", ".parquet")


def header(file: Path) -> list[str]:
    """Names of the columns of a ``.csv`` or ``.parquet`` file.

    Raises:
        BadData: It is none, cannot be read, or has two columns of one name.
    """
    if file.suffix.lower() not in SUFFIXES:
        msg = f"{file} is no {' or '.join(SUFFIXES)} file; save the table as one of these"
        raise BadData(msg)
    with _reading(file):
        if file.suffix.lower() == ".csv":
            with csv.open_csv(file, read_options=_BLOCKS, parse_options=_LINES) as reader:
                names: list[str] = reader.schema.names
        else:
            names = pq.read_schema(file).names
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        msg = f"{file} has {names.count(doubled[0])} columns called '{doubled[0]}'; expected one of each name"
        raise BadData(msg)
    return names


def check_column(name: str, names: Sequence[str], file: Path) -> str:
    """``name``, if it is one of the columns of a file.

    Raises:
        UnknownName: It is none.
    """
    if name not in names:
        raise UnknownName(unknown(name, tuple(names), f"column of {file}"))
    return name


def read_table(file: Path, *, texts: Sequence[str], numbers: Sequence[str] = ()) -> dict[str, Any]:
    """Columns by name: ``texts`` as Arrow strings (n,), absent ones empty, ``numbers`` as float32 (n,).

    Classes written as whole numbers are texts too. In a CSV file every field of a text column is kept as it is written,
    so that a class may be called ``NA``; in a column of numbers such words are missing values.

    Args:
        file: A ``.csv`` or ``.parquet`` file.
        texts: Columns of texts, classes or names.
        numbers: Columns of numbers.

    Raises:
        UnknownName: A column that is not there.
        BadData: The file cannot be read, has no rows, or a column is not what it must be.
    """
    there = header(file)
    chosen = [check_column(name, there, file) for name in (*texts, *numbers)]
    with _reading(file):
        if file.suffix.lower() == ".csv":
            kinds = {name: pa.string() for name in texts} | {name: pa.float64() for name in numbers}
            convert = csv.ConvertOptions(include_columns=chosen, column_types=kinds)
            table = csv.read_csv(file, read_options=_BLOCKS, parse_options=_LINES, convert_options=convert)
        else:
            table = pq.read_table(file, columns=chosen, page_checksum_verification=True)
    if not len(table):
        msg = f"{file} has no rows; expected a row for each sample"
        raise BadData(msg)
    columns = {name: _strings(table[name], name, file) for name in texts}
    return columns | {name: _numbers(table[name], name, file) for name in numbers}


def check_present(column: ArrowColumn, name: str, file: Path) -> None:
    """Raise ``BadData`` where a text is absent."""
    absent = np.flatnonzero(pc.equal(column, "").to_numpy(zero_copy_only=False))
    if absent.size:
        msg = f"column '{name}' of {file} is empty in row {absent[0]} ({absent.size} such rows); fill or drop them"
        raise BadData(msg)


def class_names_of(*columns: ArrowColumn) -> tuple[str, ...]:
    """Every class that is named, sorted: as numbers where all are whole numbers, else as texts."""
    found = {name for column in columns for name in pc.unique(column).to_pylist()} - {""}
    if all(name.removeprefix("-").isdecimal() for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))


def as_classes(column: ArrowColumn, class_names: Sequence[str], name: str, file: Path) -> Labels:
    """Class index of each row, shape (n,), ``UNKNOWN`` where the text is absent.

    Raises:
        BadData: A class that is none of ``class_names``.
    """
    indices: Labels = pc.index_in(column, value_set=pa.array(class_names, pa.string())).fill_null(UNKNOWN).to_numpy()
    odd = np.flatnonzero((indices == UNKNOWN) & pc.not_equal(column, "").to_numpy(zero_copy_only=False))
    if odd.size:
        row = int(odd[0])
        msg = (
            f"column '{name}' of {file}, row {row}: {unknown(column[row].as_py(), tuple(class_names), 'class')} "
            f"({odd.size} such rows)"
        )
        raise BadData(msg)
    return indices.astype(np.int64)


def beside(folder: Path, name: str, option: str) -> Path:
    """The file of that name in a folder. It is no path of its own, so that a record of it holds for other machines.

    Raises:
        BadData: It is not there, or ``name`` leads out of the folder.
    """
    file = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not file.exists():
        msg = f"{option}={name} must be the name of a file or folder in {folder}, as --data is the place of all"
        raise BadData(msg)
    return file


_LINES = csv.ParseOptions(newlines_in_values=True)
_BLOCKS = csv.ReadOptions(
    use_threads=False,  # only so does Arrow say in which row a field cannot be read
    block_size=1 << 26,  # bytes that a row may have: Arrow reads none that is longer than a block, which is 1 MiB else
)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError, KeyError, OverflowError) as error:
        number = getattr(error, "errno", None)  # Arrow's own words name the file again
        reason = os.strerror(number) if number else (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{file} cannot be read as {file.suffix.lower().removeprefix('.')}: {reason}; write it again"
        raise BadData(msg) from None


def _strings(column: Any, name: str, file: Path) -> ArrowColumn:  # noqa: ANN401 - pyarrow is untyped
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    if not (text or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        msg = f"column '{name}' of {file} holds {kind}, expected texts or whole numbers"
        raise BadData(msg)
    return column.cast(kind).cast(pa.string()).fill_null("").combine_chunks()


def _numbers(column: Any, name: str, file: Path) -> NDArray[np.float32]:  # noqa: ANN401
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        msg = f"column '{name}' of {file} holds {kind}, expected numbers; say which columns are, --source-set features=A,B"
        raise BadData(msg)
    with np.errstate(over="ignore"):  # what overflows is infinite, and said below
        values: NDArray[np.float32] = column.to_numpy().astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        msg = (
            f"column '{name}' of {file} has no finite number in row {bad[0]} ({bad.size} such rows); fill or drop them"
        )
        raise BadData(msg)
    return values
