"""Columns of one's own table → features: gaps filled, numbers standardised, a column for each class of a category."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.tables.column_kinds import GAP, UNSEEN, ColumnKind, entries, kind_of, odd_entry, values_of
from noisybench.data.tables.column_roles import NUMBERED, SPLIT, counts_rows, name_parts
from noisybench.ground.arrays import Features, Floats
from noisybench.ground.errors import BadData, BadUsage

MOST_CLASSES = 100
"""Columns that a category becomes, at most: its commonest classes, and one for all others."""
_NAMED = 8  # columns that a sentence names


@dataclass(frozen=True, slots=True)
class Choices:
    """What is said of columns, whatever they hold, see ``Table``."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    date_format: str | None = None
    scale: bool = True
    gaps: Literal["fill", "refuse"] = "fill"
    decimal: str = "."

    def wish(self, name: str) -> Literal["number", "category"] | None:
        """What a column is taken for."""
        return "number" if name in self.numbers else "category" if name in self.categories else None


@dataclass(frozen=True, slots=True)
class FeatureColumns:
    """The training rows of the columns that become features.

    Attributes:
        kinds: What each holds.
        values: Its entries as numbers, shape (n,), see ``column_kinds.values_of``.
        out: Columns that are none after all, and why.
        texts: Those among ``out`` that are texts.
    """

    kinds: Mapping[str, ColumnKind]
    values: Mapping[str, Floats]
    out: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


def feature_columns(columns: Mapping[str, Any], file: Path, choices: Choices, *, chosen: bool) -> FeatureColumns:
    """What the training rows of columns hold.

    Args:
        columns: Arrow columns by name.
        file: Where they are from, for messages.
        choices: What is said of them.
        chosen: Whether nobody named them: then those are left out that say nothing, or another thing in each row.

    Raises:
        BadData: Entries that are not what their column is, or texts that were named as features.
        BadUsage: A format of dates that no column has.
    """
    found = {name: entries(column, name, file) for name, column in columns.items()}
    kinds = {
        name: kind_of(column, wish=choices.wish(name), decimal=choices.decimal, date_format=choices.date_format)
        for name, column in found.items()
    }
    texts = tuple(name for name, kind in kinds.items() if kind.form in ("text", "id"))
    if texts and not chosen:
        msg = (
            f"column '{texts[0]}' of {file} has another text in nearly every row, which is no feature; text={texts[0]} "
            f"makes features of its words, categories={texts[0]} a column of each of its commonest entries"
        )
        raise BadData(msg)
    wanted = choices.date_format
    if wanted is not None and all(kind.written != wanted for kind in kinds.values()):
        msg = f"no column of {file} holds dates written as date_format={wanted}; %d.%m.%Y is such as 31.12.2024"
        raise BadUsage(msg)
    values = _values({name: column for name, column in found.items() if name not in texts}, kinds, file)
    out = {name: f"{'texts' if kinds[name].form == 'text' else 'another text'} in nearly every row" for name in texts}
    if chosen:
        for name, column in values.items():
            if name not in (*choices.numbers, *choices.categories) and (why := _why_not(column, kinds[name])):
                out[name] = why
    kept = {name: kind for name, kind in kinds.items() if name not in out}
    words = tuple(name for name in texts if kinds[name].form == "text")
    return FeatureColumns(kept, {name: values[name] for name in kept}, out, words)


def _why_not(values: Floats, kind: ColumnKind) -> str:
    """Why a column says nothing; empty where it does."""
    gaps = np.isnan(values) | (values == GAP if kind.form == "category" else False)
    if gaps.all():
        return "empty"
    if len(values) > 1 and not gaps.any() and values.min() == values.max():
        return "the same in every row"
    if kind.form == "category" and name_parts(kind.classes):
        return SPLIT
    return NUMBERED if kind.form == "number" and counts_rows(values) else ""


