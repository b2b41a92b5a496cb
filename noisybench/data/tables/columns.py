"""Columns of one's own table as they are written: texts that all are there, classes by name."""

import lzma
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from noisybench.data.classes import class_spelling, nobody_knows
from noisybench.data.label_columns import check_how_many
from noisybench.data.tables.layout import SUFFIXES, Layout
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, UnknownName
from noisybench.ground.packing import open_unpacked

ArrowColumn = Any
"""Arrow strings, shape (n,); absent ones are empty."""

_FIRST = 50  # rows that are looked at to see what a column is
_NUMBER = re.compile(r"[-+]?[0-9]*(?:\.([0-9]*))?(?:[eE][-+]?[0-9]+)?", re.ASCII)


def header(layout: Layout) -> list[str]:
    """Names of the columns of a table.

    Raises:
        BadData: It cannot be read, or has two columns of one name.
    """
    with errors_as_bad_data(layout.file):
        names: list[str]
        if len(layout.rows) > 1:  # the first is whole, and Arrow would read megabytes to say as much
            names = list(layout.rows[0])
        elif layout.form == "csv":
            with open_unpacked(layout.file) as stream, csv.open_csv(stream, **_options(layout)) as reader:
                names = reader.schema.names
        else:
            names = (pq.read_schema(layout.file) if layout.form == "parquet" else layout.table.schema).names
    doubled = [name for name in names if name and names.count(name) > 1]  # a column without a name is never read
    if doubled:
        msg = f"{layout.file} has {names.count(doubled[0])} columns called '{doubled[0]}'; expected one of each name"
        raise BadData(msg)
    return names


def index_columns(layout: Layout) -> set[str]:
    """Columns of a Parquet file that its pandas metadata call an index."""
    if layout.form != "parquet":
        return set()
    with errors_as_bad_data(layout.file):
        schema = pq.read_schema(layout.file)
    try:
        known = schema.pandas_metadata["index_columns"]
    except (ValueError, LookupError, TypeError, RecursionError):  # none, or whatever a stranger wrote there
        return set()
    return {name for name in known if isinstance(name, str)} if isinstance(known, list) else set()


def first_texts(layout: Layout, name: str) -> list[str]:
    """Some entries of a column, those of its first rows; none where it holds no texts."""
    if layout.form == "csv":
        at = layout.rows[0].index(name) if layout.rows and name in layout.rows[0] else None
        return [] if at is None else [row[at] for row in layout.rows[1:] if len(row) > at and row[at]]
    if layout.form == "records":
        return [value for value in layout.table[name][:_FIRST].to_pylist() if value]
    with errors_as_bad_data(layout.file), pq.ParquetFile(layout.file) as parquet:
        batch = next(parquet.iter_batches(batch_size=_FIRST, columns=[name]), None)
    return [value for value in (batch[0].to_pylist() if batch else ()) if isinstance(value, str) and value]


def check_column(name: str, names: Sequence[str], file: Path) -> str:
    """``name``, if it is one of the columns of a file.

    Raises:
        UnknownName: It is none.
    """
    if name not in names:
        raise UnknownName(unknown(name, tuple(names), f"column of {file}"))
    return name


def read_table(layout: Layout, *, texts: Sequence[str], inputs: Sequence[str] = ()) -> dict[str, Any]:
    """Columns by name: ``texts`` as Arrow strings (n,), absent ones empty, ``inputs`` as the file has them, (n,).

    Classes written as whole numbers are texts too. Every field of a text column is kept as it is written, so that a class
    may be called ``NA``; so are inputs, of all files but Parquet.

    Args:
        layout: The file, and how it is written.
        texts: Columns of texts, classes or names.
        inputs: Columns of anything.

    Raises:
        UnknownName: A column that is not there.
        BadData: The file cannot be read, has no rows, or a column is not what it must be.
    """
    file = layout.file
    there = header(layout)
    chosen = [check_column(name, there, file) for name in (*texts, *inputs)]
    with errors_as_bad_data(file):
        if layout.form == "parquet":
            table = pq.read_table(file, columns=chosen, page_checksum_verification=True)
        else:
            table = layout.table.select(chosen) if layout.form == "records" else _read_text(layout, chosen)
    if not len(table):
        msg = f"{file} has no rows; expected a row for each sample"
        raise BadData(msg)
    return {name: strings(table[name], name, file) for name in texts} | {name: table[name] for name in inputs}


def check_present(column: ArrowColumn, name: str, file: Path) -> None:
    """Raise ``BadData`` where a text is absent."""
    absent = np.flatnonzero(pc.equal(column, "").to_numpy(zero_copy_only=False))
    if absent.size:
        msg = f"column '{name}' of {file} is empty in row {absent[0]} ({absent.size} such rows); fill or drop them"
        raise BadData(msg)


