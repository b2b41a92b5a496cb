"""Numbers of anyone's file: scores or class probabilities, matched by sample. No torch here, and nothing is unpickled."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import TOLERANCE, Floats, as_array, as_labels, check_probabilities, read_only
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import read_array
from noisybench.variants.sample_columns import IDS, LABELS, READERS, ROW_NAMES, VARIANT_ID, Columns, ids_among
from noisybench.variants.variant import Variant

Form = Literal["scores", "pred_probs"]
"""What a file holds: one number a sample, or a probability for each class."""
TABLES = (".csv", ".parquet")
SORTED = 20
"""Different scores from which on it is no chance that a file has them in order."""
MEND = (
    "give the rows in the order of the samples with the given labels beside them as 'labels', or in a table with a column "
    "'sample' that each row had before any sorting"
)

Tell = Callable[[str], object]


def read_given(
    path: str | Path,
    variant: Variant,
    form: Form,
    *,
    of_clean: bool = False,
    labels: str | Path | None = None,
    tell: Tell = lambda _: None,
) -> Floats:
    """Scores (n,), or probabilities (n, k), of a ``.npz``, ``.npy``, ``.csv`` or ``.parquet`` file, in sample order.

    Tables have a column ``sample`` (or ``sample_id``, ``id``, ``index``, the row names of a data frame) with the ids
    0..n-1, each once, in any order; arrays may have one, and are in sample order otherwise. Scores are called ``score``
    or ``scores``; probabilities are one array or list column ``pred_probs`` or ``probabilities``, or a column a class,
    called by its name, ``0..k-1`` or ``p0..``. What stands alone may be called anything. Where the file says by
    ``variant_id``, or by the given ``labels``, of which labels it is, these must be the variant's; so must those of a
    file ``labels.npy`` or ``noisy_labels.npy`` beside arrays that say nothing themselves.

    Args:
        path: The file.
        variant: The labels that it is of.
        form: What to read from it.
        of_clean: Labels in it may also be the variant's clean ones.
        labels: A file of the given labels, in the order of the rows of ``path``, that must be the variant's.
        tell: Called with a sentence for each thing that was taken for granted or is hard to believe.

    Raises:
        BadUsage: The file's name ends in something else.
        BadData: It cannot be read, a value is no score or no probability, or its rows are in the order of the scores.
        Mismatch: It is of other labels.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        msg = f"{path} is no {', '.join(READERS)} file; save the {_words(form)} as one of these"
        raise BadUsage(msg)
    columns = READERS[path.suffix.lower()](path, lambda there: _choose(there, form, variant, path), variant)
    ids = ids_among(list(columns), _taken(form, variant))
    order, verified = _match(columns, ids, variant, path, of_clean=of_clean, said=labels)
    if ids is None and not verified:
        tell(f"{path} says neither by ids nor by labels whose its rows are; they are taken in the order of the samples")
    elif ids not in (None, IDS[0]):
        tell(f"the rows of {path} are matched by {f'its column {ids!r}' if ids else 'its first, nameless column'}")
    as_it_stands = _values(columns, form, variant, path)
    values = as_it_stands[order]
    _check_finite(values, form, path)
    if form == "pred_probs":
        _check_probabilities(values, path)
        _doubt(values, variant, path, tell)
    elif not verified and np.array_equal(order, np.arange(len(order))):
        _check_unsorted(as_it_stands, path)
    return read_only(values)


def check_given(
    values: Any,  # noqa: ANN401 - anything NumPy can read
    variant: Variant,
    form: Form,
    *,
    labels: Any = None,  # noqa: ANN401
    tell: Tell = lambda _: None,
) -> Floats:
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
        _check_labels(given, variant, Path("labels"), of_clean=False)
    found = _values({form: array}, form, variant, what)
    _check_finite(found, form, what)
    if form == "pred_probs":
        _check_probabilities(found, what)
        _doubt(found, variant, what, tell)
    elif labels is None:
        _check_unsorted(found, what)
    return read_only(found)


