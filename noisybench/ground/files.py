"""Files on disk: Parquet and JSON, written whole or not at all, read against what is expected."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tokenize
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar
from zipfile import BadZipFile

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisybench.ground.arrow_columns import arrow_of, column_of
from noisybench.ground.claims import (
    check_regular,
    check_table,
    holds_texts,
)
from noisybench.ground.durability import put_aside, rename_durably, sync_folder, sync_tree, synced_together, temporary
from noisybench.ground.errors import BadData

T = TypeVar("T")

# What NumPy raises for a damaged file: its header is a Python literal, and the sizes in it are believed.
NO_ARRAY = (
    OSError, EOFError, ValueError, TypeError, LookupError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError,
    RecursionError, BadZipFile, zlib.error, NotImplementedError,
)  # fmt: skip


LONGEST = 120
"""Bytes of a name up to which it stands in a path whole."""
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
SMALL = 100_000
"""Rows up to which a Parquet file is read by one thread."""


def file_name(name: str) -> str:
    """A name such as ``torchvision:resnet18`` as it may stand in a path, on every file system; a long one is cut.

    Two names may give one: where that matters, ``own_file_name`` gives two.

    >>> file_name("my_package.nets:tiny")
    'my_package.nets+tiny'
    """
    found = "".join(c if c.isalnum() or c in "._-" else "+" for c in name)
    return found if len(found.encode()) <= LONGEST else f"{found.encode()[:64].decode(errors='ignore')}-{_digest(name)}"


@lru_cache(maxsize=4096)  # a table asks for every detector of every run
def own_file_name(name: str) -> str:
    """A file name that no other name gives, not even on a file system that knows no capitals.

    >>> own_file_name("aum"), own_file_name("a/b"), own_file_name("a+b")
    ('aum', 'a+b-c14cddc0', 'a+b-300273da')
    """
    short = file_name(name)
    return name if short == name and _PLAIN.fullmatch(name) else f"{short}-{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place at the end: a reader sees the old file or the new one.

    Args:
        path: The file.
        sync: Whether it is on the disk afterwards, so that a power cut loses neither; no for what nothing depends on.
    """
    with temporary(path) as part:
        try:
            yield part
            if sync:
                rename_durably(part, path)
            else:
                part.replace(path)
        except OSError as error:
            error.filename = str(path)  # Arrow does not say which, and the temporary name tells nobody anything
            raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path`` that takes its place at the end, with all that is in it; what was there goes."""
    path = path.resolve()
    with _new_folder(path) as part:
        yield part
        sync_tree(part)
        old = put_aside(part)
        for left in reversed(range(ATTEMPTS)):
            try:
                with suppress(FileNotFoundError):
                    path.rename(old)
                part.rename(path)
                break
            except BaseException as error:
                if isinstance(error, OSError) and error.errno in TAKEN and left:  # another program wrote it meanwhile
                    shutil.rmtree(old, ignore_errors=True)
                    continue
                if old.exists() and not path.exists():
                    old.rename(path)
                raise
        sync_folder(path.parent)
        shutil.rmtree(old, ignore_errors=True)  # only now: one of the two is always there


@contextmanager
def adding_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path`` that gets its name at the end, whole; one that another program made meanwhile stays."""
    with _new_folder(path) as part:
        yield part
        sync_tree(part)
        try:
            part.rename(path.resolve())
        except OSError as error:
            if error.errno not in TAKEN:
                raise
        sync_folder(path.parent)


@contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``; what is written there is not synced one by one, and errors name ``path``."""
    with temporary(path.resolve()) as part, synced_together():
        part.mkdir()
        try:
            yield part
        except OSError as error:
            if isinstance(error.filename, str):
                error.filename = error.filename.replace(str(part), str(path))
            raise


ATTEMPTS = 100
"""Times that a folder tries to take a place which other programs take, too."""
TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
"""Errors of renaming a folder to the name of another that holds something."""


MOST_ROWS = 1 << 20
"""Rows at most of a group of rows of a Parquet file."""
GROUP = 1 << 26
"""Bytes of the rows of a group, 64 MiB: a writer keeps a group in memory until it is whole."""


def write_columns(
    columns: Mapping[str, NDArray[Any]],
    path: Path,
    *,
    metadata: Mapping[str, str] | None = None,
    compression: Literal["zstd", "lz4"] = "zstd",
) -> None:
    """Write arrays of shape (n,) or (n, k) as the columns of one Parquet file; memory maps are read some rows at a time.

    Args:
        columns: By name.
        path: The file.
        metadata: Of the file.
        compression: ``lz4`` takes half the time, and a tenth more room.
    """
    arrays, encoding = {}, {}
    for name, values in columns.items():
        if values.ndim == 1:
            arrays[name] = arrow_of(values)
            leaf = name
        else:
            arrays[name] = pa.FixedSizeListArray.from_arrays(arrow_of(values.ravel()), values.shape[1])
            leaf = f"{name}.list.element"
        # Floats of a trace do not repeat, so Parquet's default dictionaries only cost; bytes split by place compress.
        if values.dtype.kind == "f":
            encoding[leaf] = "BYTE_STREAM_SPLIT"
        elif values.dtype.kind in "iu":
            encoding[leaf] = "DELTA_BINARY_PACKED"
    table = pa.table(arrays).replace_schema_metadata(dict(metadata or {}))
    width = sum(values.nbytes // max(1, len(values)) for values in columns.values())
    with replacing(path) as part:
        pq.write_table(
            table,
            part,
            row_group_size=max(1, min(MOST_ROWS, GROUP // max(1, width))),
            compression=compression,
            use_dictionary=False,
            column_encoding=encoding,
            write_page_checksum=True,
        )


def read_columns(path: Path, names: list[str] | None = None) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Columns by name, each (n,) or (n, k), and the file's metadata.

    Args:
        path: A file of ``write_columns``.
        names: The columns to read; None reads all.

    Raises:
        BadData: The file is missing, is no Parquet, lacks a column, or claims far more than it can hold.
    """
    with opened_parquet(path) as (file, schema):
        there = schema.names
        missing = [name for name in names or [] if name not in there]
        if missing:
            msg = f"{path} has no column '{missing[0]}'; it has: {', '.join(there)}"
            raise BadData(msg)
        check_table(path, file.metadata.num_rows, schema, names)
        table = file.read(columns=names, use_threads=file.metadata.num_rows > SMALL)  # threads cost a small file more
        metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
        columns = {name: column_of(table[name].combine_chunks()) for name in table.column_names}
    return columns, metadata


@contextmanager
def opened_parquet(path: Path) -> Iterator[tuple[pq.ParquetFile, pa.Schema]]:
    """A Parquet file and its schema, whose texts are read once each: a small file may repeat a long one without end.

    Raises:
        BadData: The file is missing or is no Parquet, or what is read there within this context is damaged.
    """
    check_regular(path)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        schema = file.schema_arrow  # which each asking makes anew
        texts = [field.name for field in schema if holds_texts(field.type)]
        if texts:
            file.close()
            file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, read_dictionary=texts)
            schema = file.schema_arrow
        with file:
            yield file, schema
    except (OSError, pa.ArrowException, UnicodeDecodeError, KeyError) as error:
        msg = f"{path} cannot be read as Parquet: {_reason(error)}; make it again"
        raise BadData(msg) from None


def column_names(path: Path) -> list[str]:
    """Names of the columns of a Parquet file, without reading them.

    Raises:
        BadData: The file is missing or is no Parquet.
    """
    return list(_footer(path).schema.to_arrow_schema().names)


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a Parquet file, without reading its columns.

    Raises:
        BadData: The file is missing or is no Parquet.
    """
    check_regular(path)
    try:
        return {key.decode(): value.decode() for key, value in (pq.read_schema(path).metadata or {}).items()}
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as Parquet: {_reason(error)}; make it again"
        raise BadData(msg) from None


def count_rows(path: Path) -> int:
    """Rows that a Parquet file claims to have, without reading them.

    Raises:
        BadData: The file is missing or is no Parquet.
    """
    return int(_footer(path).num_rows)


def _footer(path: Path) -> Any:  # noqa: ANN401 - pyarrow.parquet.FileMetaData
    """What a Parquet file says of itself at its end."""
    check_regular(path)
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as Parquet: {_reason(error)}; make it again"
        raise BadData(msg) from None


def write_json(value: Any, path: Path, *, sync: bool = True) -> None:  # noqa: ANN401 - what JSON holds
    """Write JSON for people: indented, keys in the order given, NaN refused; ``sync`` as ``replacing`` has it."""
    with replacing(path, sync=sync) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, *, mend: str = "make it again") -> Any:  # noqa: ANN401 - what JSON holds
    """What a JSON file holds.

    Raises:
        BadData: The file is missing or is no JSON; ``mend`` says what to do then.
    """
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_short)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; {mend}"
        raise BadData(msg) from None
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not JSON: {_first_line(error)}; {mend}"
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


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text[:20])


def _short(text: str) -> int:
    return int(text) if len(text) <= DIGITS else _no_constant(f"one of {len(text)} digits")


DIGITS = 100
"""Characters of the longest whole number in our records, such as a seed."""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _reason(error: Exception) -> str:
    """Why a file cannot be read; Arrow names the file again where it is the system that refuses."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else _first_line(error)
