"""What the columns of one's own table hold: numbers, dates, truths, categories or texts, and their entries as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from noisybench.data.classes import class_spelling
from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData

Holds = Literal["number", "date", "truth", "category", "text", "id"]

GAPS = ("", "?", "-", "--", ".", "None", "none", "NONE", "<NA>", "NaT", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!",
        *sorted(set(csv.ConvertOptions().null_values) - {""}))  # fmt: skip
"""Entries of a feature that mean that there is none."""
GAP, UNSEEN = -1.0, -2.0
"""Codes of a category: of a gap, and of a class that no training row has."""
ISO, DAY_FIRST, MONTH_FIRST = "ISO 8601", "%d/%m/%Y", "%m/%d/%Y"

_DATES = (
    "%Y/%m/%d",
    "%d.%m.%Y",
    MONTH_FIRST,
    DAY_FIRST,
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%b %d %Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DAY = 86_400_000_000  # microseconds
_SAMPLE = 100  # different entries that tell how dates are written
_FEW = 20  # entries of which most may differ by chance; different numbers above which a column is one of numbers
_WORDS, _LETTERS = 3, 30  # on average, of an entry that is a text and no name
_TRUTHS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})
_TRUE = pa.array(["true", "yes", "t", "y"])
_LIKE_NUMBERS = r"^[-+]?(\d{1,3}([.,]\d{3})*|\d+)([.,]\d+)?$"  # whatever the decimal sign
_THOUSANDS = r"^[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?$"


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """What the training rows tell of a column.

    Attributes:
        form: Numbers, dates, truths or categories; ``text`` and ``id`` have another text in nearly every row, an id being
            of one word with digits.
        written: How numbers (their decimal sign) or dates (a format of ``strptime``) are written.
        classes: Of a category, by code points.
    """

    form: Holds
    written: str = ""
    classes: tuple[str, ...] = ()


def entries(column: Any, name: str, file: Path) -> Any:  # noqa: ANN401 - pyarrow.ChunkedArray
    """A column without spaces around its texts, null where there is no entry.

    Raises:
        BadData: It holds lists, bytes or times of day.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pc.utf8_trim_whitespace(column)
        absent = pc.is_in(column, value_set=pa.array(GAPS, kind))
        return pc.if_else(absent, pa.scalar(None, kind), column) if pc.any(absent).as_py() else column
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    usual = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp)
    if not any(fits(kind) for fits in usual):
        msg = (
            f"column '{name}' of {file} holds {kind}, expected numbers, texts, truths or dates; say which columns are, "
            f"--source-set features=A,B, or --source-set leave_out={name}"
        )
        raise BadData(msg)
    return column


def kind_of(
    column: Any,  # noqa: ANN401 - of ``entries``
    *,
    wish: Literal["number", "category"] | None = None,
    decimal: str = ".",
    date_format: str | None = None,
) -> ColumnKind:
    """What a column holds.

    Numbers that begin with a zero, such as postal codes, are categories; so are texts, unless more than half of the rows
    have one of their own. A column of many numbers with another entry in it is one of numbers, and has an odd entry.

    Args:
        column: Of the training rows.
        wish: What it is taken for, whatever it holds.
        decimal: Before the fraction of a number that is written as a text.
        date_format: Of dates, tried before all others; see ``strptime``.
    """
    present, kind = column.drop_null(), column.type
    if wish == "category":
        return _category(present)
    if not _is_text(column):
        typed: Holds = "truth" if pa.types.is_boolean(kind) else "number" if _is_number(kind) else "date"
        return ColumnKind("number" if wish == "number" else typed, ISO if typed == "date" else "")
    if wish == "number" or not len(present):
        return ColumnKind("number", decimal)
    return _written_kind(present, decimal, date_format)


