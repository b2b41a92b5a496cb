"""Sources from arrays, against hashlib and the rules that their docstrings give."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from noisybench.data.source import Source, check_unchanged, source_digest, source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, Mismatch, UnknownName

IMAGES = np.arange(5 * 3 * 2, dtype=np.uint8).reshape(5, 3, 2)
LABELS = np.array([0, 2, 1, 2, 0])


def test_inputs_are_brought_to_their_two_forms() -> None:
    """Images get a channel axis and keep their bytes; features of any real type become float32."""
    images = source_from_arrays("x", IMAGES, LABELS)
    assert np.array_equal(images.inputs[..., 0], IMAGES)
    assert images.input_shape == (1, 3, 2)
    for features in (np.eye(5), np.eye(5, dtype=np.int64), np.eye(5, dtype=bool), np.eye(5).tolist()):
        source = source_from_arrays("x", features, LABELS)
        assert source.inputs.dtype == np.float32
        assert np.array_equal(source.inputs, np.eye(5))
        assert source.input_shape == (5,)


def test_what_is_not_given_is_unknown() -> None:
    """Clean labels are then -1, classes are named by their numbers, and there is no test set."""
    source = source_from_arrays("x", IMAGES, LABELS)
    assert (source.clean == UNKNOWN).all()
    assert source.class_names == ("0", "1", "2")
    assert source.num_classes == 3
    assert source.test_inputs is None
    named = source_from_arrays("x", IMAGES, LABELS, clean=[0, 2, 5, 2, -1])
    assert named.class_names == ("0", "1", "2", "5")  # a class that only the clean labels have; 3 and 4 are none
    assert named.clean.tolist() == [0, 2, 3, 2, -1]


def test_labels_may_stand_alone() -> None:
    """Their note says what works; test labels are left out, and what has no inputs has no shape of one."""
    test: dict[str, Any] = {"clean": [0, 2, 2, 2, 0], "test_labels": LABELS, "sample_names": list("abcde")}
    source = source_from_arrays("mine", None, LABELS, limit=3, **test)
    assert source.inputs is None
    assert (source.labels.tolist(), source.clean.tolist()) == ([0, 2, 1], [0, 2, 2])
    assert (source.test_labels, source.sample_names) == (None, ["a", "b", "c"])
    assert source.notes[0] == "the test set has no inputs and is left out"
    assert source.notes[1].startswith(
        "there are labels and no inputs: 'noisybench score' brings probabilities or scores"
    )
    assert repr(source).startswith("Source('mine', 3 samples without inputs, 3 classes, sha256 ")
    refused = "a model needs inputs, and source 'mine' has labels alone; name the inputs when you build it, or bring"
    with pytest.raises(BadUsage, match=refused):
        _ = source.input_shape
    with pytest.raises(BadData, match="has test inputs and no inputs to train on; give both or neither"):
        source_from_arrays("mine", None, LABELS, test_inputs=IMAGES, test_labels=LABELS)
    with pytest.raises(BadData, match="has 3 inputs, 3 labels and 5 clean labels; expected as many of each"):
        replace(source, clean=LABELS)


def test_no_inputs_have_a_digest_of_their_own() -> None:
    """The word none and the labels. No inputs give the same bytes: a type of theirs begins otherwise."""
    words = LABELS.astype("<i8").tobytes()
    assert source_from_arrays("x", None, LABELS).sha256 == hashlib.sha256(b"none" + words).hexdigest()
    assert source_digest(None, LABELS) != source_digest(None, LABELS[:4])
    others = [IMAGES, np.eye(5), np.zeros((5, 1)), np.frombuffer(b"none" + words, np.uint8)[:40].reshape(5, 8)]
    digests = {source_from_arrays("x", inputs, LABELS).sha256 for inputs in others}
    assert source_digest(None, LABELS) not in digests
    assert not any(np.dtype(kind).name.startswith("n") for kind in ("uint8", "float32"))  # all that inputs can be


def test_a_limit_keeps_the_first_samples_and_all_classes() -> None:
    """Classes do not depend on it; one that cuts nothing is none, so that the provenance does not differ."""
    test: dict[str, Any] = {"test_inputs": IMAGES, "test_labels": LABELS}
    source = source_from_arrays("x", IMAGES, LABELS, clean=LABELS, limit=1, **test)
    assert (len(source.inputs), source.labels.tolist(), source.clean.tolist()) == (1, [0], [0])
    assert (source.num_classes, source.limit) == (3, 1)
    assert source.test_labels is not None
    assert len(source.test_labels) == 5
    for limit in (5, 6, None):
        assert source_from_arrays("x", IMAGES, LABELS, limit=limit).limit is None
    for limit in (0, -1):
        with pytest.raises(BadUsage, match=f"limit must be at least 1, got {limit}"):
            source_from_arrays("x", IMAGES, LABELS, limit=limit)
    limited = source_from_arrays("x", IMAGES, LABELS, limit=np.int64(2))  # type: ignore[arg-type]
    assert type(limited.limit) is int
    for nonsense in (True, 2.0):
        with pytest.raises(BadUsage, match=f"limit must be a whole number, got {nonsense}"):
            source_from_arrays("x", IMAGES, LABELS, limit=nonsense)  # type: ignore[arg-type]


def test_an_augmentation_that_does_not_exist_is_refused() -> None:
    """With the nearest, or all."""
    for name, hint in (("rotate", "there are: none, crop, crop_flip"), ("crop-flip", "did you mean 'crop_flip'")):
        with pytest.raises(UnknownName, match=f"no augmentation is called '{name}'; {hint}"):
            source_from_arrays("x", IMAGES, LABELS, augmentation=name)  # type: ignore[arg-type]


def test_nothing_can_be_written_to() -> None:
    """Neither through the source, nor is the caller's array locked."""
    inputs, labels = IMAGES.copy(), LABELS.copy()
    source = source_from_arrays("x", inputs, labels, clean=labels, test_inputs=inputs, test_labels=labels)
    for name in ("inputs", "labels", "clean", "test_inputs", "test_labels"):
        assert not getattr(source, name).flags.writeable
    inputs[0] = 0
    labels[0] = 0