def _values(columns: Mapping[str, Any], kinds: Mapping[str, ColumnKind], file: Path) -> dict[str, Floats]:
    """Entries as numbers, once all are what their columns are."""
    found = {name: values_of(column, kinds[name], name, file) for name, column in columns.items()}
    odd = [name for name, values in found.items() if values is None]
    if odd:
        name = odd[0]
        others = f"; such columns are: {', '.join(odd)}" if len(odd) > 1 else ""
        msg = (
            f"{odd_entry(columns[name], kinds[name], name, file)}{others}; leave it empty where there is none, or say "
            f"--source-set categories={name} (its entries are classes) or leave_out={name}"
        )
        raise BadData(msg)
    return {name: values for name, values in found.items() if values is not None}


def table_features(
    train: FeatureColumns, tested: Mapping[str, Any] | None, files: Sequence[Path], choices: Choices
) -> tuple[Features, Features | None, list[str]]:
    """Features of training and test rows, (n, d) and (m, d), and what was done, a sentence for each kind of column.

    Numbers and dates take the median of the training rows where there is none, and are standardised by their mean and
    deviation; truths are 1 and 0; a category is a 0/1 column for each of its classes, a gap being one; a last 0/1 column for
    each of the others with gaps says where they were. Nothing is learnt from test rows: an unseen class is all zero, or one
    of the rare ones.

    Args:
        train: Of the training rows.
        tested: Arrow columns of the test rows, by name; None where there are none.
        files: Of the training and of the test rows.
        choices: What is said of columns.

    Raises:
        BadData: A test entry that is not what its column is, or a gap where they are refused.

    Source: scikit-learn's SimpleImputer, StandardScaler and OneHotEncoder. The mean and deviation are rounded, so that
    features do not depend on the order in which a machine adds numbers.
    """
    names = list(train.kinds)
    test = None
    if tested is not None:
        test = _values({name: entries(tested[name], name, files[1]) for name in names}, train.kinds, files[1])
    parts = [part for part in (train.values, test) if part is not None]
    if choices.gaps == "refuse":
        for part, file in zip(parts, files, strict=False):
            _check_no_gaps(part, train.kinds, file)
    tables = [np.column_stack([part[name] for name in names]) for part in parts]
    filled, marks = _filled(tables, [k for k, name in enumerate(names) if train.kinds[name].form != "category"])
    found = _transformed(filled, marks, [train.kinds[name].form for name in names], scale=choices.scale)
    notes = [*_notes(train, choices), *_gaps(parts, train.kinds), *_unseen(test, train)]
    return found[0], found[1] if len(found) > 1 else None, notes


def _filled(tables: Sequence[Floats], measured: Sequence[int]) -> tuple[list[Floats], list[Floats]]:
    """Tables without gaps in some columns, and 0/1 columns of where the training table (the first) had them."""
    from sklearn.impute import SimpleImputer

    gappy = [k for k in measured if any(np.isnan(table[:, k]).any() for table in tables)]
    if not gappy:  # most tables; a median of many rows takes its time
        return list(tables), [table[:, :0] for table in tables]
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True).fit(tables[0][:, gappy])
    filled, marks = [], []
    for table in tables:
        found = imputer.transform(table[:, gappy])
        whole = table.copy()
        whole[:, gappy] = found[:, : len(gappy)]
        filled.append(whole)
        marks.append(found[:, len(gappy) :])
    return filled, marks


