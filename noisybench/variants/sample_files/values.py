"""Numbers of anyone's file: scores or class probabilities, matched by sample. No torch here, and nothing is unpickled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import TOLERANCE, Floats, as_array, check_probabilities, read_only, row_blocks
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.packing import ending_of
from noisybench.variants.sample_files.column_names import (
    FILES,
    IDS,
    INDICES,
    LABELS,
    ROW_NAMES,
    VARIANT_ID,
    ids_among,
    scores_among,
    sign_of,
)
from noisybench.variants.sample_files.ids import order_of
from noisybench.variants.sample_files.labels import check_labels_of, labels_beside, places_beside
from noisybench.variants.sample_files.readers import ARRAYS, reader_of
from noisybench.variants.sample_files.text_readers import Chosen, Columns
from noisybench.variants.variant import Variant

Form = Literal["scores", "pred_probs"]
"""What a file holds: one number a sample, or a probability for each class."""
SORTED = 20
"""Different scores from which on it is no chance that a file has them in order."""
MEND = (
    "give the rows in the order of the samples with the given labels beside them as 'labels', or in a table with a column "
    "'sample' that each row had before any sorting"
)

Tell = Callable[[str], object]


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a file holds for a variant.

    Attributes:
        values: Scores (n,), float64, or probabilities (n, k), of the type that the file has, in sample order; a large array
            file is mapped and not read.
        lower_is_suspicious: The sign of the scores where the tool that wrote them is known; else None.
        tool: That tool and its column, in words.
    """

    values: NDArray[Any]
    lower_is_suspicious: bool | None = None
    tool: str = ""


