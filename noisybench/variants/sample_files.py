"""Numbers of anyone's file: scores or class probabilities, matched by sample. No torch here, and nothing is unpickled."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from noisybench.ground.arrays import TOLERANCE, Floats, as_labels, check_probabilities, read_only
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import NO_ARRAY, read_array
from noisybench.variants.variant import Variant

Form = Literal["scores", "pred_probs"]
"""What a file holds: one number a sample, or a probability for each class."""
SAMPLE, VARIANT_ID = "sample", "variant_id"
LABELS = ("labels", "label", "given_labels", "noisy_labels")
"""Names under which a file may say with which labels it was made."""

Columns = dict[str, NDArray[Any]]
Choose = Callable[[Sequence[str]], list[str]]  # of the columns that there are, those to read


def read_given(path: str | Path, variant: Variant, form: Form, *, of_clean: bool = False) -> Floats:
    """Scores (n,), or probabilities (n, k), of a ``.npz``, ``.npy``, ``.csv`` or ``.parquet`` file, in sample order.

    Tables have a column ``sample`` with the ids 0..n-1, each once, in any order; arrays may have one, and are in sample
    order otherwise. Scores are called ``score`` or ``scores``; probabilities are one array or list column
    ``pred_probs`` or ``probabilities``, or a column a class, called by its name, ``0..k-1`` or ``p0..``. What stands
    alone may be called anything. Where the file says by ``variant_id``, or by the given ``labels``, of which labels it
    is, these must be the variant's.

    Args:
        path: The file.
        variant: The labels that it is of.
        form: What to read from it.
        of_clean: Labels in it may also be the variant's clean ones.

    Raises:
        BadUsage: The file's name ends in something else.
        BadData: It cannot be read, or a value is no score or no probability.
        Mismatch: It is of other labels.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        msg = f"{path} is no {', '.join(READERS)} file; save the {_words(form)} as one of these"
        raise BadUsage(msg)
    n = len(variant.labels)
    columns = READERS[path.suffix.lower()](path, lambda there: _choose(there, form, variant, path), variant)
    for found in np.unique(columns.pop(VARIANT_ID, np.array([], dtype=str)).astype(str)):
        if found != variant.provenance.variant_id:
            msg = f"{path} is of variant {found[:12]!r}, the labels are of {variant.provenance.variant_id[:12]}"
            raise Mismatch(msg)
    order = _order(columns.pop(SAMPLE), n, path) if SAMPLE in columns else np.arange(n)
    for name, column in columns.items():
        if column.shape[:1] != (n,):
            msg = f"{name!r} of {path} has shape {column.shape}, expected {n} rows: one for each sample of the variant"
            raise BadData(msg)
    for given in [columns.pop(name) for name in LABELS if name in columns]:
        _check_labels(given[order], variant, path, of_clean=of_clean)
    wrong = [name for name, column in columns.items() if column.dtype.kind not in "fiub"]
    if wrong:
        msg = f"{wrong[0]!r} of {path} holds {columns[wrong[0]].dtype}, expected numbers"
        raise BadData(msg)
    values = next(iter(columns.values())) if len(columns) == 1 else np.stack(list(columns.values()), axis=1)
    expected = (n,) if form == "scores" else (n, variant.num_classes)
    if values.shape != expected:
        other = "pred-probs" if form == "scores" else "scores"
        hint = f"; say --{other} if it is these" if values.ndim == 3 - len(expected) else ""
        msg = f"{_words(form)} in {path} have shape {values.shape}, expected {expected}{hint}"
        raise BadData(msg)
    values = values[order].astype(np.float64)
    _check_finite(values, form, path)
    if form == "pred_probs":
        _check_probabilities(values, path)
    return read_only(values)


def _choose(there: Sequence[str], form: Form, variant: Variant, path: Path) -> list[str]:
    """The names of the values, by class where there is one for each, and then of what says whose they are."""
    k = range(variant.num_classes)
    options: Sequence[Sequence[str]] = (("score",), ("scores",))
    if form == "pred_probs":
        by_class = (variant.class_names, [f"{j}" for j in k], [f"p{j}" for j in k])
        options = (("pred_probs",), ("probabilities",), *by_class)
    about = [name for name in (SAMPLE, VARIANT_ID, *LABELS) if name in there]
    rest = [name for name in there if name not in about]
    if len(rest) == 1:
        options = (*options, rest)
    values = next((list(option) for option in options if set(option) <= set(rest)), None)
    if values is None:
        wanted = "'score'" if form == "scores" else f"'pred_probs', nor one for each of {len(k)} classes"
        shown = [name if name.isprintable() else repr(name) for name in there]
        had = ", ".join(shown[:20]) + (", …" if len(there) > 20 else "")  # noqa: PLR2004 - what a sentence bears
        msg = f"{path} has nothing called {wanted}; it has: {had or 'nothing'}"
        raise BadData(msg)
    doubled = [name for name in (*values, *about) if there.count(name) > 1]
    if doubled:
        msg = f"{path} has {doubled[0]!r} {there.count(doubled[0])} times; expected it once"
        raise BadData(msg)
    return [*values, *about]


