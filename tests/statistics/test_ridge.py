"""Leave-one-out ridge against regressions that were really fitted without the sample, or without its group."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from noisybench.ground import checks
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics import ridge, spectrum
from noisybench.statistics.ridge import PENALTIES, leave_one_out_ridge
from noisybench.statistics.spectrum import centred_units

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
SHAPES = {"more samples": (60, 7), "more features": (30, 80), "few features": (60, 3)}


def drawn(n: int, d: int, *, classes: int = 4, seed: int = 0) -> tuple[Floats, Labels]:
    rng = np.random.default_rng(seed)
    return rng.normal(3, 2, size=(n, d)), rng.integers(0, classes, n)


def refitted(features: Floats, labels: Labels, k: int, groups: Labels, penalty: float) -> Floats:
    """Answers of a regression that is fitted anew without each group."""
    x = features - features.mean(0)
    x = np.c_[x / np.linalg.norm(x, axis=1, keepdims=True), np.ones(len(x))]
    answers = np.empty((len(x), k))
    for group in np.unique(groups):
        own = groups == group
        rest = x[~own]
        weights = np.linalg.solve(rest.T @ rest + penalty * np.eye(x.shape[1]), rest.T @ np.eye(k)[labels[~own]])
        answers[own] = x[own] @ weights
    return answers


def margins(answers: Floats, labels: Labels) -> Floats:
    return np.array([max(np.delete(row, label)) - row[label] for row, label in zip(answers, labels, strict=True)])


def grouped(n: int, kind: str) -> Labels | None:
    """No groups, groups of several sizes in any order, or one that holds half of the samples."""
    random = np.random.default_rng(1).integers(0, 9, n) * 7 - 20
    return {"alone": None, "several": random, "half": np.maximum(np.arange(n) - n // 2, 0)}[kind]


@pytest.mark.parametrize("kind", ["alone", "several", "half"])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_are_those_of_refits(shape: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To rounding in float64, of one sample or a group that is left out, also one larger than the number of features."""
    n, d = SHAPES[shape]
    features, labels = drawn(n, d)
    groups = grouped(n, kind)
    penalties = (0.001, 0.1, 10.0)
    found = leave_one_out_ridge(features, labels, 4, groups=groups, penalties=penalties)
    expected = np.stack(
        [refitted(features, labels, 4, np.arange(n) if groups is None else groups, p) for p in penalties]
    )
    np.testing.assert_allclose(found.answers, expected.mean(0), atol=1e-11)
    of_each = np.stack([margins(answers, labels) for answers in expected])
    ranks = (rankdata(of_each.round(9), axis=1) - 1) / (n - 1)
    np.testing.assert_allclose(found.suspicion, ranks.mean(0), atol=1e-12)
    hits = (expected.argmax(2) == labels).sum(1)
    best = max(range(3), key=lambda i: (hits[i], penalties[i]))
    assert found.chosen == penalties[best]
    np.testing.assert_allclose(found.margin_at_chosen, of_each[best], atol=1e-11)
    for module in (ridge, spectrum):
        monkeypatch.setattr(module, "BLOCK", 40)
    again = leave_one_out_ridge(features, labels, 4, groups=groups, penalties=penalties)
    np.testing.assert_allclose(again.answers, found.answers, atol=1e-12)


