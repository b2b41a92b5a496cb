"""Columns of anyone's file, one row a sample, as they stand in it. No torch here, and nothing is unpickled."""

import csv as text_rows
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from noisybench.ground.errors import BadData
from noisybench.ground.files import NO_ARRAY, read_array
from noisybench.variants.variant import Variant

IDS = ("sample", "sample_id", "sample_index", "sample_idx", "id", "ids", "index", "idx")
"""Names of a column of sample ids, the first that is there."""
ROW_NAMES = ("", "Unnamed: 0", "__index_level_0__")
"""Names that the row names of a data frame get in a file: ids where there is no column of them."""
VARIANT_ID = "variant_id"
LABELS = ("labels", "label", "given_labels", "given_label", "noisy_labels", "noisy_label")
"""Names under which a file may say with which labels it was made."""
DELIMITERS = ",;\t|"

Columns = dict[str, NDArray[Any]]
Choose = Callable[[Sequence[str]], list[str]]  # of the columns that there are, those to read


def ids_among(there: Sequence[str], but: Sequence[str] = ()) -> str | None:
    """The column of sample ids, None where there is none; a name that is one of ``but`` is something else."""
    return next((name for name in (*IDS, *ROW_NAMES) if name in there and name not in but), None)


def _read_npy(path: Path, choose: Choose, variant: Variant) -> Columns:
    (name,) = choose(["array"])
    _check_size(path, "it", size_of(path), variant)
    return {name: read_array(path)}


