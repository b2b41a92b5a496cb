"""What several people answered about the same samples, and the one label a sample that is made of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import UNKNOWN, Labels, as_labels, check_labels, read_only
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.errors import BadData
from noisybench.ground.random_streams import uniforms


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers of people, one a row, in the order of the samples and then of the annotators.

    Rows may be given in any order; they are sorted here.

    Attributes:
        sample: Which sample was asked about, shape (m,).
        annotator: Who answered, as a number from 0, shape (m,).
        label: The class that was answered, shape (m,).

    Raises:
        BadData: Columns of several lengths, a number below zero, or two answers of an annotator to one sample.
    """

    sample: NDArray[np.int64]
    annotator: NDArray[np.int64]
    label: NDArray[np.int64]

    def __post_init__(self) -> None:
        columns = [as_labels(getattr(self, name), what=f"{name} of answers") for name in COLUMNS]
        if len({len(column) for column in columns}) > 1:
            sizes = ", ".join(str(len(column)) for column in columns)
            msg = f"answers have {sizes} entries of {', '.join(COLUMNS)}; expected as many of each"
            raise BadData(msg)
        for name, column in zip(COLUMNS, columns, strict=True):
            if (column < 0).any():
                msg = f"{name} of answers is {column.min()} in some row; leave out what was not answered, count from 0"
                raise BadData(msg)
        sample, annotator, label = columns
        order = np.lexsort((annotator, sample))
        sample, annotator = sample[order], annotator[order]
        twice = np.flatnonzero((np.diff(sample) == 0) & (np.diff(annotator) == 0))
        if twice.size:
            msg = (
                f"annotator {annotator[twice[0]]} answers sample {sample[twice[0]]} twice ({twice.size} such pairs); "
                f"expected one answer"
            )
            raise BadData(msg)
        for name, column in zip(COLUMNS, (sample, annotator, label[order]), strict=True):
            object.__setattr__(self, name, read_only(column))

    def __len__(self) -> int:
        return len(self.sample)

    def __repr__(self) -> str:
        people, samples = len(np.unique(self.annotator)), len(np.unique(self.sample))
        return f"Answers({len(self)} answers of {people} annotators to {samples} samples)"

    def taken(self, rows: Labels) -> "Answers":
        """The answers to some samples, shape (m,), as samples 0..m-1 in that order."""
        new = np.full(max(int(self.sample.max(initial=-1)), int(rows.max(initial=-1))) + 1, -1)
        new[rows] = np.arange(len(rows))
        kept = new[self.sample] >= 0
        return Answers(new[self.sample[kept]], self.annotator[kept], self.label[kept])

    def first(self, n: int) -> "Answers":
        """The answers to the first ``n`` samples."""
        kept = slice(int(np.searchsorted(self.sample, n)))
        return Answers(self.sample[kept], self.annotator[kept], self.label[kept])


COLUMNS = ("sample", "annotator", "label")


def answers_from_matrix(values: Any, *, what: str = "answers") -> Answers:  # noqa: ANN401 - anything NumPy can read
    """Answers from class indices of shape (n, annotators), -1 where an annotator did not answer.

    Args:
        values: The matrix.
        what: Its name, for messages.

    Raises:
        BadData: It has another shape, or holds something else.
    """
    matrix = np.asarray(values)
    if matrix.ndim != 2:  # noqa: PLR2004 - samples and annotators
        msg = f"{what} must be classes of shape (n, annotators), -1 where nobody answered, got shape {matrix.shape}"
        raise BadData(msg)
    flat = as_labels(matrix.ravel(), what=what)
    if (flat < UNKNOWN).any():
        i, j = divmod(int(np.flatnonzero(flat < UNKNOWN)[0]), matrix.shape[1])
        msg = f"{what}[{i}, {j}] = {flat.min()} is no class; expected -1 where an annotator did not answer"
        raise BadData(msg)
    sample, annotator = np.nonzero(flat.reshape(matrix.shape) != UNKNOWN)
    return Answers(sample, annotator, flat[flat != UNKNOWN])


def _check_asked(answers: object, n: object) -> int:
    """The number of samples, where answers and it are of the right kinds."""
    check_kind(answers, Answers, "answers", "Answers(sample, annotator, label) are some")
    return whole(n, "n", least=0)


def majority(answers: Answers, n: int) -> tuple[Labels, NDArray[np.bool_]]:
    """The commonest answer to each of ``n`` samples, and whether another was as common, both of shape (n,).

    A tie goes to the smallest class; a sample that nobody answered is ``UNKNOWN``.
    """
    n = _check_asked(answers, n)
    k = int(answers.label.max(initial=0)) + 1
    cells, counts = np.unique(answers.sample * k + answers.label, return_counts=True)
    sample, label = cells // k, cells % k
    most = np.zeros(n, dtype=np.int64)
    np.maximum.at(most, sample, counts)
    best = counts == most[sample]
    labels = np.full(n, UNKNOWN, dtype=np.int64)
    labels[sample[best][::-1]] = label[best][::-1]  # the smallest last, so that it stays
    return labels, np.bincount(sample[best], minlength=n) > 1


def one_each(answers: Answers, n: int, *, seed: int) -> Labels:
    """One answer to each of ``n`` samples, every one of its answers as likely, shape (n,); ``UNKNOWN`` where none is.

    What is drawn for a sample depends on the seed, its number and its answers alone.
    """
    n = _check_asked(answers, n)
    draws = uniforms(whole(seed, "seed", least=0), "answers/one", n)
    counts = np.bincount(answers.sample, minlength=n)[:n]
    starts = np.searchsorted(answers.sample, np.arange(n))
    labels = np.full(n, UNKNOWN, dtype=np.int64)
    some = counts > 0
    labels[some] = answers.label[starts[some] + (draws[some] * counts[some]).astype(np.int64)]
    return labels


def check_answers(answers: Answers | None, n: int, num_classes: int, what: str) -> None:
    """Raise ``BadData`` unless all answers are classes, given to one of n samples."""
    if answers is None or not len(answers):
        return
    check_labels(answers.label, num_classes, what=f"{what}: labels of answers")
    if answers.sample[-1] >= n:
        msg = f"{what}: an answer is to sample {answers.sample[-1]}, the samples are 0..{n - 1}"
        raise BadData(msg)