def test_leverage_is_the_diagonal_of_the_hat_matrix() -> None:
    """At the chosen penalty, in [0, 1), whatever the groups."""
    features, labels = drawn(40, 6)
    x = np.c_[centred_units(features, 40), np.ones(40)]
    for groups in (None, np.arange(40) // 2):
        found = leave_one_out_ridge(features, labels, 4, groups=groups)
        hat = x @ np.linalg.solve(x.T @ x + found.chosen * np.eye(7), x.T)
        np.testing.assert_allclose(found.leverage, np.diag(hat), atol=1e-12)


@pytest.mark.parametrize("kind", ["alone", "several"])
def test_cooks_distance_is_that_of_refits(kind: str) -> None:
    """How far the weights move without a sample, in the metric of XᵀX + λI; of a group leverage and answers without it."""
    features, labels = drawn(40, 6)
    groups = grouped(40, kind)
    found = leave_one_out_ridge(features, labels, 4, groups=groups)
    x = np.c_[centred_units(features, 40), np.ones(40)]
    metric = x.T @ x + found.chosen * np.eye(7)
    one_hot = np.eye(4)[labels]
    if groups is None:
        whole = np.linalg.solve(metric, x.T @ one_hot)
        for i in range(40):
            rest = np.arange(40) != i
            without = np.linalg.solve(metric - np.outer(x[i], x[i]), x[rest].T @ one_hot[rest])
            moved = np.trace((whole - without).T @ metric @ (whole - without))
            assert found.cooks_distance[i] == pytest.approx(moved, rel=1e-9)
    else:
        answers = refitted(features, labels, 4, groups, found.chosen)
        expected = found.leverage * ((answers - one_hot) ** 2).sum(1)
        np.testing.assert_allclose(found.cooks_distance, expected, rtol=1e-9)


def test_scale_shift_and_order_change_nothing() -> None:
    """Features that are multiplied, moved or permuted, in float32 or float64, and huge ones."""
    features, labels = drawn(50, 8)
    found = leave_one_out_ridge(features, labels, 4)
    order = np.random.default_rng(2).permutation(50)
    for other in (features * 1e200, features / 1e30 + 1e-29, features.astype(np.float32)):
        again = leave_one_out_ridge(other[order], labels[order], 4)
        np.testing.assert_allclose(again.answers, found.answers[order], atol=1e-6)


def test_copies_that_share_an_error_are_found_only_as_a_group() -> None:
    """Each sample twice: alone they vouch for each other, left out together they do not."""
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 3, 100), 2)
    features = np.repeat(rng.normal(size=(100, 300)), 2, axis=0) + 2 * rng.normal(size=(3, 300))[labels]
    wrong = np.zeros(200, dtype=np.bool_)
    wrong[:16] = True
    given = np.where(wrong, (labels + 1) % 3, labels)
    alone = leave_one_out_ridge(features, given, 3, penalties=(0.1,))
    together = leave_one_out_ridge(features, given, 3, groups=np.arange(200) // 2, penalties=(0.1,))
    assert set(np.argsort(-together.suspicion)[:16]) == set(range(16))
    assert alone.margin_at_chosen[wrong].mean() < 0 < together.margin_at_chosen[wrong].min()


def test_equal_samples_with_one_label_are_tied() -> None:
    """Rounding orders nobody; a class with one sample is all that is suspicious; a flat feature says nothing."""
    features, labels = drawn(40, 5)
    features[1:5], labels[1:5] = features[0], labels[0]
    found = leave_one_out_ridge(features, labels, 5)
    assert len(set(found.suspicion[:5])) == 1
    assert 0 <= found.suspicion.min() <= found.suspicion.max() <= 1
    single = np.r_[np.repeat([0, 1], 10), 2]
    apart = leave_one_out_ridge(np.eye(3)[single] + 0.01 * drawn(21, 3)[0], single, 3)
    assert apart.suspicion.argmax() == 20
    np.testing.assert_allclose(apart.answers[20, 2], 0, atol=1e-12)
    flat = leave_one_out_ridge(np.full((8, 3), 0.1), np.array([0] * 5 + [1] * 3), 2)
    assert (flat.suspicion[:5] < flat.suspicion[5:].min()).all()  # the rarer class, and nothing else
    assert leave_one_out_ridge(np.array([[0.0], [1.0]]), np.array([0, 1]), 2).answers.shape == (2, 2)


@pytest.mark.parametrize(
    ("features", "labels", "more", "error", "message"),
    [
        (np.ones((4, 2)), None, {}, BadData, r"features must be floats of shape \(n, d\) with n = 5, got float64 of shape"),
        (np.ones((5, 2), dtype=np.int64), None, {}, BadData, r"got int64 of shape \(5, 2\)"),
        ([[1.0, 2.0]] * 5, None, {}, BadData, r"features must be floats of shape \(n, d\) with n = 5, got list"),
        (np.array([[1, 2]] * 4 + [[np.nan, 0]]), None, {}, BadData, r"features\[4\] holds .* not finite \(1 such rows\)"),
        (None, np.full(5, 2), {}, BadData, "all 5 labels are class 2; expected at least two classes"),
        (None, np.arange(5), {}, BadData, r"labels\[3\] = 3 is not a class of 0..2 \(2 such entries\)"),
        (np.ones((1, 2)), np.array([1]), {}, BadData, "features of 1 sample, expected at least two"),
        (None, None, {"groups": np.arange(4)}, BadData, r"groups must be integers of shape \(n,\) with n = 5, .* \(4,\)"),
        (None, None, {"groups": np.ones(5)}, BadData, "got float64 of shape"),
        (None, None, {"groups": [1] * 5}, BadData, "got list"),
        (None, None, {"groups": np.full(5, 3)}, BadData, "groups put all 5 samples into one, so that nothing is left"),
        (None, None, {"penalties": (1, 0)}, BadUsage, r"penalties must be numbers above 0, at least one, got \(1, 0\)"),
        (None, None, {"penalties": ()}, BadUsage, "at least one"),
        (None, None, {"penalties": (np.nan,)}, BadUsage, "above 0"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused(
    features: Floats | None, labels: Labels | None, more: dict[str, NDArray[np.float64]], error: type, message: str
) -> None:
    """One sentence with what was wrong and what was expected."""
    features = drawn(5, 2)[0] if features is None else features
    labels = np.array([0, 1, 2, 0, 1]) if labels is None else labels
    with pytest.raises(error, match=message):
        leave_one_out_ridge(features, labels, 3, **more)  # type: ignore[arg-type]


def test_what_is_beyond_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples × classes, and a matrix that is large on both sides."""
    monkeypatch.setattr(checks, "MOST_CELLS", 19)
    with pytest.raises(BadUsage, match=r"an answer of ridge regression for each class would hold 5 × 4 numbers"):
        leave_one_out_ridge(*drawn(5, 2), 4)
    monkeypatch.setattr(spectrum, "MOST_SIDE", 4)
    with pytest.raises(
        BadUsage, match=r"5 samples of 7 features need .* 5 × 5, and at most 4 .* fewer dimensions, such"
    ):
        leave_one_out_ridge(*drawn(5, 6, classes=3), 3)
    assert len(PENALTIES) > 1
    assert min(PENALTIES) >= 0.1