def _choose_by_sample(there: Sequence[str], choose: Choose, path: Path) -> list[str]:
    """As ``choose``, of a table, whose rows may have come in any order."""
    if SAMPLE not in there:
        msg = f"{path} has no column '{SAMPLE}', by which its rows are matched; add the ids 0..n-1"
        raise BadData(msg)
    return choose(there)


def _read_npy(path: Path, choose: Choose, variant: Variant) -> Columns:
    (name,) = choose(["array"])
    _check_size(path, "it", _size_of(path), variant)
    return {name: read_array(path)}


def _read_npz(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen arrays of an archive; only those are read, and none is unpickled."""
    _size_of(path)
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
    """The chosen columns of a CSV file with a header, a block at a time."""
    _size_of(path)
    n = len(variant.labels)
    with _reading(path, "CSV"):
        with csv.open_csv(path) as reader:
            chosen = _choose_by_sample(reader.schema.names, choose, path)
        kinds = {name: pa.float64() for name in chosen} | dict.fromkeys((SAMPLE, *LABELS), pa.int64())
        kinds[VARIANT_ID] = pa.string()
        convert = csv.ConvertOptions(include_columns=chosen, column_types=kinds, null_values=[""])
        batches, rows = [], 0
        with csv.open_csv(path, convert_options=convert) as reader:
            for batch in reader:
                batches.append(batch)
                rows += len(batch)
                if rows > n:  # and perhaps many more
                    break
            schema = reader.schema
        return _columns(pa.Table.from_batches(batches, schema), chosen)


def _read_parquet(path: Path, choose: Choose, variant: Variant) -> Columns:
    """The chosen columns of a Parquet file, a group of rows at a time."""
    _size_of(path)
    n = len(variant.labels)
    with _reading(path, "Parquet"):
        texts = [VARIANT_ID] if VARIANT_ID in pq.read_schema(path).names else []  # one many times over is kept once
    with (
        _reading(path, "Parquet"),
        pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file,
    ):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        chosen = _choose_by_sample(schema.names, choose, path)
        most = rows
        for name in chosen:
            kind = schema.field(name).type
            if _is_list(kind):
                kind = kind.value_type
                most = max(most, _numbers_in(file, name))
            number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
            if not number and name != VARIANT_ID:
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
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
        if missing:
            msg = f"{missing} values of {name!r} are missing"
            raise pa.ArrowInvalid(msg)
    return columns


def _size_of(path: Path) -> int:
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


# Checking


def _order(ids: NDArray[Any], n: int, path: Path) -> NDArray[np.int64]:
    """Row of each sample, shape (n,)."""
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        msg = f"'{SAMPLE}' of {path} must be whole numbers of shape (n,), got {ids.dtype} of shape {ids.shape}"
        raise BadData(msg)
    unknown = ids[(ids < 0) | (ids >= n)]
    if unknown.size:
        msg = f"sample {unknown[0]} of {path} is none of the variant's 0..{n - 1} ({unknown.size} such rows)"
        raise BadData(msg)
    ids = ids.astype(np.int64)
    counts = np.bincount(ids, minlength=n)
    for found, words in ((counts > 1, "stands there more than once"), (counts == 0, "is missing")):
        if found.any():
            msg = f"{path} must have each sample once: sample {found.argmax()} {words} ({found.sum()} such samples)"
            raise BadData(msg)
    return np.argsort(ids)


def _check_labels(given: NDArray[Any], variant: Variant, path: Path, *, of_clean: bool) -> None:
    known = variant.class_known
    if of_clean and known.any() and np.array_equal(given[known], variant.clean[known]):
        return
    labels = as_labels(given, what=f"labels in {path}")
    odd = np.flatnonzero(labels != variant.labels)
    if odd.size:
        i = odd[0]
        msg = (
            f"{path} was made with other labels: {odd.size} of {len(labels)} are not the variant's, the first of sample "
            f"{i} ({labels[i]}, not {variant.labels[i]}); score the labels of this variant"
        )
        raise Mismatch(msg)


def _check_finite(values: Floats, form: Form, path: Path) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if bad.size:
        count = len(np.unique(bad[:, 0]))
        msg = (
            f"{_words(form)} in {path} must be finite, sample {bad[0, 0]} has {values[tuple(bad[0])]} "
            f"({count} such samples)"
        )
        raise BadData(msg)


def _check_probabilities(values: Floats, path: Path) -> None:
    bad = np.argwhere((values < 0) | (values > 1 + TOLERANCE))
    if bad.size:
        i, j = bad[0]
        logarithms = (values <= 0).all() and (np.abs(np.exp(values).sum(1) - 1) <= TOLERANCE).all()
        mend = "logarithms of them: give their exponential" if logarithms else "logits: give their softmax"
        msg = (
            f"{values[i, j]:g} of sample {i}, class {j}, in {path} is no probability "
            f"({len(np.unique(bad[:, 0]))} such samples); these look like {mend}"
        )
        raise BadData(msg)
    check_probabilities(values, len(values), what=f"{path}: probabilities")


def _words(form: Form) -> str:
    return "scores" if form == "scores" else "probabilities"
