"""Files on disk: Parquet and JSON, written whole or not at all, read against what is expected."""

import glob
import json
import math
import os
import platform
import re
import shutil
import tokenize
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints
from zipfile import BadZipFile

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisybench.ground.claims import (
    array_header,
    check_claim,
    check_record_size,
    check_regular,
    check_table,
    holds_texts,
)
from noisybench.ground.errors import BadData

T = TypeVar("T")

# What NumPy raises for a damaged file: its header is a Python literal, and the sizes in it are believed.
NO_ARRAY = (
    OSError, EOFError, ValueError, TypeError, LookupError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError,
    RecursionError, BadZipFile, zlib.error, NotImplementedError,
)  # fmt: skip


SMALL = 100_000
"""Rows up to which a Parquet file is read by one thread."""


def file_name(name: str) -> str:
    """A name such as ``torchvision:resnet18`` as it may stand in a path, on every file system.

    >>> file_name("my_package.nets:tiny")
    'my_package.nets+tiny'
    """
    return "".join(c if c.isalnum() or c in "._-" else "+" for c in name)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place at the end: a reader sees the old file or the new one."""
    part = _part_of(path)
    try:
        yield part
        part.replace(path)
    except OSError as error:
        error.filename = str(path)  # Arrow does not say which, and the temporary name tells nobody anything
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path`` that takes its place at the end, with all that is in it; what was there goes."""
    path = path.resolve()
    part = _part_of(path)
    part.mkdir()
    try:
        yield part
        old = part.with_suffix(".old.part")
        if path.exists():
            path.rename(old)
        try:
            part.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)  # only now: one of the two is always there
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _part_of(path: Path) -> Path:
    """A temporary path beside ``path``; those that a killed process left there for it are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here = platform.node()
    for abandoned in path.parent.glob(f"{glob.escape(path.name)}.*@{glob.escape(here)}.part"):
        if not _alive(abandoned.name.removeprefix(f"{path.name}.").partition("@")[0]):
            if abandoned.is_dir():
                shutil.rmtree(abandoned, ignore_errors=True)
            else:
                abandoned.unlink(missing_ok=True)
    return path.with_name(f"{path.name}.{os.getpid()}@{here}.part")


def _alive(pid: str) -> bool:
    """Whether a process of this machine runs under that number."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_columns(
    columns: Mapping[str, NDArray[Any]], path: Path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays of shape (n,) or (n, k) as the columns of one Parquet file."""
    arrays, encoding = {}, {}
    for name, values in columns.items():
        if values.ndim == 1:
            arrays[name] = pa.array(values)
            leaf = name
        else:
            arrays[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
            leaf = f"{name}.list.element"
        # Floats of a trace do not repeat, so Parquet's default dictionaries only cost; bytes split by place compress.
        if values.dtype.kind == "f":
            encoding[leaf] = "BYTE_STREAM_SPLIT"
        elif values.dtype.kind in "iu":
            encoding[leaf] = "DELTA_BINARY_PACKED"
    table = pa.table(arrays).replace_schema_metadata(dict(metadata or {}))
    with replacing(path) as part:
        pq.write_table(
            table, part, compression="zstd", use_dictionary=False, column_encoding=encoding, write_page_checksum=True
        )


def read_columns(path: Path, names: list[str] | None = None) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Columns by name, each (n,) or (n, k), and the file's metadata.

    Args:
        path: A file of ``write_columns``.
        names: The columns to read; None reads all.

    Raises:
        BadData: The file is missing, is no Parquet, lacks a column, or claims far more than it can hold.
    """
    check_regular(path)
    try:
        with _opened(path) as file:
            missing = [name for name in names or [] if name not in file.schema_arrow.names]
            if missing:
                msg = f"{path} has no column '{missing[0]}'; it has: {', '.join(file.schema_arrow.names)}"
                raise BadData(msg)
            check_table(path, file.metadata.num_rows, file.schema_arrow, names)
            table = file.read(
                columns=names, use_threads=file.metadata.num_rows > SMALL
            )  # threads cost a small file more
            metadata = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
        columns = {name: _to_numpy(table[name].combine_chunks()) for name in table.column_names}
    except (OSError, pa.ArrowException, UnicodeDecodeError, KeyError) as error:
        msg = f"{path} cannot be read as Parquet: {_reason(error)}; make it again"
        raise BadData(msg) from None
    return columns, metadata


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file whose texts are read once each: a small file may repeat a long one without end."""
    file = pq.ParquetFile(path, page_checksum_verification=True)
    texts = [field.name for field in file.schema_arrow if holds_texts(field.type)]
    if texts:
        file.close()
        file = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts)
    with file:
        yield file


def column_names(path: Path) -> list[str]:
    """Names of the columns of a Parquet file, without reading them.

    Raises:
        BadData: The file is missing or is no Parquet.
    """
    check_regular(path)
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as Parquet: {_reason(error)}; make it again"
        raise BadData(msg) from None


def count_rows(path: Path) -> int:
    """Rows that a Parquet file claims to have, without reading them.

    Raises:
        BadData: The file is missing or is no Parquet.
    """
    check_regular(path)
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as Parquet: {_reason(error)}; make it again"
        raise BadData(msg) from None


def write_json(value: Any, path: Path) -> None:  # noqa: ANN401 - what JSON holds
    """Write JSON for people: indented, keys in the order given, NaN refused."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, *, mend: str = "make it again") -> Any:  # noqa: ANN401 - what JSON holds
    """What a JSON file holds.

    Raises:
        BadData: The file is missing or is no JSON; ``mend`` says what to do then.
    """
    check_regular(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; {mend}"
        raise BadData(msg) from None
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not JSON: {_first_line(error)}; {mend}"
        raise BadData(msg) from None


def read_json_as(path: Path, kind: type[T], *, mend: str = "make it again", allow_unknown: bool = False) -> T:
    """The frozen dataclass ``kind`` that a JSON file holds.

    Args:
        path: A file of ``write_json``, which took ``dataclasses.asdict`` of the record.
        kind: A dataclass; fields with a default may be missing in the file, and fields may be dataclasses.
        mend: What to do about a damaged file, the end of the message.
        allow_unknown: Whether fields that ``kind`` does not have are passed over.

    Raises:
        BadData: The file is missing, is no JSON, lacks a field, has one of another type or one that nobody knows.
    """
    check_record_size(path)
    return record_as(read_record(path, mend=mend), kind, path, mend=mend, allow_unknown=allow_unknown)


def record_as(
    record: Mapping[str, Any], kind: type[T], path: Path, *, mend: str = "make it again", allow_unknown: bool = False
) -> T:
    """The frozen dataclass ``kind`` that ``record``, as read from ``path``, describes; see ``read_json_as``."""
    known = tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # a dataclass by contract
    odd = None if allow_unknown else next((name for name in record if name not in known), None)
    if odd is not None:
        msg = f"{path} has a field '{odd}', which is none of: {', '.join(known)}; {mend}"
        raise BadData(msg)
    try:
        json.dumps(record, ensure_ascii=False).encode()
        return msgspec.convert(record, kind)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and no text file can hold
        msg = f"{path} holds text that is no Unicode; {mend}"
        raise BadData(msg) from None
    except msgspec.ValidationError as error:
        msg = f"{path}{_fault(str(error), record, kind)} {mend}"
        raise BadData(msg) from None


def read_record(path: Path, *, mend: str = "make it again") -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        BadData: The file is missing, is no JSON, or holds something else than an object; ``mend`` says what to do then.
    """
    value = read_json(path, mend=mend)
    if not isinstance(value, dict):
        msg = f"{path} holds a {type(value).__name__}, expected a JSON object"
        raise BadData(msg)
    return value


def check_fields(record: Mapping[str, Any], kinds: Mapping[str, Any], path: Path) -> None:
    """Raise ``BadData`` unless ``record``, as read from ``path``, has every field of ``kinds``, and of that type.

    Args:
        record: Field → value.
        kinds: Field → type hint.
        path: Where the record stands, for messages.
    """
    for name, kind in kinds.items():
        if name not in record:
            msg = f"{path} lacks '{name}'; it is damaged, or of another version: make it again"
            raise BadData(msg)
        if not _fits(record[name], kind):
            wanted = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
            msg = f"{path}: '{name}' is {str(record[name])[:40]!r}, expected {wanted}; make it again"
            raise BadData(msg)


def write_array(values: NDArray[Any], path: Path) -> None:
    """Write one array as ``.npy``."""
    with replacing(path) as part, part.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)


def read_array(path: Path) -> NDArray[Any]:
    """Read one ``.npy`` array, never unpickling.

    Raises:
        BadData: The file is missing, is no array, holds Python objects, or claims more values than it has bytes.
    """
    check_regular(path)
    try:
        with path.open("rb") as stream:  # NumPy leaves a file open that it cannot read
            if stream.read(6) == b"\x93NUMPY":
                stream.seek(0)
                shape, kind = array_header(stream)
                check_claim(path, math.prod(shape) * kind.itemsize, f"{shape} values")
            stream.seek(0)
            array = np.load(stream, allow_pickle=False)
    except BadData:
        raise
    except NO_ARRAY as error:
        # NumPy's own words advise to trust the file, or tell of its own insides.
        pickled = "it holds Python objects, which are never unpickled" if "pickle" in str(error) else None
        reason = pickled or getattr(error, "strerror", None) or "it is damaged, or no .npy file"
        msg = f"{path} cannot be read as a NumPy array: {reason}; make it again"
        raise BadData(msg) from None
    if not isinstance(array, np.ndarray):
        msg = f"{path} holds several arrays, expected one (.npy)"
        raise BadData(msg)
    return array


def _fits(value: Any, kind: Any) -> bool:  # noqa: ANN401 - a value of JSON and a type hint
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(kind))
    if get_origin(kind) is Mapping:
        return isinstance(value, dict) and all(_fits(part, get_args(kind)[1]) for part in value.values())
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(part, get_args(kind)[0]) for part in value)
    return type(value) is kind  # True is no number here


def _fault(text: str, record: Mapping[str, Any], kind: type) -> str:
    """What msgspec found wrong with a record, in our words: the field, what stands there and what should.

    >>> _fault("Expected `int`, got `str` - at `$.seed`", {"seed": "x"}, Mapping)
    ": 'seed' is 'x', expected int;"
    >>> _fault("Object missing required field `seed`", {}, Mapping)
    " lacks 'seed'; it is damaged, or of another version:"
    """
    reason, _, within = text.partition(" - at ")
    within = within.rpartition("$")[2].strip("`").removeprefix(".")
    missing = re.fullmatch("Object missing required field `(.*)`", reason)
    if missing:
        return f" lacks '{'.'.join(filter(None, (within, missing[1])))}'; it is damaged, or of another version:"
    top = re.split(r"[.\[]", within)[0]
    expected = re.fullmatch("Expected `(.*)`, got `.*`", reason)  # else it is no word of a closed choice
    wanted = expected[1].replace("null", "None") if expected else str(get_type_hints(kind).get(top, reason))
    return f": '{within}' is {str(record.get(top))[:40]!r}, expected {wanted.replace('typing.', '')};"


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)


def _to_numpy(values: Any) -> NDArray[Any]:  # noqa: ANN401 - pyarrow is untyped
    if values.null_count:
        msg = f"{values.null_count} values are missing"
        raise pa.ArrowInvalid(msg)
    if pa.types.is_fixed_size_list(values.type):
        flat: NDArray[Any] = values.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(values), values.type.list_size)
    if pa.types.is_dictionary(values.type):  # each text once in memory
        texts: NDArray[Any] = np.array(values.dictionary.to_pylist(), dtype=object)
        return texts[values.indices.to_numpy()]
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return array


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _reason(error: Exception) -> str:
    """Why a file cannot be read; Arrow names the file again where it is the system that refuses."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else _first_line(error)
