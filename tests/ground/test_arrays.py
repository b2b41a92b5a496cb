"""Label arrays: checks and digests, against hashlib."""

import hashlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.ground.arrays import UNKNOWN, WRONG, as_labels, check_labels, read_only
from noisybench.ground.digests import fingerprint, label_digest
from noisybench.ground.errors import BadData


def test_good_labels_come_back_read_only() -> None:
    """The array that was given can still be written to; what came back cannot."""
    labels = np.array([0, 1, 2])
    checked = check_labels(labels, 3)
    assert np.shares_memory(checked, labels)
    with pytest.raises(ValueError, match="read-only"):
        checked[0] = 1
    labels[0] = 1
    assert check_labels(np.array([0, UNKNOWN]), 1, allow_unknown=True).tolist() == [0, -1]
    assert check_labels(np.array([], dtype=np.int64), 0).size == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 9, 3, 12, 10]), r"^labels\[3\] = 12 is not a class of 0..9 \(2 such entries\)$"),
        (np.array([0, UNKNOWN]), r"^labels\[1\] = -1 is not a class of 0..9 \(1 such entries\)$"),
        (np.array([0, 1], dtype=np.int32), r"^labels must be int64 of shape \(n,\), got int32 of shape \(2,\)$"),
        (np.zeros((3, 1), dtype=np.int64), r"^labels must be int64 of shape \(n,\), got int64 of shape \(3, 1\)$"),
    ],
)
def test_a_label_that_is_no_class_is_named(labels: NDArray[Any], message: str) -> None:
    """The message says which, how many, and what the classes are."""
    with pytest.raises(BadData, match=message):
        check_labels(labels, 10)


def test_unknown_and_wrong_are_the_only_classes_below_zero() -> None:
    """Another negative number is a mistake, even where labels may be unknown."""
    assert check_labels(np.array([UNKNOWN, WRONG, 2]), 3, allow_unknown=True).tolist() == [-1, -2, 2]
    with pytest.raises(BadData, match=r"clean\[2\] = -3 is not a class of 0..2 \(1 such entries\)"):
        check_labels(np.array([UNKNOWN, WRONG, -3]), 3, allow_unknown=True, what="clean")


@pytest.mark.parametrize("values", [[3, 0], (3, 0), np.array([3, 0], np.uint8), np.array([3, 0], np.int32)])
def test_integers_of_any_kind_become_labels(values: Any) -> None:  # noqa: ANN401 - whatever a file holds
    """A small unsigned type does not overflow later."""
    labels = as_labels(values)
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 1.0], r"must be integers of shape \(n,\), got float64 of shape \(2,\); number the classes 0..k-1$"),
        (np.eye(3), r"got float64 of shape \(3, 3\); take the argmax of one-hot rows first$"),
        (["a", "b"], r"got <U1 of shape \(2,\); number the classes 0..k-1$"),
        ([True, False], r"got bool of shape \(2,\); number the classes 0..k-1$"),
        (4, r"got int64 of shape \(\); number the classes 0..k-1$"),
    ],
)
def test_anything_else_is_refused_as_labels(values: Any, message: str) -> None:  # noqa: ANN401
    """Nothing is rounded, raveled or decoded."""
    with pytest.raises(BadData, match=message):
        as_labels(values)


def test_digests_are_those_of_the_bytes_they_promise() -> None:
    """Little-endian int64, whatever order the array is in; the fingerprint is of single bytes."""
    expected = hashlib.sha256(b"".join(int(k).to_bytes(8, "little", signed=True) for k in (5, -1, 7))).hexdigest()
    labels = np.array([5, -1, 7])
    assert label_digest(labels) == label_digest(labels.astype(">i8")) == expected
    assert label_digest(np.array([5, 0, -1, 0, 7])[::2]) == expected
    assert fingerprint(np.array([1, 2, 255])) == hashlib.sha256(b"\x01\x02\xff").hexdigest()


def test_a_read_only_view_leaves_its_array_alone() -> None:
    """No copy is made."""
    array = np.zeros(3)
    view = read_only(array)
    array[0] = 1
    assert view[0] == 1
    assert not view.flags.writeable