def read_given(
    path: str | Path,
    variant: Variant,
    form: Form,
    *,
    column: str | None = None,
    of_clean: bool = False,
    labels: str | Path | None = None,
    sample_names: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> Given:
    """Scores (n,), or probabilities (n, k), of a ``.npz``, ``.npy``, ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file.

    Tables have a column ``sample`` (or ``sample_id``, ``id``, ``guid``, ``index``, the row names of a data frame) with the
    ids 0..n-1, each once, in any order, or one of file names or ids where the samples have such names; arrays may have
    one, and are in sample order otherwise. Scores are called ``score`` or ``scores``, or as AUM, cleanlab and dataset
    cartography call them; probabilities are one array or list column ``pred_probs`` or ``probabilities``, or a column a
    class, called by its name, ``0..k-1`` or ``p0..``. What stands alone may be called anything. Where the file says by
    ``variant_id``, or by the given ``labels``, of which labels it is, these must be the variant's (the first of them, where
    it has those of the whole source and the variant is of its first samples); so must those of a file ``labels.npy`` or
    ``noisy_labels.npy`` beside arrays that say nothing themselves. Text files may be packed by
    gzip, bzip2 or xz.

    Args:
        path: The file.
        variant: The labels that it is of.
        form: What to read from it.
        column: The column of the scores; None finds it.
        of_clean: Labels in it may also be the variant's clean ones.
        labels: A file of the given labels, in the order of the rows of ``path``, that must be the variant's.
        sample_names: What people call each sample, shape (n,), as ``Source.sample_names``.
        tell: Called with a sentence for each thing that was taken for granted or is hard to believe.

    Raises:
        BadUsage: The file's name ends in something else.
        BadData: It cannot be read, a value is no score or no probability, or its rows are in the order of the scores.
        Mismatch: It is of other labels.
    """
    path = Path(path)
    read = reader_of(path, _words(form))
    there: list[str] = []

    def choose(names: Sequence[str]) -> Chosen:
        there.extend(names)
        whose = whose_rows(names, variant, sample_names, () if form == "scores" else variant.class_names)
        about = list(dict.fromkeys(name for name in names if name in (whose, VARIANT_ID, *LABELS)))
        silent = whose is None and labels is None and not {*LABELS} & {*names}
        if silent and ending_of(path) not in ARRAYS and not places_beside(path):
            raise BadData(_no_ids(path, names))
        values = _values_among(names, about, form, variant, path=path, column=column)
        return Chosen((*values, *about), frozenset(about))

    columns = read(path, choose, variant)
    ids = whose_rows(list(columns), variant, sample_names, () if form == "scores" else variant.class_names)
    order, verified = _match(columns, ids, variant, path, of_clean=of_clean, said=labels, names=sample_names)
    if ids is None and not verified and ending_of(path) not in ARRAYS:
        raise BadData(_no_ids(path, there))
    if ids is None and not verified:
        tell(f"{path} says neither by ids nor by labels whose its rows are; they are taken in the order of the samples")
    elif ids not in (None, IDS[0]):
        tell(f"the rows of {path} are matched by {f'its column {ids!r}' if ids else 'its first, nameless column'}")
    as_it_stands = _values(columns, form, variant, path)
    in_order = np.array_equal(order, np.arange(len(order)))
    values = as_it_stands if in_order else as_it_stands[order]
    _check_finite(values, form, path)
    if form == "pred_probs":
        _check_probabilities(values, path)
        doubt(values, variant, path, tell)
        return Given(read_only(values))
    if not verified and in_order:
        _check_unsorted(as_it_stands, path)
    elif verified and ids is None:
        _check_unsorted_in_classes(as_it_stands, variant, path)
    (name,) = columns
    sign = sign_of(name, there)
    return Given(read_only(values), *(() if sign is None else (sign[0], f"{name!r} of {sign[1]}")))


def whose_rows(
    there: Sequence[str], variant: Variant, sample_names: Sequence[str] | None, but: Sequence[str] = ()
) -> str | None:
    """The column that says whose the rows are; None where there is none."""
    options = variant.provenance.source_options
    own = [str(options[key]) for key in ("id", "image") if key in options]
    return ids_among(there, but, named=sample_names is not None, own=own)


def check_given(
    values: Any,  # noqa: ANN401 - anything NumPy can read
    variant: Variant,
    form: Form,
    *,
    labels: Any = None,  # noqa: ANN401
    tell: Tell = lambda _: None,
) -> NDArray[Any]:
    """Scores (n,), or probabilities (n, k), as ``read_given`` would read them from a file, in sample order.

    Args:
        values: Shape (n,) or (n, k); a data frame has a column a class, by its name or in the order of the classes.
        variant: The labels that they are of.
        form: What they are.
        labels: The given labels in the order of the rows, shape (n,), that must be the variant's; None where none are known.
        tell: Called with a sentence for what is hard to believe.

    Raises:
        BadData: A value is no score or no probability, or scores are in order.
        Mismatch: The labels are others.
    """
    what = Path(form)  # stands where messages name a file
    named = [str(name) for name in getattr(values, "columns", ())]
    array = as_array(values, what=form)
    if form == "pred_probs" and sorted(named) == sorted(variant.class_names):
        array = array[:, [named.index(name) for name in variant.class_names]]
    if labels is not None:
        given = as_array(labels, what="labels")
        if given.shape != variant.labels.shape:
            msg = f"labels have shape {given.shape}, expected {variant.labels.shape}: one for each row of {form}"
            raise BadData(msg)
        check_labels_of(given, variant, Path("labels"), of_clean=False)
    found = _values({form: array}, form, variant, what)
    _check_finite(found, form, what)
    if form == "pred_probs":
        _check_probabilities(found, what)
        doubt(found, variant, what, tell)
    elif labels is None:
        _check_unsorted(found, what)
    return read_only(found)


def _match(
    columns: Columns,
    ids: str | None,
    variant: Variant,
    path: Path,
    *,
    of_clean: bool,
    said: str | Path | None,
    names: Sequence[str] | None,
) -> tuple[NDArray[np.int64], bool]:
    """Row of each sample, shape (n,), and whether labels say that it is; takes what says so out of ``columns``."""
    n = len(variant.labels)
    for found in np.unique(columns.pop(VARIANT_ID, np.array([], dtype=str)).astype(str)):
        if found != variant.provenance.variant_id:
            msg = f"{path} is of variant {found[:12]!r}, the labels are of {variant.provenance.variant_id[:12]}"
            raise Mismatch(msg)
    rows = {column.shape[:1] for column in columns.values()}
    if ids is None and variant.provenance.limit is not None and {*LABELS} & {*columns} and len(rows) == 1:
        for name, column in columns.items():  # of the whole source, of which these are the first: its labels tell
            columns[name] = column[:n]
    order = np.arange(n) if ids is None else order_of(columns.pop(ids), ids, n, path, names)
    for name, column in columns.items():
        if column.shape[:1] != (n,):
            msg = f"{name!r} of {path} has shape {column.shape}, expected {n} rows: one for each sample of the variant"
            raise BadData(msg)
    told = [columns.pop(name) for name in LABELS if name in columns]
    for given in told:
        check_labels_of(given[order], variant, path, of_clean=of_clean)
    silent = ids is None and not told
    return order, bool(told) or labels_beside(path, variant, order, said=said, silent=silent)


def _values(columns: Columns, form: Form, variant: Variant, path: Path) -> NDArray[Any]:
    """Scores (n,), float64, or probabilities (n, k), of the type that they have, in the order of the rows."""
    wrong = [name for name, column in columns.items() if column.dtype.kind not in "fiub"]
    if wrong:
        msg = f"{wrong[0]!r} of {path} holds {columns[wrong[0]].dtype}, expected numbers"
        raise BadData(msg)
    values = next(iter(columns.values())) if len(columns) == 1 else np.stack(list(columns.values()), axis=1)
    n = len(variant.labels)
    expected = (n,) if form == "scores" else (n, variant.num_classes)
    if values.shape != expected:
        other = "pred-probs" if form == "scores" else "scores"
        hint = f"; say --{other} if it is these" if values.ndim == 3 - len(expected) else ""
        msg = f"{_words(form)} in {path} have shape {values.shape}, expected {expected}{hint}"
        raise BadData(msg)
    return values.astype(np.float64) if form == "scores" or values.dtype.kind == "b" else values


def _values_among(
    there: Sequence[str], about: Sequence[str], form: Form, variant: Variant, *, path: Path, column: str | None
) -> list[str]:
    """The names of the values, by class where there is one for each."""
    if "num_measurements" in there:
        msg = f"{path} has AUM's margins of every epoch; give aum_values.csv, which the same call of finalize() wrote"
        raise BadData(msg)
    k = range(variant.num_classes)
    options: list[Sequence[str]] = [("score",), ("scores",)]
    if form == "pred_probs":
        by_class = (variant.class_names, [f"{j}" for j in k], [f"p{j}" for j in k])
        options = [("pred_probs",), ("probabilities",), *by_class]
    elif (known := scores_among(there)) is not None:
        options.append((known,))
    index = () if not about else (*ROW_NAMES, *INDICES)
    rest = [name for name in there if name not in about and name not in index]
    if len(rest) == 1:
        options.append(rest)
    if column is not None:
        if column not in there:
            msg = f"{path} has no column {column!r}; it has: {_listed(there)}"
            raise BadUsage(msg)
        options, rest = [(column,)], [column]
    values = next((list(option) for option in options if set(option) <= set(rest)), None)
    if values is None:
        wanted = "'score'" if form == "scores" else f"'pred_probs', nor one for each of {len(k)} classes"
        hint = "; say --column NAME" if form == "scores" and len(rest) > 1 else ""
        msg = f"{path} has nothing called {wanted}; it has: {_listed(there)}{hint}"
        raise BadData(msg)
    doubled = [name for name in (*values, *about) if there.count(name) > 1]
    if doubled:
        msg = f"{path} has {doubled[0]!r} {there.count(doubled[0])} times; expected it once"
        raise BadData(msg)
    return values


def _listed(there: Sequence[str]) -> str:
    shown = [name if name.isprintable() else repr(name) for name in there]
    return (", ".join(shown[:20]) + (", …" if len(there) > 20 else "")) or "nothing"  # noqa: PLR2004 - of a sentence


def _no_ids(path: Path, there: Sequence[str]) -> str:
    """What is said of a table that tells nobody whose its rows are."""
    others = (*IDS[1:], *INDICES, *ROW_NAMES)
    msg = f"{path} has no column 'sample' (nor {', '.join(repr(name) for name in others)}) to match its rows by; {MEND}"
    files = [name for name in there if name.casefold() in FILES]
    if files:
        msg += f"; its column {files[0]!r} cannot be used, because no names are kept of this variant's samples: build it again"
    if {"is_label_issue", "label_score"} <= {*there}:
        msg += "; of cleanlab's Datalab, write lab.get_issues('label').to_csv(FILE), or say --labels with the labels that it had"
    return msg


# Checking


def _check_unsorted(scores: Floats, path: Path) -> None:
    """Refuse rows that stand in the order of their scores, and have no ids or ids that count them as they stand."""
    steps = np.diff(scores)
    if ((steps >= 0).all() or (steps <= 0).all()) and len(np.unique(scores)) >= SORTED:
        msg = f"{path} is sorted by its scores, so its rows do not stand in the order of the samples; {MEND}"
        raise BadData(msg)


def _check_unsorted_in_classes(scores: Floats, variant: Variant, path: Path) -> None:
    """As ``_check_unsorted``, where the labels stand in row_blocks, and so cannot say how the rows of each are ordered."""
    starts = np.flatnonzero(np.diff(variant.labels)) + 1
    if len(starts) + 1 > variant.num_classes:
        return
    parts = [part for part in np.split(scores, starts) if len(part) > 1]
    ordered = any(all((sign * np.diff(part) >= 0).all() for part in parts) for sign in (1, -1))
    if ordered and max((len(np.unique(part)) for part in parts), default=0) >= SORTED:
        msg = f"{path} is sorted by its scores within each class, so its rows do not stand in the order of the samples; {MEND}"
        raise BadData(msg)


def doubt(probabilities: NDArray[Any], variant: Variant, path: Path, tell: Tell) -> None:
    """Tell where the likeliest classes agree with the labels, given or clean, no more often than by chance."""
    best = np.concatenate([probabilities[part].argmax(1) for part in row_blocks(probabilities.shape)])
    n, k = probabilities.shape
    known = variant.class_known
    for labels, rows in ((variant.labels, np.ones(n, bool)), (variant.clean, known)):
        if not rows.any():
            continue
        shares = [np.bincount(each[rows], minlength=k) / rows.sum() for each in (best, labels)]
        chance = float(shares[0] @ shares[1])
        agree = float((best == labels)[rows].mean())
        if agree > chance + 3 * np.sqrt(chance * (1 - chance) / rows.sum()) or chance == 1:
            return
    tell(
        f"warning: the likeliest class in {path} is the given label of {(best == variant.labels).mean():.1%} of the samples, "
        f"no more than by chance; its rows may stand in another order than the samples, or its columns in another than "
        f"the classes {', '.join(variant.class_names[:10])}{', …' if k > 10 else ''}"  # noqa: PLR2004 - of a sentence
    )


def _check_finite(values: NDArray[Any], form: Form, path: Path) -> None:
    bad = _odd_rows(values, lambda part: ~np.isfinite(part))
    if bad.size:
        row = np.atleast_1d(values[bad[0]])
        msg = (
            f"{_words(form)} in {path} must be finite, sample {bad[0]} has {row[~np.isfinite(row)][0]} "
            f"({bad.size} such samples)"
        )
        raise BadData(msg)


def _odd_rows(values: NDArray[Any], odd: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> NDArray[np.intp]:
    """Samples with an odd number, in order; the array may be larger than memory."""
    found = [np.zeros(0, dtype=np.intp)]
    for part in row_blocks(values.shape):
        marks = odd(values[part])
        if marks.any():
            found.append(part.start + np.flatnonzero(marks.reshape(len(marks), -1).any(1)))
    return np.concatenate(found)


def _check_probabilities(values: NDArray[Any], path: Path) -> None:
    bad = _odd_rows(values, lambda part: (part < 0) | (part > 1 + TOLERANCE))
    if bad.size:
        values = values.astype(np.float64)
        i = int(bad[0])
        j = int(np.flatnonzero((values[i] < 0) | (values[i] > 1 + TOLERANCE))[0])
        sums = values.sum(1)
        percent = (values >= 0).all() and abs(float(np.median(sums)) - 100) <= max(values.shape[1] / 2, 1)
        counts = (values >= 0).all() and (values == np.rint(values)).all()
        logarithms = (values <= 0).all() and (np.abs(np.exp(values).sum(1) - 1) <= TOLERANCE).all()
        mend = "logits: give their softmax"
        if logarithms:
            mend = "logarithms of them: give their exponential"
        elif percent:
            mend = "percent: divide them by 100"
        elif counts:
            mend = "counts: divide each row by its sum"
        msg = (
            f"{values[i, j]:g} of sample {i}, class {j}, in {path} is no probability "
            f"({bad.size} such samples); these look like {mend}"
        )
        raise BadData(msg)
    check_probabilities(values, len(values), what=f"{path}: probabilities")


def _words(form: Form) -> str:
    return "scores" if form == "scores" else "probabilities"