def _written_kind(present: Any, decimal: str, date_format: str | None) -> ColumnKind:  # noqa: ANN401
    """What texts are."""
    if _parsed(present, decimal) is not None:
        padded = pc.any(pc.match_substring_regex(present, r"^0\d+$")).as_py()
        return _category(present) if padded else ColumnKind("number", decimal)
    distinct = pc.unique(present)
    if set(pc.unique(pc.utf8_lower(distinct)).to_pylist()) in _TRUTHS:
        return ColumnKind("truth")
    written = _date_format(distinct, date_format)
    if written is not None:
        return ColumnKind("date", written)
    numbers = pc.sum(pc.match_substring_regex(distinct, _number(decimal))).as_py()
    if numbers > max(_FEW, len(distinct) / 2) or pc.all(pc.match_substring_regex(distinct, _LIKE_NUMBERS)).as_py():
        return ColumnKind("number", decimal)  # with odd entries
    return _text_kind(distinct, len(present))


def are_texts(some: Sequence[str]) -> bool:
    """Whether entries have several words, or as many letters; none are no texts."""
    if not some:
        return False
    return len(" ".join(some).split()) >= _WORDS * len(some) or sum(map(len, some)) >= _LETTERS * len(some)


def _text_kind(distinct: Any, n: int) -> ColumnKind:  # noqa: ANN401 - pyarrow.Array
    """Category, text or id, by how many of n entries differ, and how long they are."""
    if 2 * len(distinct) > n:
        if are_texts(distinct[:_SAMPLE].to_pylist()):
            return ColumnKind("text")
        if n >= _FEW:
            named = [any(map(str.isdigit, text)) for text in distinct[:_SAMPLE].to_pylist()]
            return ColumnKind("id" if 2 * sum(named) > len(named) else "text")
    return _category(distinct)


def values_of(column: Any, kind: ColumnKind, name: str, file: Path) -> Floats | None:  # noqa: ANN401
    """Entries as numbers, shape (n,): days since 1970-01-01 of dates, 1 and 0 of truths, the place among ``kind.classes``.

    NaN is a gap; of a category ``GAP``, and ``UNSEEN`` is a class that is none of its. None where an entry is not what the
    column is, which ``odd_entry`` says.

    Raises:
        BadData: A number beyond the range of float32.
    """
    if kind.form == "category":
        return _codes(column, kind.classes)
    found = {"number": _parsed, "date": _days, "truth": _truths}[kind.form](column, kind.written)
    if found is None:
        return None
    values: Floats = found.cast(pa.float64()).to_numpy().astype(np.float64, copy=False)
    with np.errstate(over="ignore"):  # what overflows is infinite, and said below
        bad = np.flatnonzero(np.isinf(values.astype(np.float32)))
    if bad.size:
        msg = (
            f"column '{name}' of {file} has no finite number in row {bad[0]} ({bad.size} such rows); fill or drop them"
        )
        raise BadData(msg)
    return values


def odd_entry(column: Any, kind: ColumnKind, name: str, file: Path) -> str:  # noqa: ANN401
    """A sentence on the first entry that is not what its column is."""
    texts = column.cast(pa.string())
    if kind.form == "number":
        right = pc.match_substring_regex(texts, _number(kind.written or "."))
        expected = f"numbers with a decimal '{kind.written or '.'}'"
    elif kind.form == "date":
        right = pc.is_valid(_dated(texts, kind.written))
        expected = f"dates such as those of the training rows ({kind.written})"
    else:
        right = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(_TRUTHS[0].union(*_TRUTHS))))
        expected = "true or false"
    odd = np.flatnonzero(pc.and_(texts.is_valid(), pc.invert(right).fill_null(True)).to_numpy())  # noqa: FBT003 - of Arrow
    row = int(odd[0]) if odd.size else 0
    return (
        f"column '{name}' of {file} has invalid value '{str(texts[row])[:40]}' in row {row}, expected {expected} "
        f"({max(odd.size, 1)} such rows)"
    )


def _category(present: Any) -> ColumnKind:  # noqa: ANN401
    """The classes that occur, in one spelling."""
    texts = pc.unique(present.cast(pa.string())).to_pylist()
    return ColumnKind("category", classes=tuple(sorted(set(class_spelling(texts).values()))))