def _match(
    columns: Columns, ids: str | None, variant: Variant, path: Path, *, of_clean: bool, said: str | Path | None
) -> tuple[NDArray[np.int64], bool]:
    """Row of each sample, shape (n,), and whether labels say that it is; takes what says so out of ``columns``."""
    n = len(variant.labels)
    for found in np.unique(columns.pop(VARIANT_ID, np.array([], dtype=str)).astype(str)):
        if found != variant.provenance.variant_id:
            msg = f"{path} is of variant {found[:12]!r}, the labels are of {variant.provenance.variant_id[:12]}"
            raise Mismatch(msg)
    order = np.arange(n) if ids is None else _order(columns.pop(ids), n, path, ids)
    for name, column in columns.items():
        if column.shape[:1] != (n,):
            msg = f"{name!r} of {path} has shape {column.shape}, expected {n} rows: one for each sample of the variant"
            raise BadData(msg)
    told = [columns.pop(name) for name in LABELS if name in columns]
    for given in told:
        _check_labels(given[order], variant, path, of_clean=of_clean)
    silent = ids is None and not told
    return order, bool(told) or _labels_beside(path, variant, order, said=said, silent=silent)


def _values(columns: Columns, form: Form, variant: Variant, path: Path) -> Floats:
    """Scores (n,) or probabilities (n, k), in the order of the rows."""
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
    return values.astype(np.float64)


def _choose(there: Sequence[str], form: Form, variant: Variant, path: Path) -> list[str]:
    """The names of the values, by class where there is one for each, and then of what says whose they are."""
    k = range(variant.num_classes)
    ids = ids_among(there, _taken(form, variant))
    if ids is None and path.suffix.lower() in TABLES:
        msg = f"{path} has no column 'sample' (nor {', '.join(repr(name) for name in IDS[1:])}) to match its rows by; {MEND}"
        raise BadData(msg)
    options: Sequence[Sequence[str]] = (("score",), ("scores",))
    if form == "pred_probs":
        by_class = (variant.class_names, [f"{j}" for j in k], [f"p{j}" for j in k])
        options = (("pred_probs",), ("probabilities",), *by_class)
    about = [name for name in there if name in (ids, VARIANT_ID, *LABELS)]
    about = list(dict.fromkeys(about))
    rest = [name for name in there if name not in about and not (name in ROW_NAMES and ids is not None)]
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


def _taken(form: Form, variant: Variant) -> Sequence[str]:
    """Names of columns that hold values, whatever else they might be called for."""
    return variant.class_names if form == "pred_probs" else ()


def _labels_beside(
    path: Path, variant: Variant, order: NDArray[np.int64], *, said: str | Path | None, silent: bool
) -> bool:
    """Whether labels that were said, or that lie in a file beside it, show the order of a file's rows.

    Args:
        path: The file of scores.
        variant: Whose labels they must be.
        order: Row of each sample.
        said: A file of labels in the order of the rows; None looks beside ``path``.
        silent: Whether ``path`` says itself neither by ids nor by labels whose its rows are.

    Raises:
        BadData: The labels that were said are not as many as the rows.
        Mismatch: They are neither the given labels nor, of a file that was found, the clean ones.
    """
    if said is None and not silent:
        return False
    n = len(variant.labels)
    names = [path.with_name(f"{name}.npy") for name in LABELS] if said is None else [Path(said)]
    for place in names:
        if said is None and (place == path or not place.is_file()):
            continue
        given = _read_labels(place, variant)
        if given.shape == (n,):
            _check_labels(given[order], variant, place, of_clean=said is None)
            return True
        if said is not None:
            msg = f"{place} has labels of shape {given.shape}, expected ({n},): one for each row of {path}"
            raise BadData(msg)
    return False


