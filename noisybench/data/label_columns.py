"""Label columns as people bring them → class indices and class names: only classes that occur or were declared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.classes import class_order, class_spelling, nobody_knows, only_wrong
from noisybench.ground.arrays import UNKNOWN, WRONG, Labels, as_array, as_labels
from noisybench.ground.checks import as_list, unknown
from noisybench.ground.errors import BadData

FEW = 20
"""Samples below which nothing is said of how many classes they have."""
MANY = 100
"""Classes above which numbers that few samples share are taken for a quantity, and classes of numbers are told."""
EXACT = 1 << 53
"""The largest whole number up to which a float holds every one."""
SIGNS = (-1, 1)
"""Labels of two classes, as they are often coded."""
_MISSING = np.iinfo(np.int64).min  # NaN among numbers, as -1 may be a class
MATRIX = 2
"""Dimensions of labels in rows."""


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """Indices into ``class_names`` of shape (n,), (n,) or None, and (m,) or None, and what is to be told of them."""

    class_names: tuple[str, ...]
    labels: Labels
    clean: Labels | None
    test_labels: Labels | None
    notes: tuple[str, ...] = ()


def label_columns(
    labels: Any,  # noqa: ANN401 - anything NumPy can read
    clean: Any = None,  # noqa: ANN401
    test_labels: Any = None,  # noqa: ANN401
    *,
    class_names: Sequence[str] | None = None,
    source: str,
) -> LabelColumns:
    """Class indices of all label columns of a source, and the names of its classes.

    With declared names, whole numbers are indices and texts are names. Without, the classes are those that occur, named
    as they are written, in the order of ``class_order``: labels 0, 1000, 2000 are three classes. Indices are not checked
    against declared names here; ``Source`` does it.

    Args:
        labels: Given labels, shape (n,) or (n, 1): whole numbers of any type, truths or texts.
        clean: Right labels, -1, NaN, None, an empty text or masked where nobody knows, -2 where the given label is known to be
            wrong and the right one is not; None where there are none at all.
        test_labels: Shape (m,), -1, NaN, None or an empty text where they are withheld.
        class_names: Declared names in index order; None where there are none.
        source: Name of the source, for messages.

    Raises:
        BadData: A column that holds no classes: fractions, ids, several labels a sample; a given label that is missing, or
            a test label that is no class of the training labels.
    """
    what = tuple(f"source '{source}': {words}" for words in ("labels", "clean labels", "test labels"))
    found, *others = (
        None if column is None else _column(column, words, required=words == what[0])
        for column, words in zip((labels, clean, test_labels), what, strict=True)
    )
    if found is None:
        msg = f"{what[0]} are missing; give one class a sample"
        raise BadData(msg)
    names = None if class_names is None else tuple(as_list(class_names, "class_names", "give a text for each class"))
    if any(column is not None and column.dtype.kind == "U" for column in (found, *others)):
        return _named(found, others, names, what)
    if names is None and np.array_equal(np.unique(found), SIGNS):
        return _signs(found, others, what)
    others = [None if column is None else _unknown(column) for column in others]
    if names is not None:
        return LabelColumns(names, found, others[0], others[1])
    return _numbered(found, others, what)


def _column(values: Any, what: str, *, required: bool) -> NDArray[Any]:  # noqa: ANN401
    """Shape (n,): int64, ``_MISSING`` where a number is missing, or texts, empty where one is."""
    if isinstance(values, np.ma.MaskedArray):
        hidden, values = np.ma.getmaskarray(values), values.data.astype(object)
        values[hidden] = None
    array = as_array(values, what=what)
    if array.ndim == MATRIX and array.shape[1] == 1:
        array = array[:, 0]
    numbers = array.ndim == MATRIX and array.dtype.kind in "biuf"
    if numbers and np.isin(array, (0, 1)).all() and (array.sum(1) > 1).any():
        row = int(np.flatnonzero(array.sum(1) > 1)[0])
        msg = (
            f"{what} give sample {row} several classes at once, shape {array.shape}; expected one class for each sample: "
            f"take one column, such as labels[:, 0]"
        )
        raise BadData(msg)
    if array.ndim == 1 and array.dtype.kind == "O":
        array = _without_gaps(array)
    if array.ndim == 1 and array.dtype.kind == "b":
        return np.where(array, "true", "false")
    if array.ndim == 1 and array.dtype.kind == "U":
        return array
    if array.ndim == 1 and array.dtype.kind == "f":
        return _whole(array, what, required=required)
    return as_labels(array, what=what)


def _without_gaps(array: NDArray[Any]) -> NDArray[Any]:
    """Objects that are texts, truths or numbers, as an array of these: empty or NaN where nothing is."""
    missing = np.array([_is_gap(entry) for entry in array], dtype=bool)
    there = array[~missing]
    if all(isinstance(entry, str) for entry in there):
        return np.where(missing, "", array).astype(np.str_)
    if all(isinstance(entry, bool | np.bool_) for entry in there):
        return np.array(["" if gap else str(bool(entry)).lower() for gap, entry in zip(missing, array, strict=True)])
    exact = all(isinstance(entry, int | np.integer) and abs(int(entry)) <= EXACT for entry in there)
    if exact or all(isinstance(entry, float | np.floating) for entry in there):
        return np.where(missing, np.nan, array).astype(np.float64)
    return array


def _is_gap(entry: Any) -> bool:  # noqa: ANN401 - whatever an array of objects holds
    """Whether an entry says that there is nothing: None, NaN, and pandas' NA, which compares with nothing."""
    try:
        return entry is None or bool(entry != entry)  # noqa: PLR0124 - NaN
    except TypeError:
        return True


