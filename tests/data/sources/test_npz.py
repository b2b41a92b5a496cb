"""Sources from a file of arrays, against the arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.data.loading import load_source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage

WHOLE: dict[str, Any] = {
    "inputs": np.arange(24, dtype=np.uint8).reshape(6, 2, 2),
    "labels": np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8),
    "clean": np.array([0, 1, 1, -1, 1, 2]),
    "test_inputs": np.zeros((2, 2, 2), dtype=np.uint8),
    "test_labels": np.array([0, 1]),
    "class_names": np.array(["a", "b", "c"]),
}


def test_all_arrays_are_read(tmp_path: Path) -> None:
    """Grey images get their channel, and labels their type."""
    np.savez(tmp_path / "whole.npz", **WHOLE)
    source = load_source("npz", tmp_path / "whole.npz", limit=4)
    assert np.array_equal(source.inputs[..., 0], WHOLE["inputs"][:4])
    assert source.labels.tolist() == [0, 1, 2, 0]
    assert source.labels.dtype == np.int64
    assert source.clean.tolist() == [0, 1, 1, -1]
    assert source.class_names == ("a", "b", "c")
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [0, 1]


def test_inputs_and_labels_are_enough(tmp_path: Path) -> None:
    """Nothing is then known of the right labels, and classes are named by their numbers."""
    np.savez_compressed(tmp_path / "x.npz", inputs=np.eye(3), labels=[0, 2, 1])
    source = load_source("npz", tmp_path / "x.npz")
    assert source.inputs.dtype == np.float32
    assert (source.clean == UNKNOWN).all()
    assert source.class_names == ("0", "1", "2")
    assert source.test_inputs is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "x.npz has no array 'labels'; it has: inputs, clean, test_inputs, test_labels, class_names"),
        (
            {"labels": np.array(["a"] * 6, dtype=object)},
            "array 'labels' of .*x.npz holds Python objects, which are nev",
        ),
        ({"labels": np.eye(6, 3)}, r"must be integers of shape \(n,\), got float64 of shape \(6, 3\); take the argmax"),
        ({"labels": np.arange(6)}, r"source 'npz': labels\[3\] = 3 is not a class of 0..2 \(3 such entries\)"),
        ({"labels": np.arange(5) % 3, "clean": None}, "has 6 inputs, 5 labels and 5 clean labels; expected as many of"),
        ({"clean": np.arange(5) % 3}, "has 6 inputs, 6 labels and 5 clean labels"),
        ({"class_names": np.array([1, 2, 3])}, r"class_names of .*x.npz must be strings of shape \(k,\), got int64 of"),
        ({"test_labels": None}, "has test inputs or test labels without the other; give both or neither"),
        ({"test_inputs": np.zeros((2, 3, 3), np.uint8)}, r"test inputs of shape \(2, 3, 3, 1\) and 2 test labels; exp"),
        ({"inputs": np.full((6, 2), np.nan)}, r"inputs of source 'npz' must be finite, row 0 is not \(6 such rows\)"),
        ({"inputs": np.array(["a"] * 6)}, "inputs of source 'npz' must be numbers, got <U1"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """One sentence: which array, what it is, what it should be."""
    arrays = {name: array for name, array in {**WHOLE, **change}.items() if array is not None}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(BadData, match=message) as caught:
        load_source("npz", tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    """Missing, cut off, of one array, damaged inside, a text, or not given at all."""
    with pytest.raises(BadUsage, match="source 'npz' needs a file: say --data FILE, with arrays inputs and labels"):
        load_source("npz")
    file = tmp_path / "x.npz"
    with pytest.raises(
        BadData,
        match=r"x.npz cannot be read: No such file or directory; expected a .npz file with arrays inputs, labels",
    ):
        load_source("npz", file)
    np.savez(file, **WHOLE)
    whole = file.read_bytes()
    for content in (whole[:-50], b"", b"inputs,labels\n1,2\n"):
        file.write_bytes(content)
        with pytest.raises(BadData, match=r"x.npz is truncated or no .npz file; expected a .npz file with arrays"):
            load_source("npz", file)
    damaged = whole.replace(WHOLE["inputs"].tobytes(), b"x" * WHOLE["inputs"].nbytes)
    assert damaged != whole
    file.write_bytes(damaged)
    with pytest.raises(BadData, match=r"array 'inputs' of .*x.npz is broken \(BadZipFile\); copy or save the file"):
        load_source("npz", file)
    np.save(tmp_path / "x.npy", WHOLE["inputs"])
    with pytest.raises(BadData, match=r"x.npy holds one array without a name; expected a .npz file with arrays"):
        load_source("npz", tmp_path / "x.npy")
    with pytest.raises(BadData, match="cannot be read: Is a directory; expected a .npz file"):
        load_source("npz", tmp_path)


@pytest.mark.parametrize(
    ("inputs", "labels", "test_inputs", "test_labels"),
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("X", "y", "X_test", "y_test"),
    ],
)
def test_the_usual_names_of_arrays_are_known(
    tmp_path: Path, inputs: str, labels: str, test_inputs: str, test_labels: str
) -> None:
    """As MedMNIST and Keras write them, with labels in one column; what is not read is told."""
    arrays = {
        inputs: WHOLE["inputs"],
        labels: WHOLE["labels"][:, None],
        "val_images": WHOLE["inputs"],
        test_inputs: WHOLE["test_inputs"],
        test_labels: WHOLE["test_labels"][:, None],
    }
    np.savez(tmp_path / "x.npz", **arrays)
    source = load_source("npz", tmp_path / "x.npz")
    assert np.array_equal(source.inputs[..., 0], WHOLE["inputs"])
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert source.test_labels is not None
    assert source.test_labels.tolist() == [0, 1]
    names = f"{inputs}, {labels}, {test_inputs}, {test_labels}"
    assert source.notes == (f"inputs and labels are the arrays {names}; val_images is not read",)


def test_labels_may_be_texts(tmp_path: Path) -> None:
    """Names of classes, declared or not."""
    arrays = {name: WHOLE[name] for name in ("inputs", "class_names")}
    np.savez(tmp_path / "x.npz", **arrays, labels=["b", "a", "b", "a", "b", "a"])
    assert load_source("npz", tmp_path / "x.npz").labels.tolist() == [1, 0, 1, 0, 1, 0]
    np.savez(tmp_path / "x.npz", inputs=WHOLE["inputs"], labels=["10", "9", "9", "9", "9", "10"])
    source = load_source("npz", tmp_path / "x.npz")
    assert source.class_names == ("9", "10")
    assert source.labels.tolist() == [1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("labels", ["labels", "label", "y", "y_train", "train_labels", "given_labels", "noisy_labels"])
def test_labels_may_stand_alone(tmp_path: Path, labels: str) -> None:
    """Under any usual name, with right ones, ids and probabilities beside them, which are told."""
    arrays: dict[str, Any] = {
        labels: [[1], [0], [1], [0]],
        "true_labels": [1, 1, 0, -1],
        "ids": [7, 5, 3, 1],
        "pred_probs": np.eye(4, 2),
        "weights": np.ones(4),
        "y_test": [0],
    }
    np.savez(tmp_path / "x.npz", **arrays)
    source = load_source("npz", tmp_path / "x.npz", limit=3)
    assert source.inputs is None
    assert source.labels.tolist() == [1, 0, 1]
    assert source.clean.tolist() == [1, 1, 0]
    assert source.sample_names == ["7", "5", "3"]
    assert source.test_labels is None
    told = [] if labels == "labels" else [f"labels are the array {labels}"]
    assert list(source.notes[:-2]) == [
        *told,
        "right labels are the array true_labels",
        "samples are called as in the array ids",
        "not read: pred_probs, weights",
    ]
    assert source.notes[-2] == "the test set has no inputs and is left out"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"y": [0, 1], "embedding": np.eye(2)},
            "no array 'inputs'; it has: y, embedding; call 'embedding' so, or leave",
        ),
        ({"y": [0, 1], "x_test": np.eye(2), "y_test": [0, 1]}, "has no array 'inputs'; it has: y, x_test, y_test"),
        (
            {"labels": [0, 1], "noisy_labels": [1, 1]},
            "has arrays labels, noisy_labels; expected one of them: call the giv",
        ),
        (
            {"labels": [0, 1], "clean": [0, 1], "true_labels": [0, 1]},
            "has arrays clean, true_labels; expected one of th",
        ),
        ({"pred_probs": np.eye(2)}, "has no array 'inputs'; it has: pred_probs"),
    ],
)
def test_what_may_be_inputs_is_never_left_out(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """An array of another name that has a row for each label; two arrays of labels; none."""
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(BadData, match=message):
        load_source("npz", tmp_path / "x.npz")


def test_further_arrays_beside_inputs_are_told_or_refused(tmp_path: Path) -> None:
    """Right labels of any usual name are read; two arrays of given labels could each be meant."""
    arrays: dict[str, Any] = {"inputs": np.eye(3), "labels": [0, 1, 1]}
    np.savez(tmp_path / "x.npz", **arrays, true_labels=[0, 1, -1], weights=[1, 2, 3])
    source = load_source("npz", tmp_path / "x.npz")
    assert source.clean.tolist() == [0, 1, -1]
    assert source.notes == ("right labels are the array true_labels", "weights is not read")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"noisy_labels": [0, 0, 1]}, "has arrays labels, noisy_labels; expected one of them: call the given"),
        ({"clean": [0, 1, 1], "clean_labels": [0, 1, 1]}, "has arrays clean, clean_labels; expected one of them"),
    ]
    for more, message in cases:
        np.savez(tmp_path / "x.npz", **arrays, **more)
        with pytest.raises(BadData, match=message):
            load_source("npz", tmp_path / "x.npz")


def test_answers_need_neither_inputs_nor_labels(tmp_path: Path) -> None:
    """A matrix of answers, in the file or beside it; silent rows are left out, names go with the others."""
    answers = np.array([[0, 1, 1], [-1, -1, -1], [1, -1, 1], [0, 0, -1]])
    np.savez(tmp_path / "x.npz", answers=answers, clean=[1, 0, 1, 1], ids=["a", "b", "c", "d"])
    source = load_source("npz", tmp_path / "x.npz")
    assert source.inputs is None
    assert source.labels.tolist() == [1, 1, 0]
    assert source.clean.tolist() == [1, 1, 1]
    assert source.sample_names == ["a", "c", "d"]
    assert source.answers is not None
    assert source.answers.sample.tolist() == [0, 0, 0, 1, 1, 2, 2]
    np.savez(tmp_path / "x.npz", votes=answers)
    alone = load_source("npz", tmp_path / "x.npz", answers="votes", limit=2)
    assert (alone.labels.tolist(), alone.sample_names) == ([1, 1], ["0", "2"])
    np.savez(tmp_path / "x.npz", labels=[0, 1, 1, 0])
    np.save(tmp_path / "m.npy", answers)
    column = load_source("npz", tmp_path / "x.npz", answers=str(tmp_path / "m.npy"))
    assert column.labels.tolist() == [0, 1, 1, 0]
    assert column.answers is not None
    np.savez(tmp_path / "x.npz", votes=answers, embedding=np.eye(4))
    with pytest.raises(BadData, match="no array 'inputs'; it has: votes, embedding; call 'embedding' so"):
        load_source("npz", tmp_path / "x.npz", answers="votes")
    (tmp_path / "a.csv").write_text("item,annotator,answer\n0,a,1\n")
    np.savez(tmp_path / "x.npz", class_names=["u", "v"])
    with pytest.raises(BadData, match="no array that says how many samples there are"):
        load_source("npz", tmp_path / "x.npz", answers=str(tmp_path / "a.csv"))
    np.savez(tmp_path / "x.npz", labels=[0, 1])
    with pytest.raises(BadUsage, match="aggregate=majority says how answers make the given labels, and there are none"):
        load_source("npz", tmp_path / "x.npz", aggregate="majority")
