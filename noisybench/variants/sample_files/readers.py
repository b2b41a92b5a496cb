"""Columns of anyone's file, one row a sample, as they stand in it. No torch here, and nothing is unpickled."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisybench.data.array_files import open_arrays, read_member
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_array
from noisybench.ground.packing import ending_of
from noisybench.variants.sample_files.column_names import ROW_NAMES, VARIANT_ID
from noisybench.variants.sample_files.text_readers import (
    Choose,
    Columns,
    as_columns,
    holds_lists,
    read_json_lines,
    read_separated,
    reading,
    size_of,
)
from noisybench.variants.variant import Variant

Read = Callable[[Path, Choose, Variant], Columns]


def _read_npy(path: Path, choose: Choose, variant: Variant) -> Columns:
    (name,) = choose(["array"]).names
    _check_size(path, "it", size_of(path), variant)
    return {name: read_array(path, mapped=True)}


def _read_npz(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen arrays of an archive, and no others."""
    columns: Columns = {}
    with open_arrays(path) as opened:
        sizes = {info.filename.removesuffix(".npy"): info.file_size for info in opened.zip.infolist()}
        for name in choose(opened.files).names:
            _check_size(path, repr(name), sizes[name], variant)
            columns[name] = read_member(opened, name, path)
    return columns


def _read_parquet(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen columns of a Parquet file, a group of rows at a time."""
    size_of(path)
    n = len(variant.labels)
    with reading(path, "Parquet"):
        schema = pq.read_schema(path)
        counted = _counted_rows(schema)
        chosen = choose([*schema.names, *counted])
        stored = [name for name in chosen.names if name in schema.names]
        texts = [name for name in stored if name in chosen.texts and pa.types.is_string(schema.field(name).type)]
    with (
        reading(path, "Parquet"),
        # Of texts, one many times over is kept once.
        pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file,
    ):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        most = rows
        for name in stored:
            kind = schema.field(name).type
            if holds_lists(kind):
                kind = kind.value_type
                most = max(most, _numbers_in(file, name))
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            if not number and name not in chosen.texts:
                msg = f"column {name!r} of {path} holds {kind}, expected numbers"
                raise BadData(msg)
        if rows > n or most > n * variant.num_classes:
            msg = f"{path} has {rows} rows and up to {most} numbers a column, the variant has {n} samples"
            raise BadData(msg)
        columns = as_columns(file.read(columns=stored), replace(chosen, names=tuple(stored)))
        told = (schema.metadata or {}).get(VARIANT_ID.encode())
    columns |= {name: np.arange(rows) for name in counted if name in chosen.names}
    if told is not None:
        columns[VARIANT_ID] = np.append(columns.get(VARIANT_ID, []), told.decode("utf-8", "replace"))
    return columns


def _counted_rows(schema: Any) -> list[str]:  # noqa: ANN401 - pyarrow is untyped
    """The name of row names that are no column, because pandas says that they count the rows from 0; else nothing."""
    try:
        index = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        counted = [one for one in index if isinstance(one, dict)]
        plain = len(index) == 1 and [(one["kind"], one["start"], one["step"]) for one in counted] == [("range", 0, 1)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []
    return [ROW_NAMES[-1]] if plain and ROW_NAMES[-1] not in schema.names else []


def _numbers_in(file: Any, name: str) -> int:  # noqa: ANN401 - pyarrow is untyped
    """How many numbers the lists of a column hold together."""
    # First, because it raises where the footer is damaged; to ask that itself would end the process (pyarrow 26).
    file.scan_contents([name])
    about, schema = file.metadata, file.schema
    leaves = [j for j in range(len(schema)) if schema.column(j).path.startswith(f"{name}.")]
    return sum(about.row_group(i).column(j).num_values for i in range(about.num_row_groups) for j in leaves)


_READERS: dict[str, Read] = {
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".csv": read_separated,
    ".tsv": read_separated,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": _read_parquet,
}
"""Ending of a file's name → what reads the chosen columns of it."""
ARRAYS = (".npz", ".npy")
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


def reader_of(path: Path, what: str) -> Read:
    """What reads the chosen columns of a file, by its name.

    Args:
        path: The file.
        what: What is to be in it, for messages.

    Raises:
        BadUsage: The name ends in something else.
    """
    kind = ending_of(path)
    if kind in _READERS:
        return _READERS[kind]
    known = ", ".join(ending for ending in _READERS if ending != ".ndjson")
    msg = f"{path} is no {known} file; save the {what} as one of these"
    if path.is_dir():
        within = "; say --dynamics for training dynamics" if any(path.rglob("dynamics_epoch_*")) else ""
        within = "; Datalab's scores are issues.csv in it" if (path / "issues.csv").is_file() else within
        msg = f"{path} is a folder, expected a file of {what}{within}"
    elif kind in PICKLES:
        msg = f"{path} is a pickle, which is never read, because it may hold code; save the {what} as {known}"
    raise BadUsage(msg)


def _check_size(path: Path, what: str, size: int, variant: Variant) -> None:
    """Refuse an array before it takes the memory of one that cannot be meant."""
    n, k = len(variant.labels), variant.num_classes
    most = n * (k + 80) * 16 + 4096  # the widest numbers, or a text for each sample
    if size > most:
        msg = f"{path} is too large: {what} takes {size} bytes, {n} samples of {k} classes at most {most}"
        raise BadData(msg)
