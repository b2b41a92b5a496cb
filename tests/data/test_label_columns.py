"""Label columns in the ways that people write them, against the classes that they mean."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from noisybench.data.label_columns import label_columns
from noisybench.data.source import source_from_arrays
from noisybench.ground.errors import BadData
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant


@pytest.mark.parametrize(
    ("labels", "names", "found"),
    [
        ([0, 1000, 2000, 0], ("0", "1000", "2000"), [0, 1, 2, 0]),
        ([1, 3, 2, 1], ("1", "2", "3"), [0, 2, 1, 0]),
        ([0, 1, 3], ("0", "1", "3"), [0, 1, 2]),
        ([0.0, 2.0, 1.0], ("0", "1", "2"), [0, 2, 1]),
        (np.array([[2], [0], [1]], dtype=np.uint8), ("0", "1", "2"), [2, 0, 1]),
        (np.array([[10**12], [7]]), ("7", "1000000000000"), [1, 0]),
        (["10", "9", "1.0", "1"], ("1", "9", "10"), [2, 1, 0, 0]),
        (["01", "1", "2"], ("01", "1", "2"), [0, 1, 2]),
        (["b", "a", "no"], ("a", "b", "no"), [1, 0, 2]),
        ([True, False], ("false", "true"), [1, 0]),
        (np.array(["x", "y"], dtype=object), ("x", "y"), [0, 1]),
        (["1", "-1", "-1"], ("-1", "1"), [1, 0, 0]),
    ],
)
def test_the_classes_are_the_labels_that_occur(labels: Any, names: tuple[str, ...], found: list[int]) -> None:  # noqa: ANN401
    """Named as they are written, a number one class however it is, in the one order of classes."""
    columns = label_columns(labels, source="x")
    assert columns.class_names == names
    assert columns.labels.tolist() == found
    assert columns.labels.dtype == np.int64
    assert columns.clean is columns.test_labels is None


def test_declared_names_are_classes_that_no_sample_needs_to_have() -> None:
    """Numbers are then indices, texts names; a gap in 0..k-1 stays."""
    columns = label_columns([0, 3], [3, -2], [2], class_names=list("abcd"), source="x")
    assert columns.class_names == ("a", "b", "c", "d")
    assert columns.clean is not None
    assert columns.test_labels is not None
    assert [columns.labels.tolist(), columns.clean.tolist(), columns.test_labels.tolist()] == [[0, 3], [3, -2], [2]]
    assert columns.notes == ()
    texts = label_columns(["d", "a"], ["", "a"], class_names=list("abcd"), source="x")
    assert texts.clean is not None
    assert [texts.labels.tolist(), texts.clean.tolist()] == [[3, 0], [-1, 0]]


@pytest.mark.parametrize(
    ("labels", "clean", "found"),
    [
        ([5, 7, 5], [5, -1, 7], [0, -1, 1]),
        ([5, 7, 5], [5.0, np.nan, 7], [0, -1, 1]),
        ([5, 7, 5], ["5", "", "7"], [0, -1, 1]),
        (["5", "7", "5"], [5, -1, 7], [0, -1, 1]),
        (["a", "b", "a"], np.array(["a", None, "b"], dtype=object), [0, -1, 1]),
        (["a", "b", "a"], ["a", "NaN", "b"], [0, -1, 1]),
        ([5, 7, 5], [5, -2, 8], [0, -2, 2]),
        (["a", "b", "a"], [-1, -2, -1], [-1, -2, -1]),
        (["a", "b", "a"], ["a", "-2", "b"], [0, -2, 1]),
        ([True, False], np.array([-2, -1], np.int8), [-2, -1]),
        (["-2", "b"], ["b", "-2"], [1, 0]),
        ([5, 7, 5], np.ma.masked_array([5, 5, 7], [False, True, False]), [0, -1, 1]),
        (["a", "b", "a"], np.ma.masked_array(["a", "b", "b"], [False, True, False]), [0, -1, 1]),
        ([5, 7, 5], np.array([5, None, 7], dtype=object), [0, -1, 1]),
        ([5, 7, 5], pd.array([5, None, 7], dtype="Int64"), [0, -1, 1]),
        (["a", "b", "a"], pd.array(["a", None, "b"], dtype="string"), [0, -1, 1]),
        ([True, False], pd.array([None, False], dtype="boolean"), [-1, 0]),
    ],
)
def test_a_clean_label_that_nobody_knows_is_written_in_many_ways(labels: Any, clean: Any, found: list[int]) -> None:  # noqa: ANN401
    """-1, NaN, nothing; and numbers may be texts in one of two columns."""
    columns = label_columns(labels, clean, source="x")
    assert columns.clean is not None
    assert columns.clean.tolist() == found


def test_test_labels_may_fill_a_gap_but_not_go_beyond() -> None:
    """Classes that are numbered from another number in the two sets are noticed."""
    within = label_columns([0, 3, 1], None, [2, -1], source="x")
    assert within.class_names == ("0", "1", "2", "3")
    assert within.test_labels is not None
    assert within.test_labels.tolist() == [2, -1]
    for test, odd in (([1, 4], r"\[1\] = 4"), ([0, 1], r"\[0\] = 0")):
        with pytest.raises(
            BadData, match=rf"test labels{odd} is no class of the training samples, whose labels are 1..3"
        ):
            label_columns([1, 2, 3], None, test, source="x")


def test_what_was_made_of_numbers_is_told() -> None:
    """In one sentence; nothing is said of 0..k-1."""
    assert label_columns([0, 1], source="x").notes == ()
    told = "source 'x': labels are not 0..k-1: the 2 numbers that occur are the classes, named by them: 1, 2"
    assert label_columns([1, 2], source="x").notes == (told,)
    many = label_columns(np.arange(909) % 303, source="x")
    assert many.notes == ("source 'x': labels are 303 different numbers, each taken for a class",)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(30), "labels hold 30 different values among 30 samples: those are ids or a quantity, no classes"),
        ([f"file{i}.png" for i in range(30)], "labels hold 30 different values among 30 samples"),
        (
            np.arange(400) * 7 % 151 + 25.0,
            "labels hold 151 different values among 400 samples: those are ids or a quant",
        ),
        (np.linspace(0, 1, 30), r"labels\[1\] = 0.0344828 is no whole number \(28 such entries\): that is a quantity"),
        ([0, np.inf], r"labels\[1\] = inf is no whole number"),
        (
            [0, 1, -1],
            r"labels\[2\] is -1, which is no class \(1 such entries\); leave out samples without a label, and",
        ),
        ([0, np.nan], r"labels\[1\] is NaN, which is no class"),
        (["a", "", "b"], r"labels\[1\] is empty, which is no class"),
        ([[1, 0, 1], [0, 1, 0]], r"labels give sample 0 several classes at once, shape \(2, 3\); expected one class"),
        (np.eye(3), "take the argmax of one-hot rows first"),
        ([[[1]]], r"must be integers of shape \(n,\), got int64 of shape \(1, 1, 1\)"),
    ],
)
def test_what_is_no_column_of_classes_is_refused(labels: Any, message: str) -> None:  # noqa: ANN401
    """Ids, quantities, several classes a sample, and samples without one: which, and what to do."""
    with pytest.raises(BadData, match=message):
        label_columns(labels, source="x")


def test_many_classes_of_few_samples_are_no_ids() -> None:
    """Two samples a class are enough, or names; and of few samples nothing is said."""
    assert len(label_columns(np.arange(40) % 20, source="x").class_names) == 20
    assert len(label_columns(np.arange(19), source="x").class_names) == 19
    names = [str(i) for i in range(30)]
    assert len(label_columns(np.arange(30), class_names=names, source="x").class_names) == 30


def test_noise_stays_among_the_classes_that_occur() -> None:
    """Of ids such as 0, 1000, 2000 no class is invented."""
    labels = np.arange(90) % 3 * 1000
    source = source_from_arrays("x", np.zeros((90, 1)), labels, clean=labels)
    variant = build_variant(source, Symmetric(rate=0.4))
    assert variant.class_names == ("0", "1000", "2000")
    assert (variant.labels != variant.clean).sum() == 36
    assert variant.transition is not None
    assert variant.transition.shape == (3, 3)


def test_minus_one_and_plus_one_are_two_classes() -> None:
    """In numbers and floats; a clean label of -1 is then a class, and NaN is nobody's knowledge; -2 stays."""
    columns = label_columns([-1, 1, 1], [1.0, np.nan, -1.0], [1, -1], source="x")
    assert (columns.class_names, columns.labels.tolist()) == (("-1", "1"), [0, 1, 1])
    assert columns.clean is not None
    assert columns.test_labels is not None
    assert (columns.clean.tolist(), columns.test_labels.tolist()) == ([1, -1, 0], [1, 0])
    assert "which are the two classes; -1 means in no column that nobody knows" in columns.notes[0]
    wrong = label_columns(np.array([-1.0, 1.0]), [-2, 1], source="x").clean
    assert wrong is not None
    assert wrong.tolist() == [-2, 1]
    texts = label_columns(["-1", "1"], [np.nan, 1.0], source="x").clean
    assert texts is not None
    assert texts.tolist() == [-1, 1]
    source = source_from_arrays("x", np.zeros((2, 1)), [-1, 1], test_inputs=np.zeros((1, 1)), test_labels=[-1])
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [0]
    with pytest.raises(
        BadData, match=r"clean labels\[0\] = 0 is no class of the training samples, whose labels are -1 and 1"
    ):
        label_columns([-1, 1], [0, 1], source="x")
    with pytest.raises(
        BadData, match=r"labels\[0\] is -1, which is no class .*, or write them as texts if -1 is a class"
    ):
        label_columns([-1, 0, 1], source="x")
