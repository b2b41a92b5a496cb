"""Answers of several people and the labels made of them, against counts by hand and a loop over samples."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from noisybench.data.crowd.answer_files import read_answer_file
from noisybench.data.crowd.answers import Answers, answers_from_matrix, majority, one_each
from noisybench.data.crowd.joining import collect, join
from noisybench.data.source import source_from_arrays
from noisybench.data.tables.columns import read_table
from noisybench.data.tables.layout import layout_of
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage

MATRIX = np.array([[0, 2, -1], [-1, -1, -1], [1, 1, 0], [2, -1, -1]])


def test_rows_are_sorted_and_may_be_a_matrix() -> None:
    """By sample and annotator, whatever the order they come in; columns are read-only."""
    answers = answers_from_matrix(MATRIX)
    rows = np.column_stack([answers.sample, answers.annotator, answers.label])
    assert rows.tolist() == [[0, 0, 0], [0, 1, 2], [2, 0, 1], [2, 1, 1], [2, 2, 0], [3, 0, 2]]
    mixed = rows[[3, 5, 0, 4, 1, 2]].T
    again = Answers(*mixed)
    assert np.array_equal(again.label, answers.label)
    assert repr(again) == "Answers(6 answers of 3 annotators to 3 samples)"
    assert again.first(3).sample.tolist() == [0, 0, 2, 2, 2]
    with pytest.raises(ValueError, match="read-only"):
        again.label[0] = 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 0], [1, 1], [0, 1]), r"annotator 1 answers sample 0 twice \(1 such pairs\); expected one answer"),
        (([0, 0], [0, 1], [0]), "answers have 2, 2, 1 entries of sample, annotator, label; expected as many of each"),
        (([0], [0], [-1]), "label of answers is -1 in some row; leave out what was not answered"),
        (([0.5], [0], [0]), "sample of answers must be integers"),
    ],
)
def test_what_is_no_answer_is_refused(columns: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(BadData, match=message):
        Answers(*map(np.array, columns))


def test_what_is_no_matrix_is_refused() -> None:
    """Shape and values below -1."""
    with pytest.raises(BadData, match=r"answers must be classes of shape \(n, annotators\), .* got shape \(3,\)"):
        answers_from_matrix(np.arange(3))
    with pytest.raises(BadData, match=r"answers\[0, 1\] = -2 is no class; expected -1"):
        answers_from_matrix(np.array([[0, -2]]))


def test_a_tie_goes_to_the_smallest_class() -> None:
    """A sample that nobody answered has no label; many classes and samples take no matrix of both."""
    labels, tied = majority(answers_from_matrix(MATRIX), 5)
    assert labels.tolist() == [0, UNKNOWN, 1, 2, UNKNOWN]
    assert tied.tolist() == [True, False, False, False, False]
    rng = np.random.default_rng(0)
    sample, annotator = np.divmod(rng.permutation(200_000 * 5)[:600_000], 5)
    answers = Answers(sample, annotator, rng.integers(0, 9_000, 600_000) // 3_000 * 4_000)
    labels, tied = majority(answers, 200_000)
    said = defaultdict(list)
    for i, label in zip(answers.sample[:3_000].tolist(), answers.label[:3_000].tolist(), strict=True):
        said[i].append(label)
    del said[int(answers.sample[2_999])]  # it may have more
    for i, given in said.items():
        counts = Counter(given)
        best = [label for label, count in counts.items() if count == max(counts.values())]
        assert (labels[i], tied[i]) == (min(best), len(best) > 1)


def test_one_answer_is_drawn_by_sample() -> None:
    """Each answer as likely, from the seed alone; those of the first samples do not depend on the others."""
    n = 30_000
    answers = answers_from_matrix(np.tile([0, 1, 1, 2, -1], (n, 1)))
    labels = one_each(answers, n, seed=4)
    shares = np.bincount(labels) / n
    assert np.abs(shares - [0.25, 0.5, 0.25]).max() < 4 * np.sqrt(0.25 / n)
    assert np.array_equal(labels[:100], one_each(answers.first(100), 100, seed=4))
    assert not np.array_equal(labels, one_each(answers, n, seed=5))
    assert one_each(answers_from_matrix(MATRIX), 5, seed=0)[[1, 3, 4]].tolist() == [UNKNOWN, 2, UNKNOWN]
    with pytest.raises(BadUsage, match="seed must not be negative"):
        one_each(answers, n, seed=-1)


def test_a_source_holds_its_answers_to_its_samples_and_classes() -> None:
    """They are cut with the samples, and are no part of the digest."""
    inputs, labels = np.eye(4), [0, 1, 1, 2]
    source = source_from_arrays("mine", inputs, labels, answers=MATRIX)
    assert source.answers is not None
    assert len(source.answers) == 6
    assert source.sha256 == source_from_arrays("mine", inputs, labels).sha256
    part = source_from_arrays("mine", inputs, labels, answers=source.answers, limit=2, class_names=["a", "b", "c"])
    assert part.answers is not None
    assert part.answers.sample.tolist() == [0, 0]
    with pytest.raises(BadData, match=r"source 'mine': labels of answers\[1\] = 7 is not a class of 0..2"):
        source_from_arrays("mine", inputs, labels, answers=np.where(MATRIX == 2, 7, MATRIX))
    with pytest.raises(BadData, match=r"an answer is to sample 4, the samples are 0..3"):
        source_from_arrays("mine", inputs, labels, answers=[[0]] * 5)


def test_the_majority_of_a_public_set_has_the_accuracy_that_is_known(data: Path) -> None:
    """Entity matching: 8,315 questions, 24,945 answers of 176 people, 18.37 % wrong; .8966 of the majorities are right."""
    truth = read_table(layout_of(data / "crowd" / "product_truth.csv"), texts=("question", "truth"))
    file = read_answer_file(data / "crowd" / "product_answers.csv", ("question", "truth"))
    n = len(truth["truth"])
    joined = join(file, n, [("question", truth["question"])], {"0", "1"}, sure=True)
    answers, notes = collect(joined, np.array(joined.said.cast(pa.int64())), file)
    assert (len(answers), n, len(file.names), notes) == (24_945, 8_315, 176, ())
    right = np.array(truth["truth"].cast(pa.int64()))
    assert (answers.label != right[answers.sample]).mean() == pytest.approx(0.1837, abs=5e-5)
    assert (majority(answers, n)[0] == right).mean() == pytest.approx(0.8966, abs=5e-5)
