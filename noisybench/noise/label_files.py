"""Label columns of files that were released with a paper: found by name, read without unpickling, checked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import ArrowInvalid, csv, string

from noisybench.ground.arrays import Labels, as_labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import NO_ARRAY
from noisybench.ground.npy import read_array
from noisybench.noise.pickled_arrays import read_saved_arrays
from noisybench.variants.sample_files.column_names import ids_among
from noisybench.variants.sample_files.ids import order_of
from noisybench.variants.sample_files.text_readers import Columns, delimiter_of

GIVEN = (
    "label_noisy", "noisy_label", "noisy_labels", "noise_label", "noise_labels", "noise_label_train", "noisy",
    "given_label", "given_labels",
)  # fmt: skip
"""Names of the labels that were released, the first that is there."""
CLEAN = (
    "clean_label", "clean_labels", "label_clean", "clean_label_train", "clean", "true_label", "true_labels", "label",
    "labels",
)  # fmt: skip
"""Names of the labels that they were made from, the first that is there beside the others."""
ALONE = "labels"
"""Name of the one array of a file that gives it none."""

FEWEST = 20
"""Rows of which texts that mostly differ are no classes; fewer may differ by chance."""
MOST_BYTES = 1 << 28
"""Bytes of an array that may be a column of labels: 33 million of them."""


def read_label_file(path: Path) -> Columns:
    """The columns of a file ``.npy``, ``.npz``, ``.csv``, ``.tsv`` or ``.pt``, by name.

    Raises:
        BadUsage: A file of another kind.
        BadData: It is missing, damaged, or holds something else than arrays.
    """
    readers: dict[str, Callable[[Path], Columns]] = {
        ".npy": lambda place: {ALONE: read_array(place)},
        ".npz": _read_npz,
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".pt": _read_pt,
    }
    if path.suffix.lower() not in readers:
        msg = f"a file of labels is a {', '.join(readers)} file, got '{path.name}'"
        raise BadUsage(msg)
    return readers[path.suffix.lower()](path)


def _read_npz(path: Path) -> Columns:
    """The arrays of one dimension, or of one column, and no others: a file may hold images beside them."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as opened:
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in opened.zip.infolist()}
            found = {name: opened[name] for name in opened.files if sizes.get(name, 0) <= MOST_BYTES}
    except NO_ARRAY as error:
        reason = getattr(error, "strerror", None) or "it is damaged, no .npz file, or holds Python objects"
        msg = f"{path} cannot be read: {reason}; save it again as arrays of numbers"
        raise BadData(msg) from None
    arrays = {name: values for name, values in found.items() if isinstance(values, np.ndarray)}
    return {name: values for name, values in arrays.items() if values.ndim and values.size == len(values)}


def _read_csv(path: Path) -> Columns:
    """Every column as texts."""
    try:
        parse = csv.ParseOptions(delimiter=delimiter_of(path))
        with csv.open_csv(path, parse_options=parse) as reader:
            names = reader.schema.names
        if len(set(names)) < len(names):
            msg = f"{path} has two columns of one name; it has: {', '.join(names)}"
            raise BadData(msg)
        if len(names) == 1:  # a gap is a sample without a label, not a line to skip
            parse.ignore_empty_lines = False
        convert = csv.ConvertOptions(column_types=dict.fromkeys(names, string()), strings_can_be_null=False)
        table = csv.read_csv(path, parse_options=parse, convert_options=convert)
    except (OSError, ArrowInvalid, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        msg = f"{path} cannot be read as CSV: {reason}"
        raise BadData(msg) from None
    return {name: np.array(table[name].to_pylist(), dtype=str) for name in names}


def _read_pt(path: Path) -> Columns:
    mend = "save its labels as .npz or .csv"
    found = read_saved_arrays(
        path, what="a file of arrays or tensors of numbers, as torch.save writes since 1.6", mend=mend
    )
    return {str(name): values for name, values in found.items()} if isinstance(found, dict) else {ALONE: found}


def name_columns(columns: Columns, path: Path, label: str | None, clean: str | None) -> tuple[str, str | None]:
    """Which column holds the given labels, and which the clean ones, None where none does.

    Args:
        columns: Of the file.
        path: The file, for messages.
        label: Said to hold the given labels; None: the one of a usual name, or the only one.
        clean: Said to hold the clean ones; None: the one of a usual name, as ``x_clean_y`` goes with ``x_noisy_y``.

    Raises:
        BadUsage: A column that was said is not there, or it is not clear which one is meant.
    """
    there = list(columns)
    for key, name in (("label", label), ("clean", clean)):
        if name is not None and name not in columns:
            msg = f"{path} has no {key}={name}; it has: {_listed(there)}"
            raise BadUsage(msg)
    if label is None:
        rest = [
            name
            for name in there
            if name not in (clean, ids_among(there, named=True)) and not _are_texts(columns[name])
        ]
        usual = [name for name in GIVEN if name in rest]
        others = [name for name in rest if name not in CLEAN] if len(rest) > 1 else rest
        if not usual and len(others) != 1:
            msg = (
                f"{path} has several columns, say which holds the given labels: --set label=…; it has: {_listed(there)}"
            )
            raise BadUsage(msg)
        label = usual[0] if usual else others[0]
    if label == clean:
        msg = f"label={label} and clean={clean} are one column; give the given labels and those they were made from"
        raise BadUsage(msg)
    pairs = ["clean".join(label.rsplit(noisy, most)) for noisy in ("noisy", "noise", "given") for most in (-1, 1)]
    names = [*pairs, *CLEAN]
    return label, clean or next((name for name in names if name in columns and name != label), None)


def _are_texts(column: NDArray[Any]) -> bool:
    """Whether a column holds another text in most of its rows, such as what was labelled, so no classes."""
    return column.dtype.kind == "U" and len(column) >= FEWEST and 2 * len(np.unique(column)) > len(column)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:30]) + (", …" if len(names) > 30 else "")  # noqa: PLR2004 - what a sentence bears