def test_the_digest_is_of_type_shape_inputs_and_labels() -> None:
    """Any of the four makes another source; the order of bytes in memory and how a view is cut do not."""
    inputs = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    expected = hashlib.sha256(b"float32 (5, 7)" + inputs.tobytes() + LABELS.astype("<i8").tobytes()).hexdigest()
    assert source_digest(inputs, LABELS) == expected
    assert source_digest(inputs.astype(">f4"), LABELS) == expected
    assert source_digest(np.asfortranarray(inputs), LABELS) == expected
    assert source_digest(inputs.reshape(5, 7, 1), LABELS) != expected
    assert source_digest(inputs, LABELS + 1) != expected
    assert source_digest(inputs[::-1], LABELS) != expected


def test_a_large_array_is_digested_in_pieces() -> None:
    """40 MB in pieces of 16 give the digest of the whole."""
    inputs = np.random.default_rng(0).random((1000, 10_000)).astype(np.float32)
    labels = np.zeros(1000, dtype=np.int64)
    whole = hashlib.sha256(b"float32 (1000, 10000)" + inputs.tobytes() + labels.tobytes()).hexdigest()
    assert source_digest(inputs, labels) == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 2])}, "source 'x' has 5 inputs, 3 labels and 5 clean labels; expected as many of"),
        ({"clean": np.array([0, 1])}, "source 'x' has 5 inputs, 5 labels and 2 clean labels; expected as many of each"),
        ({"labels": LABELS + 1}, r"source 'x': labels\[1\] = 3 is not a class of 0..2 \(2 such entries\)"),
        ({"labels": LABELS - 1}, r"source 'x': labels\[0\] = -1 is not a class of 0..2"),
        ({"clean": LABELS - 3}, r"source 'x': clean labels\[0\] = -3 is not a class of 0..2"),
        ({"test_labels": LABELS + 1}, r"source 'x': test labels\[1\] = 3 is not a class of 0..2"),
        (
            {"labels": LABELS + 0.5},
            r"source 'x': labels\[0\] = 0.5 is no whole number \(5 such entries\): that is a quant",
        ),
        ({"labels": np.stack([LABELS] * 2, 1)}, r"labels give sample \d several classes|must be integers of shape"),
        ({"test_labels": None}, "source 'x' has test inputs or test labels without the other; give both or neither"),
        ({"test_inputs": IMAGES[:4]}, r"test inputs of shape \(4, 3, 2, 1\) and 5 test labels; expected \(m, 3, 2, 1"),
        ({"test_inputs": IMAGES[:, :2]}, r"test inputs of shape \(5, 2, 2, 1\) and 5 test labels; expected \(m, 3, 2"),
        ({"inputs": IMAGES * 1.0}, r"inputs of source 'x' must be images \(n, h, w, c\) uint8 or features \(n, d\), g"),
        ({"inputs": LABELS}, r"must be images .* got int64 of shape \(5,\)"),
        ({"inputs": [["a"]] * 5}, "inputs of source 'x' must be numbers, got <U1"),
        ({"inputs": np.eye(5) * 1j}, "inputs of source 'x' must be numbers, got complex128"),
        (
            {"inputs": np.diag([1, np.inf, 1, np.nan, 1])},
            r"must be finite, row 1 is not \(\d such rows\); drop or impute",
        ),
        ({"test_inputs": np.full((5, 2), np.nan)}, r"test inputs of source 'x' must be finite, row 0 is not \(5 such"),
    ],
)
def test_arrays_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    """One sentence: which array, what it is, what it should be."""
    good: dict[str, Any] = {
        "inputs": IMAGES, "labels": LABELS, "clean": LABELS, "test_inputs": IMAGES, "test_labels": LABELS,
        "class_names": ["a", "b", "c"],
    }  # fmt: skip
    with pytest.raises(BadData, match=message):
        source_from_arrays("x", **{**good, **change})