def _codes(column: Any, classes: tuple[str, ...]) -> Floats:  # noqa: ANN401
    """The place of each entry among classes; a whole number is one class however it is written, ``1.0`` as ``1``."""
    texts = column.cast(pa.string())
    found = pc.unique(texts).drop_null()
    place = {name: float(k) for k, name in enumerate(classes)}
    codes = [place.get(text, place.get(class_spelling([text])[text], UNSEEN)) for text in found.to_pylist()]
    where = pc.index_in(texts, value_set=found)
    return np.array([*codes, GAP])[where.fill_null(len(codes)).to_numpy()]


def _parsed(column: Any, decimal: str) -> Any | None:  # noqa: ANN401
    """Numbers of numbers, or of texts with a decimal sign; None where one is none.

    ``1,234.5`` is read where some entry cannot be anything else; ``1,234`` alone may have a decimal comma.
    """
    if not _is_text(column):
        return column.cast(pa.int8() if pa.types.is_boolean(column.type) else pa.float64(), safe=False)
    if decimal == ",":  # a point becomes what no number has
        column = pc.replace_substring(pc.replace_substring(column, ".", "_"), ",", ".")
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        plain = pc.replace_substring_regex(column, r"^\+([\d.])", r"\1")
    clear = pc.any(pc.match_substring_regex(plain, r",\d{3}[,.]\d")).as_py()
    if decimal == "." and clear and pc.all(pc.match_substring_regex(plain, _THOUSANDS)).as_py():
        plain = pc.replace_substring(plain, ",", "")
    try:
        return plain.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def _number(decimal: str) -> str:
    """A pattern of numbers."""
    mark = decimal.replace(".", r"\.")
    return rf"^[-+]?(\d+({mark}\d*)?|{mark}\d+)([eE][-+]?\d+)?$|^(?i:[-+]?(nan|inf|infinity))$"


def _truths(column: Any, _: str) -> Any | None:  # noqa: ANN401
    """True and false, null where there is no entry; None where one is neither."""
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int8())
    lower = pc.utf8_lower(column.cast(pa.string()))
    if not set(pc.unique(lower).drop_null().to_pylist()) <= _TRUTHS[0].union(*_TRUTHS):
        return None
    return pc.if_else(lower.is_null(), None, pc.is_in(lower, value_set=_TRUE)).cast(pa.int8())


def _date_format(distinct: Any, wanted: str | None) -> str | None:  # noqa: ANN401
    """How different texts are all written as dates: as is wanted, as ISO has it, or another usual way; None: they are not."""
    tried = [] if wanted is None else [wanted]
    sample = distinct[:_SAMPLE]
    if pc.all(pc.match_substring_regex(sample, r"\d{4}")).as_py():  # a year
        tried += [ISO, *(day + hour for hour in _TIMES for day in _DATES)]
    for written in tried:
        if not _dated(sample, written).null_count and not _dated(distinct, written).null_count:
            return written
    return None


def _days(column: Any, written: str) -> Any | None:  # noqa: ANN401
    """Days since 1970-01-01, with fractions; None where an entry is no date of that format."""
    if _is_text(column):
        dates = _dated(column, written)
        if dates.null_count > column.null_count:
            return None
    else:
        dates = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)))
    return pc.divide(dates.cast(pa.int64()).cast(pa.float64()), float(_DAY))


def _dated(texts: Any, written: str) -> Any:  # noqa: ANN401
    """Instants, null where a text is no date of that format."""
    if written != ISO:
        return pc.strptime(texts, format=written, unit="us", error_is_null=True)
    # Arrow reads zones all or none, and refuses the column where one entry is no date.
    zone = pc.any(pc.match_substring_regex(texts, r"\d(Z|[-+]\d\d:?\d\d)$")).as_py()
    kind = pa.timestamp("us", "UTC" if zone else None)
    iso = pc.match_substring_regex(
        texts, r"^\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?(Z|[-+]\d\d(:?\d\d)?)?)?$"
    )
    kept = pc.if_else(iso, texts, None)
    try:
        return kept.cast(kind)
    except pa.ArrowInvalid:
        return pa.nulls(len(texts), kind)


def _is_text(column: Any) -> bool:  # noqa: ANN401
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def _is_number(kind: Any) -> bool:  # noqa: ANN401
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
