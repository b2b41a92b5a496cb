"""Files of what people answered, and the noises that take counts or answers from them: checked, and joined by position."""

from math import floor
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, WRONG, Floats, Labels, as_labels, check_labels
from noisybench.ground.checks import unknown
from noisybench.ground.download import fetch
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName
from noisybench.ground.files import NO_ARRAY, read_columns
from noisybench.ground.npy import read_array
from noisybench.noise.cifar_n_files import COLUMNS, TEN, check_order, read_annotations, read_column, read_pair
from noisybench.noise.matrix_files import read_matrix
from noisybench.variants.transitions import AnyTransition, compact, count_pairs, count_transitions, is_large, row_sums

LABEL_SETS = tuple(COLUMNS)
_FEWEST = 100  # samples from which on an agreement by chance can be told
_CHANCE = 0.1  # Cohen's kappa of answers that belong to other samples is about zero, of people's at least 0.5


def human_counts(labels: str, file: Path | None, source: Source) -> Floats:
    """How many samples of clean class i CIFAR-N gives class j in one of its label sets, shape (k, k).

    Raises:
        BadUsage: No label set of that name, or one of other classes than the source's.
        BadData: The file is missing or is not as published.
    """
    if labels not in COLUMNS:
        msg = f"labels must be one of {', '.join(COLUMNS)}, got '{labels}'"
        raise BadUsage(msg)
    published, key = COLUMNS[labels]
    if source.num_classes != published.classes:
        msg = (
            f"the labels '{labels}' are of {published.source} with {published.classes} classes, "
            f"source '{source.name}' has {source.num_classes}"
        )
        raise BadUsage(msg)
    path = file or fetch(
        published.name, published.url, published.sha256, published.size, instead=f"--set file=…/{published.name}"
    )
    clean, given = read_pair(read_annotations(path), published, key, path)
    return count_transitions(given, clean, published.classes).astype(np.float64)


def check_counts_of(of: str | Path) -> str | Path:
    """Where transition counts come from: a label set of CIFAR-N, or the file, for which a folder of a variant may stand.

    Raises:
        UnknownName: It is neither.
    """
    if of in LABEL_SETS:
        return of
    path = Path(of)
    if isfile(path / "labels.parquet"):  # noqa: PTH113 - False for a text that can be no path
        path /= "labels.parquet"
    if not isfile(path):  # noqa: PTH113
        what = unknown(str(of), LABEL_SETS, "label set of CIFAR-N")
        msg = f"{what}; or give the folder of a variant, or a file of counts"
        raise UnknownName(msg)
    return path


def source_counts(of: str | Path, file: Path | None, source: Source) -> AnyTransition:
    """Counts or probabilities of class j for clean class i, of what ``check_counts_of`` gave, shape (k, k).

    Args:
        of: A label set of CIFAR-N, or a file as of ``counts_in``.
        file: The file of CIFAR-N; None downloads it.
        source: Whose classes; each that has samples must have counts.

    Raises:
        BadUsage: A label set of other classes.
        BadData: The file is missing, or holds something else, or nothing of a class.
    """
    counts = counts_in(of, source.num_classes) if isinstance(of, Path) else human_counts(of, file, source)
    sizes = row_sums(counts)
    empty = np.flatnonzero((sizes == 0) & (np.bincount(source.clean[source.clean >= 0], minlength=len(sizes)) > 0))
    if empty.size:
        msg = f"the counts of {of} hold no sample of class {empty[0]}, which source '{source.name}' has"
        raise BadData(msg)
    return counts


def counts_in(path: Path, num_classes: int) -> AnyTransition:
    """Counts or probabilities of class j for clean class i, from a file of them or of a variant, shape (k, k).

    Args:
        path: The ``labels.parquet`` of a variant, whose samples of unknown clean label are left out; or ``.npy``,
            ``.csv`` or ``.json``.
        num_classes: k.

    Raises:
        BadData: The file is missing, or holds something else, or other classes.
    """
    if path.suffix == ".parquet":
        columns, _ = read_columns(path, ["label", "clean"])
        given = check_labels(columns["label"], num_classes, what=f"labels of {path.name}")
        clean = check_labels(columns["clean"], num_classes, allow_unknown=True, what=f"clean labels of {path.name}")
        known = clean >= 0
        if is_large(num_classes):
            return count_pairs(given[known], clean[known], num_classes)
        return count_transitions(given[known], clean[known], num_classes).astype(np.float64)
    counts = read_matrix(path)
    if counts.shape != (num_classes, num_classes):
        msg = f"{path} has shape {counts.shape}, expected ({num_classes}, {num_classes}), a row for each clean class"
        raise BadData(msg)
    if not ((counts >= 0) & (counts < np.inf)).all():
        msg = f"{path} must hold counts or probabilities, it has an entry that is negative or no number"
        raise BadData(msg)
    return compact(counts)