def _whole(array: NDArray[Any], what: str, *, required: bool) -> Labels:
    """Whole numbers among floats, NaN as ``_MISSING``."""
    missing = np.isnan(array)
    if required and missing.any():
        raise _absent(np.flatnonzero(missing), what, "NaN")
    whole = np.where(missing, UNKNOWN, array).astype(np.float64)
    odd = np.flatnonzero((whole != np.floor(whole)) | (np.abs(whole) > EXACT))
    if odd.size:
        msg = (
            f"{what}[{odd[0]}] = {array[odd[0]]:g} is no whole number ({odd.size} such entries): that is a quantity, no "
            f"class; noisybench is of classes, so name or save the column of classes"
        )
        raise BadData(msg)
    return np.where(missing, _MISSING, whole.astype(np.int64))


def _unknown(column: Labels) -> Labels:
    """What is missing as ``UNKNOWN``."""
    return np.where(column == _MISSING, UNKNOWN, column)


def _named(
    given: NDArray[Any], others: Sequence[NDArray[Any] | None], declared: tuple[str, ...] | None, what: Sequence[str]
) -> LabelColumns:
    """Texts as the indices of the classes that they name; whole numbers among them as texts, or as declared indices."""
    columns = [given, *others]
    if declared is None:
        columns = [column if column is None or _is_text(column) else _as_text(column) for column in columns]
    first, *rest = (
        set(np.unique(column).tolist()) if column is not None and _is_text(column) else set() for column in columns
    )
    missing = {text for text in set().union(*rest) - first if nobody_knows(text, first)} | {""}
    wrong = {text for text in rest[0] - first if only_wrong(text, first)}
    if "" in first:
        raise _absent(np.flatnonzero(given == ""), what[0], "empty")
    classes = set().union(first, *rest) - missing - wrong
    if declared is None:
        spelling = class_spelling(sorted(classes))
        names = class_order(spelling.values())
        mixed = any(column is not None and not _is_text(column) and (column >= 0).any() for column in (given, *others))
        if mixed and not _are_numbers(names):
            msg = f"{what[0]} and the other label columns are partly texts, partly numbers; write all of them alike"
            raise BadData(msg)
        check_how_many(len(first), len(given), what[0], numbers=False)
    else:
        spelling, names = {text: text for text in classes}, declared
    index = {name: k for k, name in enumerate(names)}
    for text in sorted(classes):
        if spelling[text] not in index:
            msg = f"{what[0]}: {unknown(text, names, 'class')}"
            raise BadData(msg)
    values = (
        dict.fromkeys(missing, UNKNOWN)
        | dict.fromkeys(wrong, WRONG)
        | {text: index[spelling[text]] for text in classes}
    )
    found = [
        column if column is None else _replaced(column, values) if _is_text(column) else _unknown(column)
        for column in columns
    ]
    assert found[0] is not None  # noqa: S101
    return LabelColumns(names, found[0], found[1], found[2])


def _as_text(column: Labels) -> NDArray[np.str_]:
    """Whole numbers as they are written, empty where one is missing."""
    return np.where(column == _MISSING, "", column.astype(np.str_))