def _transformed(
    tables: Sequence[Floats], marks: Sequence[Floats], forms: Sequence[str], *, scale: bool
) -> list[Features]:
    """Numbers, truths, categories and marks, in this order, as the first table has them."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, truths, categories = (
        [k for k, form in enumerate(forms) if form in which]
        for which in (("number", "date"), ("truth",), ("category",))
    )
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MOST_CLASSES, sparse_output=False, dtype=np.float32
    )
    transformer = ColumnTransformer(
        [
            ("numbers", StandardScaler() if scale else "passthrough", numbers),
            ("truths", "passthrough", truths),
            ("categories", encoder, categories),
            ("gaps", "passthrough", [len(forms) + k for k in range(marks[0].shape[1])]),
        ],
        sparse_threshold=0,
    )
    whole = [np.hstack([table, mark]) for table, mark in zip(tables, marks, strict=True)]
    transformer.fit(whole[0])
    if scale and numbers:
        scaler = transformer.named_transformers_["numbers"]
        digits, power = np.frexp(scaler.scale_)
        scaler.scale_ = np.ldexp(np.round(digits * 2**24) / 2**24, power)
        step = scaler.scale_ / 2**20
        scaler.mean_ = np.round(scaler.mean_ / step) * step
    return [transformer.transform(table).astype(np.float32) for table in whole]


def _check_no_gaps(values: Mapping[str, Floats], kinds: Mapping[str, ColumnKind], file: Path) -> None:
    """Raise ``BadData`` where there is a gap."""
    for name, kind in kinds.items():
        bad = np.flatnonzero(_is_gap(values[name], kind))
        if bad.size:
            msg = f"column '{name}' of {file} has no entry in row {bad[0]} ({bad.size} such rows); fill or drop them, or leave gaps=refuse out"
            raise BadData(msg)


def _is_gap(values: Floats, kind: ColumnKind) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = values == GAP if kind.form == "category" else np.isnan(values)
    return found


def _notes(train: FeatureColumns, choices: Choices) -> list[str]:
    """What was done with each kind of column, a sentence each."""
    of = {
        form: [name for name, kind in train.kinds.items() if kind.form == form]
        for form in ("number", "date", "truth", "category")
    }
    said = []
    if of["number"] and choices.scale:
        how = "scale=false leaves them as they are, categories=A,B takes codes as classes"
        said.append(f"numbers, standardised by the training rows: {_some(of['number'])}; {how}")
    if of["date"]:
        written = _some(of["date"], lambda name: train.kinds[name].written)
        said.append(f"dates, in days since 1970: {written}; date_format=%d/%m/%Y names another way to write them")
    if of["truth"]:
        said.append(f"true or false, as 1 and 0: {_some(of['truth'])}; categories=A,B takes them as classes")
    if of["category"]:
        classes = _some(of["category"], lambda name: f"{len(train.kinds[name].classes)}")
        many = any(len(train.kinds[name].classes) > MOST_CLASSES for name in of["category"])
        rare = f", of more than {MOST_CLASSES} the rarest share one" if many else ""
        how = "numbers=A,B and leave_out=A,B say otherwise"
        said.append(f"categories, a 0/1 column for each class{rare}: {classes}; {how}")
    return said


def _gaps(parts: Sequence[Mapping[str, Floats]], kinds: Mapping[str, ColumnKind]) -> list[str]:
    """What was done with gaps."""
    many = {name: sum(int(_is_gap(part[name], kind).sum()) for part in parts) for name, kind in kinds.items()}
    gappy = [name for name, count in many.items() if count]
    if not gappy:
        return []
    words = _some(gappy, lambda name: f"{many[name]}")
    filled = "numbers, dates and truths take the median, and a 0/1 column says where; of categories a gap is a class"
    return [f"gaps in {words}: {filled}; gaps=refuse stops at them"]


def _unseen(test: Mapping[str, Floats] | None, train: FeatureColumns) -> list[str]:
    """Classes that only test rows have."""
    many = {
        name: int((values == UNSEEN).sum())
        for name, values in (test or {}).items()
        if train.kinds[name].form == "category"
    }
    found = [name for name, count in many.items() if count]
    if not found:
        return []
    return [
        f"test rows have classes of {_some(found, lambda name: f'{many[name]} rows')} that no training row has: none of its columns is 1, or that of the rare ones"
    ]


def _some(names: Sequence[str], detail: Callable[[str], str] | None = None) -> str:
    """The first names, with a detail each."""
    words = [f"'{name}'" + (f" ({detail(name)})" if detail else "") for name in names[:_NAMED]]
    return ", ".join(words) + (f" and {len(names) - _NAMED} more columns" if len(names) > _NAMED else "")
