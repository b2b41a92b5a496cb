"""Columns of one's own CSV or Parquet file: texts that all are there, numbers that are all finite, classes by name."""

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
from numpy.typing import NDArray
from pyarrow import csv

from noisybench.data.classes import class_spelling, nobody_knows
from noisybench.data.sources._layout import SUFFIXES, Layout, open_text
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, UnknownName

ArrowColumn = Any
"""Arrow strings, shape (n,); absent ones are empty."""

FEWEST_IDS = 20
"""Rows of which labels that are all different are taken for ids; fewer may be so by chance."""
_NUMBER = re.compile(r"[-+]?[0-9]*(?:\.([0-9]*))?(?:[eE][-+]?[0-9]+)?", re.ASCII)


def header(layout: Layout) -> list[str]:
    """Names of the columns of a table.

    Raises:
        BadData: It cannot be read, or has two columns of one name.
    """
    with errors_as_bad_data(layout.file):
        if layout.form == "csv":
            with open_text(layout.file) as stream, csv.open_csv(stream, **_options(layout)) as reader:
                names: list[str] = reader.schema.names
        else:
            names = pq.read_schema(layout.file).names
    doubled = [name for name in names if name and names.count(name) > 1]  # a column without a name is never read
    if doubled:
        msg = f"{layout.file} has {names.count(doubled[0])} columns called '{doubled[0]}'; expected one of each name"
        raise BadData(msg)
    return names


def index_columns(layout: Layout) -> set[str]:
    """Columns of a Parquet file that its pandas metadata call an index."""
    if layout.form == "csv":
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
    with errors_as_bad_data(layout.file), pq.ParquetFile(layout.file) as parquet:
        batch = next(parquet.iter_batches(batch_size=50, columns=[name]), None)
    return [value for value in (batch[0].to_pylist() if batch else ()) if isinstance(value, str) and value]


def check_column(name: str, names: Sequence[str], file: Path) -> str:
    """``name``, if it is one of the columns of a file.

    Raises:
        UnknownName: It is none.
    """
    if name not in names:
        raise UnknownName(unknown(name, tuple(names), f"column of {file}"))
    return name


def read_table(layout: Layout, *, texts: Sequence[str], numbers: Sequence[str] = ()) -> dict[str, Any]:
    """Columns by name: ``texts`` as Arrow strings (n,), absent ones empty, ``numbers`` as float64 (n,).

    Classes written as whole numbers are texts too. In a CSV file every field of a text column is kept as it is written,
    so that a class may be called ``NA``; in a column of numbers such words are missing values.

    Args:
        layout: The file, and how it is written.
        texts: Columns of texts, classes or names.
        numbers: Columns of numbers.

    Raises:
        UnknownName: A column that is not there.
        BadData: The file cannot be read, has no rows, or a column is not what it must be.
    """
    file = layout.file
    there = header(layout)
    chosen = [check_column(name, there, file) for name in (*texts, *numbers)]
    with errors_as_bad_data(file):
        if layout.form == "parquet":
            table = pq.read_table(file, columns=chosen, page_checksum_verification=True)
        else:
            try:
                table = _read_text(layout, chosen, numbers)
            except pa.ArrowInvalid:
                if numbers:
                    _check_numbers(_read_text(layout, list(numbers), ()), layout)
                raise
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


