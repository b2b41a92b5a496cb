"""Held-out logistic regression against scikit-learn fold by fold, and how samples are dealt to folds."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from noisybench.ground import checks
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics import linear_probe
from noisybench.statistics.linear_probe import STRENGTHS, deal_folds, held_out_probabilities

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(n: int, d: int, *, classes: int = 3, spread: float = 1.0, seed: int = 0) -> tuple[Floats, Labels]:
    """Samples around the means of their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, d))[labels] + spread * rng.normal(size=(n, d)), labels


def refitted(features: Floats, labels: Labels, fold: Labels, strength: float, k: int) -> Floats:
    """Probabilities by a model that was fitted, from the start, without the fold."""
    x = features - features.mean(0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = PCA(min(256, *x.shape), svd_solver="full").fit(x).components_ @ x.T
    probabilities = np.zeros((len(labels), k))
    for i in np.unique(fold):
        model = LogisticRegression(C=strength, max_iter=2000, tol=1e-6).fit(x.T[fold != i], labels[fold != i])
        probabilities[np.ix_(fold == i, model.classes_)] = model.predict_proba(x.T[fold == i])
    return probabilities


@pytest.mark.parametrize(("classes", "d"), [(2, 4), (3, 30), (4, 300)])
def test_probabilities_are_those_of_models_without_the_fold(classes: int, d: int) -> None:
    """Of the strength with the least log loss of the given labels, near enough where L-BFGS stops early."""
    features, labels = drawn(100, d, classes=classes, spread=2)
    found = held_out_probabilities(features, labels, classes)
    fold = deal_folds(labels, np.arange(100), 5, 0)
    losses = {c: log_loss(labels, refitted(features, labels, fold, c, classes)) for c in STRENGTHS}
    assert found.strength == min(STRENGTHS, key=lambda c: losses[c])
    np.testing.assert_allclose(
        found.probabilities, refitted(features, labels, fold, found.strength, classes), atol=0.05
    )
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test_the_seed_decides_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed gives the same bits, another other folds; many samples choose the strength on one fold."""
    features, labels = drawn(120, 6)
    first, again = (held_out_probabilities(features, labels, 3, seed=4) for _ in range(2))
    assert first.probabilities.tobytes() == again.probabilities.tobytes()
    assert not np.array_equal(held_out_probabilities(features, labels, 3, seed=5).probabilities, first.probabilities)
    monkeypatch.setattr(linear_probe, "SMALL", 50)
    large = held_out_probabilities(features, labels, 3, seed=4)
    np.testing.assert_allclose(large.probabilities.sum(1), 1)
    if large.strength == first.strength:
        np.testing.assert_allclose(large.probabilities, first.probabilities, atol=0.02)


def test_no_label_of_a_fold_decides_its_own_answers() -> None:
    """Changed labels of one fold, at a strength that stays, leave the fold's probabilities as they were."""
    features, labels = drawn(60, 5)
    fold = deal_folds(labels, np.arange(60), 5, 0)
    own = fold == 2
    parts = [
        linear_probe._Probe(features.astype(np.float32), given, 3, np.flatnonzero(~own), np.flatnonzero(own))
        for given in (labels, np.where(own, 0, labels))
    ]
    first, second = (part.answers(1.0) for part in parts)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("classes", [2, 4, 40])
def test_folds_are_even_in_every_class(classes: int) -> None:
    """Without groups each class, also one of fewer samples than folds, differs by at most one, and so do the folds."""
    labels = np.random.default_rng(0).choice(
        classes, 203, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    )
    fold = deal_folds(labels, np.arange(203), 5, 0)
    for label in np.unique(labels):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    sizes = np.bincount(fold, minlength=5)
    assert sizes.max() - sizes.min() <= max(2, classes // 8)
    assert not np.array_equal(fold, deal_folds(labels, np.arange(203), 5, 1))


def test_groups_stay_whole() -> None:
    """Of every size; folds have about equal sizes, and fewer groups than folds are a fold each."""
    rng = np.random.default_rng(0)
    groups = np.unique(rng.integers(0, 60, 400) // rng.integers(1, 4, 400), return_inverse=True)[1]
    labels = rng.integers(0, 3, 400)
    fold = deal_folds(labels, groups, 5, 0)
    for group in range(groups.max() + 1):
        assert len(set(fold[groups == group])) == 1
    sizes = np.bincount(fold, minlength=5)
    assert sizes.max() < 1.5 * sizes.min()
    few = np.arange(400) % 3
    assert len(np.unique(np.c_[few, deal_folds(labels, few, 5, 0)], axis=0)) == 3


def test_copies_that_share_an_error_are_told_apart_only_by_groups() -> None:
    """Left in several folds, copies tell each other's wrong label."""
    features, labels = drawn(40, 50, spread=2)
    features, labels = np.repeat(features, 4, axis=0), np.repeat(labels, 4)
    given = np.where(np.arange(160) < 24, (labels + 1) % 3, labels)
    rows = np.arange(24)
    alone = held_out_probabilities(features, given, 3).probabilities[rows, given[:24]].mean()
    together = held_out_probabilities(features, given, 3, groups=np.arange(160) // 4).probabilities
    assert together[rows, given[:24]].mean() < 0.3
    assert alone > 0.6


def test_rare_classes_and_few_samples_are_answered() -> None:
    """A class that no model without its samples knows has probability 0; two samples know one class each."""
    features, labels = drawn(31, 4)
    labels[:] = np.arange(31) % 2
    labels[30] = 3
    found = held_out_probabilities(features, labels, 5).probabilities
    assert found[30, 3] == 0
    assert (found[:, [2, 4]] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1)
    assert held_out_probabilities(features[:2], labels[:2], 2).probabilities.tolist() == [[0, 1], [1, 0]]
    flat = held_out_probabilities(np.full((40, 3), 0.1), np.arange(40) % 4 // 3, 2).probabilities
    np.testing.assert_allclose(flat[:, 0], 0.75, atol=0.02)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"features": np.ones((4, 2))}, BadData, r"features must be floats of shape \(n, d\) with n = 6"),
        ({"features": np.full((6, 2), np.inf)}, BadData, r"features\[0\] holds .* not finite \(6 such rows\)"),
        ({"labels": np.zeros(6, dtype=np.int64)}, BadData, "all 6 labels are class 0; expected at least two classes"),
        ({"labels": np.arange(6)}, BadData, r"labels\[3\] = 3 is not a class of 0..2"),
        ({"groups": np.zeros(6, dtype=np.int64)}, BadData, "groups put all 6 samples into one"),
        ({"folds": 1}, BadUsage, "folds must be at least 2, got 1"),
        ({"folds": 2.5}, BadUsage, "folds must be a whole number, got 2.5"),
        ({"seed": -1}, BadUsage, "seed must not be negative, got -1"),
    ],
)
def test_what_is_none_is_refused(change: dict[str, object], error: type, message: str) -> None:
    """One sentence with what was wrong and what was expected."""
    given = {"features": drawn(6, 2)[0], "labels": np.arange(6) % 3, **change}
    with pytest.raises(error, match=message):
        held_out_probabilities(num_classes=3, **given)  # type: ignore[arg-type]


def test_probabilities_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of samples × classes, before anything is computed."""
    monkeypatch.setattr(checks, "MOST_CELLS", 17)
    with pytest.raises(BadUsage, match=r"a probability of each class for each sample would hold 6 × 3 numbers"):
        held_out_probabilities(drawn(6, 2)[0], np.arange(6) % 3, 3)