def read_annotators(path: Path, source: Source) -> NDArray[np.int64]:
    """What each annotator said of the samples of the source, ``UNKNOWN`` where nothing, shape (annotators, n).

    Args:
        path: ``CIFAR-10_human.pt`` as published (``random_label1`` to ``3``), or integers of shape (annotators, n) in a
            ``.npy`` or ``.npz`` file, n at least that of the source.
        source: Whose samples, in the order of the file.

    Raises:
        BadData: The file is missing, or holds no such array.
        Mismatch: Its answers are of other samples.
    """
    if path.suffix == ".pt":
        columns = read_annotations(path)
        check_order(source, read_column(columns, "clean_label", TEN.classes, path), TEN)
        answers = [read_column(columns, f"random_label{j}", TEN.classes, path) for j in (1, 2, 3)]
        if any(len(column) < len(source.labels) for column in answers):
            msg = f"{path} has fewer annotations than source '{source.name}' has samples; download it again"
            raise BadData(msg)
        return np.stack([column[: len(source.labels)] for column in answers])
    values = one_table(path)
    n = len(source.labels)
    if values.ndim != 2 or values.dtype.kind not in "iu" or not len(values) or values.shape[1] < n:  # noqa: PLR2004
        msg = (
            f"{path} must hold integers of shape (annotators, n) with n at least {n}, -1 where nobody answered, "
            f"got {values.dtype} of shape {values.shape}"
        )
        raise BadData(msg)
    answers = [
        check_labels(
            as_labels(row[:n], what=f"annotator {j} of {path.name}"),
            source.num_classes,
            allow_unknown=True,
            what=f"annotator {j} of {path.name}",
        )
        for j, row in enumerate(values)
    ]
    for j, answered in enumerate(answers):
        if (answered == WRONG).any():
            msg = f"annotator {j} of {path.name} answers {WRONG}, expected a class, or {UNKNOWN} where nobody answered"
            raise BadData(msg)
        _check_join(answered, source, path)
    return np.stack(answers)


def dissent(answers: NDArray[np.int64], clean: Labels, rate: float) -> tuple[NDArray[np.bool_], float]:
    """Where each annotator gave a wrong label, shape (annotators, n), and how many labels ``rate`` makes wrong.

    Raises:
        BadUsage: There are not that many samples on which an annotator dissents.
    """
    known = clean != UNKNOWN
    wrong = (answers != UNKNOWN) & (answers != clean) & known
    disputed, n = int(wrong.any(0).sum()), int(known.sum())
    wanted = rate * n
    if wanted > disputed + 1e-6:
        most = floor(disputed / n * 1e6) / 1e6
        msg = (
            f"rate must be at most {most:g} here, as some annotator dissents from the clean label of {disputed} of {n} "
            f"samples only, got {rate:g}"
        )
        raise BadUsage(msg)
    return wrong, min(wanted, float(disputed))


def read_judgements(path: Path, source: Source) -> Floats:
    """How often people gave each class to the samples of the source, each row with a positive sum, shape (n, k).

    Raises:
        BadData: The file is missing, or holds no counts of that shape.
        Mismatch: They are of other samples.
    """
    values = one_table(path)
    n, k = len(source.labels), source.num_classes
    if values.dtype.kind not in "iuf" or values.ndim != 2 or len(values) < n or values.shape[1] != k:  # noqa: PLR2004
        msg = (
            f"{path} must hold counts of shape (n, {k}) with n at least {n}, a column for each class, "
            f"got {values.dtype} of shape {values.shape}"
        )
        raise BadData(msg)
    counts: Floats = values[:n].astype(np.float64)
    bad = np.flatnonzero(~((counts >= 0) & (counts < np.inf)).all(1) | ~(counts.sum(1) > 0))
    if bad.size:
        msg = f"{path}: row {bad[0]} holds no counts of judgements: {counts[bad[0]].tolist()} ({bad.size} such rows)"
        raise BadData(msg)
    _check_join(counts.argmax(1), source, path)
    return counts


def _check_join(answers: Labels, source: Source, path: Path) -> None:
    """Refuse answers that agree with the clean labels no more than those of other samples would (Cohen's kappa)."""
    both = (answers != UNKNOWN) & (source.clean != UNKNOWN)
    if both.sum() < _FEWEST:
        return
    answered, clean = answers[both], source.clean[both]
    said, right = (np.bincount(part, minlength=source.num_classes) / len(clean) for part in (answered, clean))
    agree, chance = float((answered == clean).mean()), float(said @ right)
    if agree - chance < _CHANCE * (1 - chance):
        msg = (
            f"{path.name} agrees with the clean labels of source '{source.name}' in {agree:.1%} of {len(clean)} "
            f"samples, by chance it would in {chance:.1%}: give it in the order of the source"
        )
        raise Mismatch(msg)


def one_table(path: Path) -> NDArray[Any]:
    """The array of a ``.npy`` file, or the only one of two dimensions in a ``.npz`` file.

    Raises:
        BadData: It cannot be read, or a ``.npz`` file holds none or several.
    """
    if path.suffix != ".npz":
        return read_array(path)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            tables = [arrays[name] for name in arrays.files if arrays[name].ndim == 2]  # noqa: PLR2004 - rows, columns
    except NO_ARRAY as error:
        msg = f"{path} cannot be read as NumPy arrays: {getattr(error, 'strerror', None) or 'it is damaged'}"
        raise BadData(msg) from None
    if len(tables) != 1:
        msg = f"{path} must hold one array of two dimensions, it holds {len(tables)}"
        raise BadData(msg)
    return tables[0]
