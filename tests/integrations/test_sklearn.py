"""The scikit-learn estimator keeps scikit-learn's contract, and finds what was planted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from noisybench.integrations.sklearn import MislabelDetector


@parametrize_with_checks([MislabelDetector()])  # type: ignore[untyped-decorator]
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:  # noqa: ANN401
    """All of scikit-learn's own checks, none of which is expected to fail."""
    check(estimator)


@pytest.fixture(scope="module")
def wine() -> tuple[Any, Any, Any]:
    """Inputs, names of classes of which every twelfth is wrong, and which these are."""
    inputs, classes = load_wine(return_X_y=True)
    wrong = np.arange(len(classes)) % 12 == 5
    labels = np.array(["barbera", "barolo", "grignolino"])[np.where(wrong, (classes + 1) % 3, classes)]
    return inputs, labels, wrong


def test_planted_errors_are_found_and_mended(wine: tuple[Any, Any, Any]) -> None:
    """In a pipeline with a scaler; what it suggests is never the label."""
    inputs, labels, wrong = wine
    found = make_pipeline(StandardScaler(), MislabelDetector()).fit(inputs, labels)[-1]
    assert set(np.argsort(-found.suspicion_)[: wrong.sum()]) == set(np.flatnonzero(wrong))
    assert found.suspects_[wrong].all()
    assert found.suspects_[~wrong].mean() < 0.06
    assert (found.suggested_ != labels).all()
    right = np.array(["barbera", "barolo", "grignolino"])[load_wine(return_X_y=True)[1]]
    assert (found.suggested_[wrong] == right[wrong]).all()
    assert found.held_out_probabilities_.shape == (len(labels), 3)


def test_it_classifies(wine: tuple[Any, Any, Any]) -> None:
    """New samples, as texts; by the classes that it holds for right more often than by those that were given."""
    inputs, labels, wrong = wine
    assert cross_val_score(make_pipeline(StandardScaler(), MislabelDetector()), inputs, labels, cv=2).mean() > 0.85
    model = make_pipeline(StandardScaler(), MislabelDetector()).fit(inputs, labels)
    assert (model.predict(inputs)[wrong] != labels[wrong]).mean() > 0.5
    np.testing.assert_allclose(model.predict_proba(inputs).sum(1), 1)


def test_groups_are_no_evidence_for_each_other(wine: tuple[Any, Any, Any]) -> None:
    """Five copies that share a wrong label stay suspicious, whether they are found or told."""
    inputs, labels, _ = wine
    scaled = StandardScaler().fit_transform(inputs)
    copies = np.concatenate([scaled, np.repeat(scaled[[5]], 5, 0)])
    twice = np.concatenate([labels, np.repeat(labels[[5]], 5)])
    found = MislabelDetector().fit(copies, twice)
    assert len(set(found.groups_[[5, *range(len(labels), len(twice))]])) == 1
    assert found.suspects_[[5, *range(len(labels), len(twice))]].all()
    names = np.array([f"bottle {i}" for i in range(len(labels))] + ["bottle 5"] * 5)
    told = MislabelDetector().fit(copies + np.linspace(0, 1e-3, len(copies))[:, None], twice, groups=names)
    assert told.suspects_[[5, *range(len(labels), len(twice))]].all()


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_samples_without_a_group_are_alone(wine: tuple[Any, Any, Any], missing: object) -> None:
    """However a missing group is written; as one group they would all be held out together."""
    inputs, labels, _ = wine
    groups = ["a" if i < 2 else missing for i in range(len(labels))]
    found = MislabelDetector().fit(StandardScaler().fit_transform(inputs), labels, groups=groups)
    assert found.groups_[0] == found.groups_[1]
    assert len(set(found.groups_)) == len(labels) - 1


def test_folds_follow_the_random_state(wine: tuple[Any, Any, Any]) -> None:
    """The same seed gives the same bits; another, or None, other folds."""
    inputs, labels, _ = wine
    first, again, other = (MislabelDetector(random_state=seed).fit(inputs, labels) for seed in (0, 0, 1))
    assert np.array_equal(first.held_out_probabilities_, again.held_out_probabilities_)
    assert not np.array_equal(first.held_out_probabilities_, other.held_out_probabilities_)


def test_labels_of_one_class_are_refused() -> None:
    with pytest.raises(ValueError, match=r"y has one class, a; expected at least two"):
        MislabelDetector().fit(np.eye(3), ["a", "a", "a"])
