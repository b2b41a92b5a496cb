"""The embedded digits, against scikit-learn."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import derive


def test_the_split_is_a_stratified_partition_of_scikit_learns_digits(digits: Source) -> None:
    """Every image is there once, and each class is cut in the same proportion to within one image."""
    assert digits.test_inputs is not None
    assert digits.test_labels is not None
    assert digits.inputs.shape == (1437, 8, 8, 1)
    assert digits.test_inputs.shape == (360, 8, 8, 1)
    images, labels = load_digits(return_X_y=True)
    ours = np.column_stack(
        [
            np.concatenate([digits.inputs, digits.test_inputs]).reshape(1797, 64),
            np.concatenate([digits.labels, digits.test_labels]),
        ]
    )
    theirs = np.column_stack([images, labels])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    seed = derive(0, "digits") % 2**32
    train, test = train_test_split(np.arange(1797), test_size=360, stratify=labels, random_state=seed)
    np.testing.assert_array_equal(digits.inputs.reshape(-1, 64), images[train])
    np.testing.assert_array_equal(digits.test_inputs.reshape(-1, 64), images[test])
    assert np.abs(np.bincount(digits.test_labels) - np.bincount(labels) * 360 / 1797).max() < 1


def test_the_split_never_changes(digits: Source) -> None:
    """Variants of digits are compared by the digest of the source, so that it may not move."""
    assert digits.sha256 == "af6bd5ef1479f726fa5fa6c7db9a9d940c0f1f48d18f0e2457cee19ae9aff0bc"
    assert digits.order == "the stratified split of noisybench"
    assert np.array_equal(digits.clean, digits.labels)


def test_digits_that_lie_elsewhere_are_those_of_scikit_learns_function(
    digits: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of scikit-learn may keep its files in another place."""
    monkeypatch.setattr("noisybench.data.sources.digits.find_spec", lambda _: None)
    assert load_source("digits").sha256 == digits.sha256


def test_a_limit_keeps_the_first_samples(digits: Source) -> None:
    """The test set stays whole."""
    few = load_source("digits", limit=10)
    assert np.array_equal(few.inputs, digits.inputs[:10])
    assert few.test_labels is not None
    assert len(few.test_labels) == 360


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """Nobody may believe that their own files were read."""
    with pytest.raises(BadUsage, match="source 'digits' is embedded: leave --data out"):
        load_source("digits", tmp_path)