def _read_labels(path: Path, variant: Variant) -> NDArray[Any]:
    """The label column of a file, in the order of its rows.

    Raises:
        BadUsage: The file's name ends in something that is not read.
        BadData: It cannot be read, or has no labels.
    """

    def choose(there: Sequence[str]) -> list[str]:
        names = [name for name in LABELS if name in there] or list(there)
        if len(names) != 1:
            msg = (
                f"{path} must have one column of labels, called {' or '.join(LABELS)}; it has: {', '.join(there[:20])}"
            )
            raise BadData(msg)
        return names

    if path.suffix.lower() == ".npy":
        return read_array(path)
    if path.suffix.lower() not in READERS:
        msg = f"{path} is no {', '.join(READERS)} file; save the labels as one of these"
        raise BadUsage(msg)
    return next(iter(READERS[path.suffix.lower()](path, choose, variant).values()))


# Checking


def _order(ids: NDArray[Any], n: int, path: Path, name: str) -> NDArray[np.int64]:
    """Row of each sample, shape (n,)."""
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        msg = f"{name!r} of {path} must be whole numbers of shape (n,), got {ids.dtype} of shape {ids.shape}"
        raise BadData(msg)
    unknown = ids[(ids < 0) | (ids >= n)]
    if unknown.size:
        hint = "; ids count the samples from 0" if name != IDS[0] or unknown.size == 1 else ""
        msg = f"sample {unknown[0]} of {path} is none of the variant's 0..{n - 1} ({unknown.size} such rows){hint}"
        raise BadData(msg)
    ids = ids.astype(np.int64)
    counts = np.bincount(ids, minlength=n)
    for found, words in ((counts > 1, "stands there more than once"), (counts == 0, "is missing")):
        if found.any():
            msg = f"{path} must have each sample once: sample {found.argmax()} {words} ({found.sum()} such samples)"
            raise BadData(msg)
    return np.argsort(ids)


def _check_unsorted(scores: Floats, path: Path) -> None:
    """Refuse rows that stand in the order of their scores, and have no ids or ids that count them as they stand."""
    steps = np.diff(scores)
    if ((steps >= 0).all() or (steps <= 0).all()) and len(np.unique(scores)) >= SORTED:
        msg = f"{path} is sorted by its scores, so its rows do not stand in the order of the samples; {MEND}"
        raise BadData(msg)


def _doubt(probabilities: Floats, variant: Variant, path: Path, tell: Tell) -> None:
    """Tell where the likeliest classes agree with the labels, given or clean, no more often than by chance."""
    best = probabilities.argmax(1)
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


def _check_labels(given: NDArray[Any], variant: Variant, path: Path, *, of_clean: bool) -> None:
    """Refuse labels (n,), classes or their names, that are not the variant's."""
    known = variant.class_known
    read = _numbered(given, variant, path)
    if of_clean and any(known.any() and np.array_equal(labels[known], variant.clean[known]) for labels in read):
        return
    labels = read[0] if len(read) == 1 else max(read, key=lambda each: int((each == variant.labels).sum()))
    odd = np.flatnonzero(labels != variant.labels)
    if odd.size:
        i = odd[0]
        msg = (
            f"{path} was made with other labels: {odd.size} of {len(labels)} are not the variant's, the first of sample "
            f"{i} ({given[i]}, not {variant.labels[i]}); score the labels of this variant"
        )
        raise Mismatch(msg)


def _numbered(given: NDArray[Any], variant: Variant, path: Path) -> list[NDArray[np.int64]]:
    """Labels as classes: texts as the names of classes and, where they are whole numbers, as these; -1 is no class."""
    if given.dtype.kind != "U":
        return [as_labels(given, what=f"labels in {path}")]
    texts, where = np.unique(given, return_inverse=True)
    by_name = {name: j for j, name in enumerate(variant.class_names)}
    by_number = {str(j): j for j in range(variant.num_classes)}
    return [np.array([kind.get(str(text), -1) for text in texts], np.int64)[where] for kind in (by_name, by_number)]


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
            f"({len(np.unique(bad[:, 0]))} such samples); these look like {mend}"
        )
        raise BadData(msg)
    check_probabilities(values, len(values), what=f"{path}: probabilities")


def _words(form: Form) -> str:
    return "scores" if form == "scores" else "probabilities"