def _is_text(column: NDArray[Any]) -> bool:
    return column.dtype.kind == "U"


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name.removeprefix("-").isdecimal() for name in names)


def _replaced(column: NDArray[Any], values: dict[str, int]) -> Labels:
    """Each text's value, shape (n,)."""
    distinct, where = np.unique(column, return_inverse=True)
    return np.array([values[text] for text in distinct.tolist()], dtype=np.int64)[where]


def _numbered(labels: Labels, others: Sequence[Labels | None], what: Sequence[str]) -> LabelColumns:
    """Whole numbers as the indices of the classes that occur, which their numbers name."""
    clean, test_labels = others
    absent = np.flatnonzero(labels < 0)
    if absent.size:
        raise _absent(absent, what[0], str(labels[absent[0]]))
    known = labels if clean is None else np.concatenate([labels, clean[clean >= 0]])
    present = np.unique(known)
    if test_labels is not None and len(present):
        outside = np.flatnonzero((test_labels > present[-1]) | ((test_labels < present[0]) & (test_labels != UNKNOWN)))
        if outside.size:
            msg = (
                f"{what[2]}[{outside[0]}] = {test_labels[outside[0]]} is no class of the training samples, whose labels "
                f"are {present[0]}..{present[-1]} ({outside.size} such entries); number the classes of both alike"
            )
            raise BadData(msg)
        present = np.union1d(present, test_labels[test_labels >= 0])
    check_how_many(len(np.unique(labels)), len(labels), what[0], numbers=True)
    names = tuple(str(number) for number in present.tolist())
    notes = []
    if len(names) > MANY:
        notes.append(f"{what[0]} are {len(names)} different numbers, each taken for a class")
    if not np.array_equal(present, np.arange(len(present))):
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")  # noqa: PLR2004
        notes.append(
            f"{what[0]} are not 0..k-1: the {len(names)} numbers that occur are the classes, named by them: {some}"
        )
    found = [None if column is None else _indices(column, present) for column in (labels, clean, test_labels)]
    assert found[0] is not None  # noqa: S101
    return LabelColumns(names, found[0], found[1], found[2], tuple(notes))


def _signs(labels: Labels, others: Sequence[Labels | None], what: Sequence[str]) -> LabelColumns:
    """Labels -1 and +1 as two classes; -1 is then no unknown label in any column.

    Raises:
        BadData: Another column has another class.
    """
    found: list[Labels | None] = []
    for column, words in zip(others, what[1:], strict=True):
        if column is None:
            found.append(None)
            continue
        known = np.isin(column, SIGNS)
        odd = np.flatnonzero(~known & (column != _MISSING) & (column != WRONG))
        if odd.size:
            msg = (
                f"{words}[{odd[0]}] = {column[odd[0]]} is no class of the training samples, whose labels are -1 and 1 "
                f"({odd.size} such entries); write the labels as texts, empty where nobody knows"
            )
            raise BadData(msg)
        found.append(np.where(known, column > 0, np.where(column == WRONG, WRONG, UNKNOWN)))
    note = f"{what[0]} are -1 and 1, which are the two classes; -1 means in no column that nobody knows"
    return LabelColumns(("-1", "1"), (labels > 0).astype(np.int64), found[0], found[1], (note,))


def _indices(column: Labels, present: Labels) -> Labels:
    """Where each number stands among those present; what is below zero stays."""
    return np.where(column < 0, column, np.searchsorted(present, column))


def _absent(rows: NDArray[np.intp], what: str, value: str) -> BadData:
    """The error for samples without a given label."""
    return BadData(
        f"{what}[{rows[0]}] is {value}, which is no class ({rows.size} such entries); leave out samples without a label, "
        f"and number classes from 0"
        + ("" if value in ("NaN", "empty") else f", or write them as texts if {value} is a class")
    )


def check_how_many(classes: int, n: int, what: str, *, numbers: bool) -> None:
    """Raise ``BadData`` for a column of ids or of a quantity.

    Args:
        classes: Different values.
        n: Training samples.
        what: Whose values they are, for messages.
        numbers: Whether all are whole numbers.
    """
    if n >= FEW and (classes > n / 2 or (numbers and classes > MANY and classes > n / 3)):
        msg = (
            f"{what} hold {classes} different values among {n} samples: those are ids or a quantity, no classes; name or "
            f"save the column of classes, or declare them (class_names, ClassLabel)"
        )
        raise BadData(msg)