@pytest.mark.parametrize(
    "inputs",
    [
        np.ma.masked_array(np.zeros((5, 2)), np.eye(5, 2, dtype=bool)),
        torch.zeros(5, 2, requires_grad=True),
        torch.zeros(5, 2).bfloat16(),
        np.zeros((5, 2)).astype(object),
    ],
)
def test_inputs_of_another_kind_are_refused(inputs: object) -> None:
    """Never the value below a mask, and never an error of NumPy's or torch's own."""
    with pytest.raises(BadData, match="inputs of source 'x'"):
        source_from_arrays("x", inputs, LABELS)


def test_an_array_that_changes_later_is_noticed() -> None:
    """A source holds the caller's array, so its digest is compared before anything is trained."""
    images = IMAGES.copy()
    source = source_from_arrays("x", images, LABELS)
    check_unchanged(source)
    images[0, 0, 0] += 1
    with pytest.raises(Mismatch, match="were changed after it was made"):
        check_unchanged(source)


def test_a_changed_copy_is_checked_too(digits: Source) -> None:
    """The invariants hold for every instance, however it was made."""
    with pytest.raises(BadData, match=r"source 'digits': labels\[\d+\] = 9 is not a class of 0..8"):
        replace(digits, class_names=digits.class_names[:9])


def test_test_samples_without_a_label_are_left_out() -> None:
    """As benchmarks withhold them; where all are, there is no test set. It is said."""
    test: dict[str, Any] = {"test_inputs": IMAGES, "test_labels": [-1, 0, 2, -1, 1]}
    source = source_from_arrays("x", IMAGES, LABELS, **test)
    assert np.array_equal(source.test_inputs[..., 0], IMAGES[[1, 2, 4]])
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [0, 2, 1]
    assert source.notes == ("the test set: 2 of 5 samples have no label (-1 or missing) and are left out",)
    none = source_from_arrays("x", IMAGES, LABELS, **{**test, "test_labels": [np.nan] * 5}, class_names=list("abc"))
    assert none.test_inputs is none.test_labels is None
    assert none.notes == ("the test set has no labels (-1 or missing) and is left out",)