def spelled_classes(
    given: ArrowColumn, clean: ArrowColumn | None = None, test: ArrowColumn | None = None, names: Sequence[str] = ()
) -> tuple[list[ArrowColumn], set[str]]:
    """Columns of classes in one spelling, clean ones empty where nobody knows → those that are given, in this order; names.

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
    spelling = class_spelling([*names, *labels, *right, *tested])
    spelling |= {name: name for name in names}
    columns = [_renamed(given, spelling)]
    if clean is not None:
        columns.append(_renamed(clean, {text: spelling[text] for text in right}))
    if test is not None:
        columns.append(_renamed(test, spelling))
    return columns, {spelling[text] for text in (*labels, *right)} - {""}


def _renamed(column: ArrowColumn, names: Mapping[str, str]) -> ArrowColumn:
    """Each text by its name, empty where it has none."""
    texts = pc.unique(column)
    called = pa.array([names.get(text, "") for text in texts.to_pylist()], pa.string())
    return called.take(pc.index_in(column, value_set=texts))


def check_are_classes(column: ArrowColumn, name: str, file: Path) -> None:
    """Raise ``BadData`` where a column of labels holds fractions, or another text in each of many rows.

    Fractions are measurements, unless a text is among them; a label of its own for each row is an id.
    """
    found = pc.unique(column).drop_null().to_pylist()
    numbers = [_NUMBER.fullmatch(text) for text in found if text]
    odd = [match[0] for match in numbers if match and (match[1] or "").strip("0")]
    if odd and all(numbers):
        msg = (
            f"column '{name}' of {file} holds fractions, such as {odd[0]}, expected classes; for classes with such names, "
            f"write them as texts (v{odd[0]}), and cut a measurement into classes"
        )
        raise BadData(msg)
    if len(found) == len(column) >= FEWEST_IDS:
        msg = (
            f"column '{name}' of {file} has another label in each of its {len(column)} rows, as ids have, expected classes; "
            f"say --source-set label=NAME"
        )
        raise BadData(msg)


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
    """Whatever Arrow and Python say of a file that cannot be read, as ``BadData`` of one sentence."""
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


def _read_text(layout: Layout, chosen: Sequence[str], numbers: Sequence[str]) -> Any:  # noqa: ANN401 - pyarrow.Table
    """Columns of a text file, as numbers or as they are written."""
    kinds = {name: pa.float64() if name in numbers else pa.string() for name in chosen}
    convert = csv.ConvertOptions(include_columns=chosen, column_types=kinds, decimal_point=layout.decimal)
    with open_text(layout.file) as stream:
        return csv.read_csv(stream, convert_options=convert, **_options(layout))


def _check_numbers(table: Any, layout: Layout) -> None:  # noqa: ANN401 - pyarrow.Table
    """Raise ``BadData`` that names every column with a text that is no number, where there is one."""
    absent = pa.array(sorted(csv.ConvertOptions().null_values))
    mark = layout.decimal.replace(".", r"\.")
    number = rf"^\s*([-+]?(\d+({mark}\d*)?|{mark}\d+)([eE][-+]?\d+)?|(?i:[-+]?(nan|inf|infinity)))\s*$"
    odd = {}
    for name in table.column_names:
        column = table[name]
        right = pc.or_(pc.match_substring_regex(column, number), pc.is_in(column, value_set=absent))
        row = pc.index(right, value=False).as_py()
        if row >= 0:
            odd[name] = (row, column[row].as_py())
    if odd:
        name, (row, text) = next(iter(odd.items()))
        others = f"; such columns are: {', '.join(odd)}" if len(odd) > 1 else ""
        msg = (
            f"column '{name}' of {layout.file} has invalid value '{text[:40]}' in row {row}, expected numbers with a "
            f"decimal '{layout.decimal}'{others}; say which columns are numbers, --source-set features=A,B, or which holds texts, text=NAME"
        )
        raise BadData(msg)


def _strings(column: Any, name: str, file: Path) -> ArrowColumn:  # noqa: ANN401 - pyarrow is untyped
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


def _numbers(column: Any, name: str, file: Path) -> NDArray[np.float64]:  # noqa: ANN401
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        msg = f"column '{name}' of {file} holds {kind}, expected numbers; say which columns are, --source-set features=A,B"
        raise BadData(msg)
    values: NDArray[np.float64] = column.to_numpy().astype(np.float64, copy=False)
    with np.errstate(over="ignore"):  # what overflows is infinite, and said below
        bad = np.flatnonzero(~np.isfinite(values.astype(np.float32)))
    if bad.size:
        msg = (
            f"column '{name}' of {file} has no finite number in row {bad[0]} ({bad.size} such rows); fill or drop them"
        )
        raise BadData(msg)
    return values