def in_order(
    columns: Columns, but: Sequence[str | None], path: Path, names: Sequence[str] | None = None, *, prefix: bool = False
) -> Columns:
    """The columns with their rows by the ids that one of them holds, or by names of samples; as they are where none does.

    Args:
        columns: Of the file.
        but: Names of something else.
        path: The file, for messages.
        names: What people call each sample, shape (n,); None where they have no names.
        prefix: Whether the samples are the first of more, which the file may have too.

    Raises:
        BadData: The ids are neither 0, 1, 2 and so on nor the names of the samples, each once.
    """
    name = ids_among(list(columns), [each for each in but if each is not None], named=names is not None)
    if name is None:
        return columns
    ids = columns[name]
    if names is not None and ids.ndim == 1:
        known = {*names}
        called = np.array([str(text) in known for text in ids.tolist()], dtype=bool)
        if (ids.dtype.kind == "U" and not all(text.isdecimal() for text in ids.tolist())) or called.all():
            rows = np.flatnonzero(called) if prefix and called.sum() == len(names) else np.arange(len(ids))
            order = rows[order_of(ids[rows], name, len(names), path, names)]
            return {each: column[order] for each, column in columns.items() if len(column) == len(ids)}
    if ids.dtype.kind == "U" and all(text.isdecimal() and len(text) < 16 for text in ids.tolist()):  # noqa: PLR2004 - int64
        ids = ids.astype(np.int64)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not np.array_equal(np.sort(ids), np.arange(len(ids))):
        msg = f"{name!r} of {path} must hold the ids 0..{len(ids) - 1}, each once; leave it out where the rows are in order"
        raise BadData(msg)
    order = np.argsort(ids)
    return {each: column[order] for each, column in columns.items() if len(column) == len(order)}


def numbered(column: NDArray[Any], class_names: Sequence[str], what: str) -> Labels:
    """A column as classes, shape (n,): whole numbers, texts of them, or the names of the classes.

    Raises:
        BadData: It holds something else.
    """
    if column.ndim == 2 and column.shape[1] == 1:  # noqa: PLR2004 - a column
        column = column[:, 0]
    if column.dtype.kind == "U":
        texts, where = np.unique(column, return_inverse=True)
        by_name = {name: j for j, name in enumerate(class_names)}
        if all(str(text) in by_name for text in texts):
            return np.array([by_name[str(text)] for text in texts], np.int64)[where]
        try:
            column = np.array([float(text) for text in texts])[where]
        except ValueError:
            odd = next(i for i, text in enumerate(column.tolist()) if text not in by_name)
            msg = f"{what}[{odd}] = {str(column[odd])[:40]!r} is neither a number nor one of the classes {_listed(class_names)}"
            raise BadData(msg) from None
    if column.dtype.kind == "f" and np.isfinite(column).all() and (column == np.rint(column)).all():
        column = column.astype(np.int64)
    return as_labels(column, what=what)