def _read_npz(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen arrays of an archive; only those are read, and none is unpickled."""
    size_of(path)
    columns: Columns = {}
    with path.open("rb") as stream:  # opened here, because NumPy leaves a file open that it cannot read
        try:
            opened = np.load(stream, allow_pickle=False)
        except NO_ARRAY:
            opened = None
        if not isinstance(opened, np.lib.npyio.NpzFile):
            msg = f"{path} is truncated or no .npz file; save it again"
            raise BadData(msg)
        sizes = {
            info.filename.removesuffix(".npy"): info.file_size for info in (opened.zip.infolist() if opened.zip else ())
        }
        for name in choose(opened.files):
            _check_size(path, repr(name), sizes[name], variant)
            try:
                columns[name] = opened[name]
            except NO_ARRAY as error:
                pickled = "holds Python objects, which are never unpickled" if "pickle" in str(error) else "is broken"
                msg = f"{name!r} of {path} {pickled}; save it again as numbers"
                raise BadData(msg) from None
            if not isinstance(columns[name], np.ndarray):  # NumPy gives the bytes of a member that is no array
                msg = f"{name!r} of {path} is no array; save it again"
                raise BadData(msg)
    return columns


def _read_csv(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen columns of a CSV file with a header, a block at a time; separated by commas, semicolons, tabs or bars."""
    size_of(path)
    numbers: list[str] = []
    with _reading(path, "CSV"):
        parse = csv.ParseOptions(delimiter=delimiter_of(path))
        try:
            with csv.open_csv(path, parse_options=parse) as reader:
                chosen = choose(reader.schema.names)
            numbers = [name for name in chosen if name not in (VARIANT_ID, *LABELS)]
            kinds = {name: pa.float64() if name in numbers else pa.string() for name in chosen}
            convert = csv.ConvertOptions(include_columns=chosen, column_types=kinds, null_values=[""])
            with csv.open_csv(path, parse_options=parse, convert_options=convert) as reader:
                columns = _columns(_first_rows(reader, len(variant.labels)), chosen)
        except pa.ArrowInvalid:
            fault = _fault_of(path, parse.delimiter, numbers)
            if fault is None:
                raise
            raise BadData(fault) from None
    ids = ids_among(chosen)
    if ids is not None and (columns[ids] == np.rint(columns[ids])).all():  # 12.0 is 12 as well
        columns[ids] = columns[ids].astype(np.int64)
    return columns


def _first_rows(reader: Any, n: int) -> Any:  # noqa: ANN401 - pyarrow is untyped
    """A table of the rows of a CSV file, and of one too many where there are more than ``n``, perhaps many more."""
    batches, rows = [], 0
    for batch in reader:
        batches.append(batch)
        rows += len(batch)
        if rows > n:
            break
    return pa.Table.from_batches(batches, reader.schema)


def delimiter_of(path: Path) -> str:
    """What separates the names of the first line: a comma where there is one, else what is there most often."""
    with path.open("rb") as stream:
        header = stream.readline(1 << 20)
    return "," if b"," in header else max(DELIMITERS, key=lambda mark: header.count(mark.encode()))


def _fault_of(path: Path, delimiter: str, numbers: Sequence[str]) -> str | None:
    """What is wrong with a CSV file, in a sentence: by name of column and line of the file, the header being line 1."""
    ragged: list[tuple[int, int]] = []
    faults: dict[str, list[tuple[int, str]]] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
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


def _read_parquet(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen columns of a Parquet file, a group of rows at a time."""
    size_of(path)
    n = len(variant.labels)
    with _reading(path, "Parquet"):
        texts = [VARIANT_ID] if VARIANT_ID in pq.read_schema(path).names else []  # one many times over is kept once
    with (
        _reading(path, "Parquet"),
        pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file,
    ):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        chosen = choose(schema.names)
        most = rows
        for name in chosen:
            kind = schema.field(name).type
            if _is_list(kind):
                kind = kind.value_type
                most = max(most, _numbers_in(file, name))
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            if not number and name not in (VARIANT_ID, *LABELS):
                msg = f"column {name!r} of {path} holds {kind}, expected numbers"
                raise BadData(msg)
        if rows > n or most > n * variant.num_classes:
            msg = f"{path} has {rows} rows and up to {most} numbers a column, the variant has {n} samples"
            raise BadData(msg)
        table = file.read(columns=chosen)
        columns = _columns(table, chosen)
        told = (schema.metadata or {}).get(VARIANT_ID.encode())
    if told is not None:
        columns[VARIANT_ID] = np.append(columns.get(VARIANT_ID, []), told.decode("utf-8", "replace"))
    return columns


def _is_list(kind: Any) -> bool:  # noqa: ANN401 - pyarrow is untyped
    return any(is_kind(kind) for is_kind in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _numbers_in(file: Any, name: str) -> int:  # noqa: ANN401 - pyarrow is untyped
    """How many numbers the lists of a column hold together."""
    # First, because it raises where the footer is damaged; to ask that itself would end the process (pyarrow 26).
    file.scan_contents([name])
    about, schema = file.metadata, file.schema
    leaves = [j for j in range(len(schema)) if schema.column(j).path.startswith(f"{name}.")]
    return sum(about.row_group(i).column(j).num_values for i in range(about.num_row_groups) for j in leaves)


READERS: dict[str, Callable[[Path, Choose, Variant], Columns]] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
"""Ending of a file's name → what reads the chosen columns of it."""


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError, KeyError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path} cannot be read as {kind}: {reason}; write it again"
        raise BadData(msg) from None


def _columns(table: Any, chosen: Sequence[str]) -> Columns:  # noqa: ANN401 - pyarrow is untyped
    """Columns as arrays (n,) or, of lists, (n, k); of the variant ids, the different ones."""
    columns: Columns = {}
    for name in chosen:
        column = table[name].unique() if name == VARIANT_ID else table[name].combine_chunks()
        missing = column.null_count
        if _is_list(column.type):
            lengths = pc.unique(pc.list_value_length(column)).to_pylist()
            column = column.flatten()
            missing += column.null_count
            if len(lengths) > 1:
                msg = f"the lists of {name!r} have {len(lengths)} different lengths"
                raise pa.ArrowInvalid(msg)
            columns[name] = column.to_numpy(zero_copy_only=False).reshape(len(table), *lengths)
        elif name == VARIANT_ID:
            columns[name] = np.array([str(text) for text in column.to_pylist()], dtype=str)
        elif name in LABELS and not pa.types.is_integer(column.type):
            missing = 0  # an empty text is no class, as others are none
            columns[name] = np.array([str(text or "") for text in column.to_pylist()], dtype=str)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
        if missing:
            msg = f"{missing} values of {name!r} are missing"
            raise pa.ArrowInvalid(msg)
    return columns


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


def _check_size(path: Path, what: str, size: int, variant: Variant) -> None:
    """Refuse an array before it takes the memory of one that cannot be meant."""
    n, k = len(variant.labels), variant.num_classes
    most = n * (k + 16) * 16 + 4096  # the widest numbers, or a text for each sample
    if size > most:
        msg = f"{path} is too large: {what} takes {size} bytes, {n} samples of {k} classes at most {most}"
        raise BadData(msg)