def spelled_classes(
    given: ArrowColumn, clean: ArrowColumn | None = None, test: ArrowColumn | None = None, names: Sequence[str] = ()
) -> tuple[list[ArrowColumn], set[str]]:
    """Columns of classes in one spelling, clean and test ones empty where nobody knows → those that are given, in this order; names.

    The names are those of ``given`` and ``clean``; a class that only the test set has is no class.

    Args:
        given: Labels, of the training set.
        clean: Right classes.
        test: Labels of the test set.
        names: Classes that are called so whatever a column says.
    """
    found = [None if column is None else pc.unique(column).to_pylist() for column in (given, clean, test)]
    labels, right, tested = ([] if part is None else part for part in found)
    called = {*labels, *names}
    right = [text for text in right if not nobody_knows(text, called)]
    tested = [text for text in tested if not nobody_knows(text, called)]
    spelling = class_spelling([*names, *labels, *right, *tested])
    spelling |= {name: name for name in names}
    columns = [_renamed(given, spelling)]
    if clean is not None:
        columns.append(_renamed(clean, {text: spelling[text] for text in right}))
    if test is not None:
        columns.append(_renamed(test, {text: spelling[text] for text in tested}))
    return columns, {spelling[text] for text in (*labels, *right)} - {""}


def _renamed(column: ArrowColumn, names: Mapping[str, str]) -> ArrowColumn:
    """Each text by its name, empty where it has none."""
    texts = pc.unique(column)
    called = pa.array([names.get(text, "") for text in texts.to_pylist()], pa.string())
    return called.take(pc.index_in(column, value_set=texts))


def check_are_classes(column: ArrowColumn, name: str, layout: Layout, *, training: bool = True) -> None:
    """Raise ``BadData`` where a column of labels holds fractions or, of training samples, ids or a quantity.

    Fractions are measurements, unless a text is among them. How many classes are too many says
    ``noisybench.data.label_columns``.
    """
    found = [text for text in pc.unique(column).drop_null().to_pylist() if text]
    point = "," if layout.decimal == "," else "."
    numbers = [_NUMBER.fullmatch(text.replace(point, ".")) for text in found]
    odd = [match[0].replace(".", point) for match in numbers if match and (match[1] or "").strip("0")]
    if odd and all(numbers):
        msg = (
            f"column '{name}' of {layout.file} holds fractions, such as {odd[0]}, expected classes; for classes with such "
            f"names, write them as texts (v{odd[0]}), and cut a measurement into classes"
        )
        raise BadData(msg)
    if training:
        what = f"labels in column '{name}' of {layout.file}"
        check_how_many(len(found), len(column), what, numbers=bool(found) and all(numbers))


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


@contextmanager
def errors_as_bad_data(file: Path) -> Iterator[None]:
    """Whatever Arrow and Python say of a file that cannot be read, in one sentence.

    Raises:
        BadData: The sentence.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        msg = f"{file} is no text in {error.encoding}; say --source-set encoding=…, or save it as UTF-8"
        raise BadData(msg) from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException, KeyError, OverflowError) as error:
        number = getattr(error, "errno", None)  # Arrow's own words name the file again
        reason = os.strerror(number) if number else (str(error).splitlines() or [type(error).__name__])[0]
        form = (next((end for end in file.suffixes if end.lower() in SUFFIXES), file.suffix)).lower().removeprefix(".")
        msg = f"{file} cannot be read as {form}: {reason}"
        raise BadData(msg) from None


def _options(layout: Layout) -> dict[str, Any]:
    return {
        "read_options": csv.ReadOptions(
            use_threads=False,  # only so does Arrow say in which row a field cannot be read
            block_size=1 << 26,  # bytes that a row may have: Arrow reads none longer than a block, which is 1 MiB else
            encoding=layout.encoding,
        ),
        "parse_options": csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True),
    }


def _read_text(layout: Layout, chosen: Sequence[str]) -> Any:  # noqa: ANN401 - pyarrow.Table
    """Columns of a text file, as they are written."""
    convert = csv.ConvertOptions(include_columns=chosen, column_types=dict.fromkeys(chosen, pa.string()))
    with open_unpacked(layout.file) as stream:
        return csv.read_csv(stream, convert_options=convert, **_options(layout))


def strings(column: Any, name: str, file: Path) -> ArrowColumn:  # noqa: ANN401 - pyarrow is untyped
    """A column as texts, whole numbers as they are written, absent ones empty, shape (n,).

    Raises:
        BadData: It holds fractions, or neither texts nor numbers.
    """
    if isinstance(column, pa.StringArray):
        return column
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    if pa.types.is_floating(kind):
        column = _whole_numbers(column, name, file)
        kind = column.type
    if not (text or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        msg = f"column '{name}' of {file} holds {kind}, expected texts or whole numbers"
        raise BadData(msg)
    return column.cast(kind).cast(pa.string()).fill_null("").combine_chunks()


def _whole_numbers(column: Any, name: str, file: Path) -> Any:  # noqa: ANN401
    """Decimal numbers as whole ones, as pandas makes decimals of whole numbers with gaps; NaN is absent."""
    values = column.cast(pa.float64()).to_numpy()
    absent = np.isnan(values)
    odd = np.flatnonzero(~absent & ((values != np.trunc(values)) | (np.abs(values) > 2**53)))
    if odd.size:
        msg = (
            f"column '{name}' of {file} holds {column.type}, such as {values[odd[0]]:g} in row {odd[0]}, expected texts or "
            f"whole numbers"
        )
        raise BadData(msg)
    return pa.chunked_array([pa.array(np.where(absent, 0, values).astype(np.int64), mask=absent)])
