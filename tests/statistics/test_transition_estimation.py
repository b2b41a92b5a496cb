"""Estimated transition matrices: exact where theory says so, against loops and cleanlab, and against simulated noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cleanlab.count import compute_confident_joint, estimate_latent
from numpy.typing import NDArray

from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics import transition_estimation
from noisybench.statistics.hoc import Consensus
from noisybench.statistics.transition_estimation import (
    METHODS,
    PERCENTILE,
    estimate_transition,
    transition_error,
)

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TRUE = np.array([[0.8, 0.15, 0.05], [0.1, 0.6, 0.3], [0.02, 0.08, 0.9]])
ANCHORED = ("anchor_points", "anchor_percentile")


def given_by(clean: Labels, transition: Floats, seed: int) -> Labels:
    """Labels drawn from the row of each clean class."""
    rng = np.random.default_rng(seed)
    return (rng.random(len(clean))[:, None] > transition[clean].cumsum(1)).sum(1)


def exact(n: int = 900, *, anchors: float = 0.2) -> tuple[Floats, Labels]:
    """P(given | x) of overlapping classes, of which each has samples that are surely of it, and labels drawn from it."""
    rng = np.random.default_rng(0)
    clean = np.arange(n) % 3
    posterior = rng.dirichlet(np.ones(3), n)
    sure = rng.random(n) < anchors
    posterior[sure] = np.eye(3)[clean[sure]]
    clean = (posterior.cumsum(1) > rng.random((n, 1))).argmax(1)
    return posterior @ TRUE, given_by(clean, TRUE, 1)


def counted(rows: Labels, labels: Labels, k: int) -> Floats:
    """Shares of each label in each row, by a loop; NaN where a row is empty."""
    found = np.zeros((k, k))
    for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
        found[row, label] += 1
    return np.array([row / row.sum() if row.sum() else np.full(k, np.nan) for row in found])


@pytest.mark.parametrize("method", ANCHORED)
def test_anchor_points_of_exact_probabilities_are_the_matrix(method: str) -> None:
    """P(given | x) where x is surely of class i is row i, whatever labels were drawn; also as float32, to its digits."""
    probabilities, labels = exact()
    found = estimate_transition(probabilities, labels, method=method)
    np.testing.assert_allclose(found, TRUE, rtol=0, atol=1e-9)
    rough = estimate_transition(probabilities.astype(np.float32), labels, method=method)
    np.testing.assert_allclose(rough, TRUE, rtol=0, atol=1e-6)


def test_without_a_sure_sample_anchors_understate_the_diagonal() -> None:
    """Then no sample has a probability as high as the diagonal: what is found lies between T and the mean."""
    probabilities, labels = exact(anchors=0)
    found = estimate_transition(probabilities, labels, method="anchor_points")
    assert (found.diagonal() < TRUE.diagonal()).all()
    assert 0.01 < transition_error(found, TRUE).total_variation < 0.2


def test_the_percentile_is_an_order_statistic() -> None:
    """The sample with the smallest probability of the class that at least 97 % of the samples do not exceed."""
    rng = np.random.default_rng(3)
    probabilities, labels = rng.dirichlet(np.full(3, 0.3), 403), rng.integers(0, 3, 403)
    found = estimate_transition(probabilities, labels, method="anchor_percentile")
    for i in range(3):
        order = sorted(range(403), key=lambda sample, i=i: probabilities[sample, i])  # type: ignore[misc]
        place = next(m for m in range(1, 404) if 100 * m >= PERCENTILE * 403)
        np.testing.assert_allclose(found[i], probabilities[order[place - 1]], atol=1e-12)


def test_tied_anchors_are_averaged_so_that_order_does_not_matter() -> None:
    probabilities = np.array([[0.8, 0.2, 0.0], [0.8, 0.0, 0.2], [0.1, 0.9, 0.0], [0.0, 0.3, 0.7]])
    labels = np.array([0, 0, 1, 2])
    found = estimate_transition(probabilities, labels, method="anchor_points")
    np.testing.assert_allclose(found, [[0.8, 0.1, 0.1], [0.1, 0.9, 0], [0, 0.3, 0.7]], atol=1e-12)
    for method in set(METHODS) - {"hoc"}:
        back = estimate_transition(probabilities[::-1], labels[::-1], method=method)
        np.testing.assert_allclose(back, estimate_transition(probabilities, labels, method=method), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_rows_sum_to_1_whatever_the_digits_of_the_probabilities(method: str) -> None:
    """Those of float16 sum to 1 only to three digits."""
    probabilities, labels = exact(300, anchors=0.8)
    found = estimate_transition(probabilities.astype(np.float16), labels, method=method)
    np.testing.assert_allclose(found.sum(1), 1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found, TRUE, atol=0.25)


@pytest.mark.parametrize("method", ["confident_joint", "dual_t"])
def test_certain_predictions_of_the_clean_class_give_the_counted_matrix(method: str) -> None:
    """Then the joint counts every sample in its place, and what dual-T has from anchors is the identity."""
    clean = np.repeat(np.arange(3), [500, 300, 200])
    labels = given_by(clean, TRUE, 2)
    found = estimate_transition(np.eye(3)[clean], labels, method=method)
    np.testing.assert_allclose(found, counted(clean, labels, 3), rtol=0, atol=1e-9)


def test_dual_t_is_its_two_steps() -> None:
    """The row of the anchor times the labels counted among the predicted, by loops."""
    probabilities, labels = exact()
    clubs = np.array(
        [probabilities[probabilities[:, i] >= probabilities[:, i].max() - 1e-12].mean(0) for i in range(3)]
    )
    expected = clubs @ counted(np.array([int(row.argmax()) for row in probabilities]), labels, 3)
    found = estimate_transition(probabilities, labels, method="dual_t")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_dual_t_of_exact_probabilities_counts_the_noise_twice() -> None:
    """Of separate classes P(given | x) is a row of T, and so are the shares that are counted: T T comes out, not T."""
    clean = np.arange(30_000) % 3
    found = estimate_transition(TRUE[clean], given_by(clean, TRUE, 4), method="dual_t")
    np.testing.assert_allclose(found, TRUE @ TRUE, atol=0.01)
    assert transition_error(found, TRUE).total_variation > 0.1


def test_the_joint_is_that_of_cleanlab() -> None:
    """Row by row what cleanlab calls the noise matrix, transposed."""
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet(np.full(6, 0.3), 1500)
    labels = np.where(rng.random(1500) < 0.4, rng.integers(0, 6, 1500), probabilities.argmax(1))
    noise = estimate_latent(compute_confident_joint(labels, probabilities), labels)[1]
    found = estimate_transition(probabilities, labels, method="confident_joint")
    np.testing.assert_allclose(found, noise.T, rtol=0, atol=1e-9)


@pytest.mark.parametrize("certain", [False, True])
def test_neighbours_find_the_matrix_of_simulated_noise(*, certain: bool) -> None:
    """To the error of the counts, from probabilities near each other within a class, or all alike; also from features."""
    rng = np.random.default_rng(6)
    clean = rng.integers(0, 3, 4000)
    labels = given_by(clean, TRUE, 7)
    near = np.eye(3)[clean] if certain else 0.9 * np.eye(3)[clean] + 0.1 * rng.dirichlet(np.ones(3), 4000)
    found = estimate_transition(near, labels, method="hoc")
    np.testing.assert_allclose(found, TRUE, atol=0.05)
    if certain:
        silent = np.full((4000, 3), 1 / 3)
        by_features = estimate_transition(silent, labels, method="hoc", features=near.astype(np.float32))
        np.testing.assert_array_equal(by_features, found)


def test_a_model_that_saw_the_labels_sees_no_noise() -> None:
    """Its probabilities name the given label: every estimate is the identity, though .23 of the labels are wrong."""
    labels = given_by(np.arange(900) % 3, TRUE, 8)
    rng = np.random.default_rng(8)
    fitted = 0.9 * np.eye(3)[labels] + 0.1 * rng.dirichlet(np.ones(3), 900)
    for method in METHODS:
        found = estimate_transition(fitted, labels, method=method)
        assert transition_error(found, np.eye(3)).total_variation < 0.1, method


def absent() -> tuple[Floats, Labels]:
    """Nobody is given class 2, though some are predicted to be of it."""
    probabilities, labels = exact(300, anchors=0.8)
    return probabilities, np.where(labels == 2, 1, labels)


def never_predicted() -> tuple[Floats, Labels]:
    """Class 2 is given, and of no sample the likeliest."""
    probabilities, labels = exact(300)
    probabilities[:, 2] = 1e-3 * probabilities[:, 1]
    return probabilities / probabilities.sum(1, keepdims=True), labels


@pytest.mark.parametrize("method", METHODS)
def test_a_class_that_nobody_is_given_is_unknown(method: str) -> None:
    """Its row is NaN, and no other: those sum to 1."""
    found = estimate_transition(*absent(), method=method)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[:2].sum(1), 1)


@pytest.mark.parametrize("method", ["anchor_points", "anchor_percentile", "confident_joint", "dual_t"])
def test_a_class_without_an_anchor_is_unknown(method: str) -> None:
    """Nobody is predicted to be of it, so nothing is known of how it is labelled; the others' rows sum to 1."""
    probabilities, labels = never_predicted()
    if method == "confident_joint":  # the one sample that is given it is surely of another
        labels = np.where(labels == 2, 1, labels)
        labels[0] = 2
        probabilities[:, 2] = 0
        probabilities /= probabilities.sum(1, keepdims=True)
    found = estimate_transition(probabilities, labels, method=method)
    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(found[:2].sum(1), 1)
    assert (found[:2] >= 0).all()


def test_a_rare_class_has_no_anchor_at_the_percentile() -> None:
    """Of forty classes of 2.5 % each, the sample at the 97th percentile is of another class: all are unknown."""
    clean = np.arange(2000) % 40
    rng = np.random.default_rng(9)
    probabilities = 0.8 * np.eye(40)[clean] + 0.2 * rng.dirichlet(np.ones(40), 2000)
    assert np.isnan(estimate_transition(probabilities, clean, method="anchor_percentile")).all()
    assert np.isfinite(estimate_transition(probabilities, clean, method="anchor_points")).all()


def test_a_class_that_neighbours_cannot_tell_of_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """One label of 3,000 that is nobody's class: its row explains chance; nor is a row believed that no sample stands behind."""
    clean = np.arange(3000) % 2
    labels = given_by(clean, np.array([[0.8, 0.2], [0.3, 0.7]]), 10)
    labels[0] = 2
    near = 0.9 * np.eye(3)[clean] + 0.1 * np.random.default_rng(10).dirichlet(np.ones(3), 3000)
    found = estimate_transition(near, labels, method="hoc")
    np.testing.assert_allclose(found[:2, :2], [[0.8, 0.2], [0.3, 0.7]], atol=0.06)
    assert np.isnan(found[2]).all()
    empty = Consensus(np.eye(3), np.array([0.5, 0.4998, 0.0002]), np.ones(3), 0.0)
    monkeypatch.setattr(transition_estimation, "estimate_consensus", lambda *_: empty)
    np.testing.assert_array_equal(estimate_transition(near, labels, method="hoc"), [[1, 0, 0], [0, 1, 0], [np.nan] * 3])


def test_errors_by_hand() -> None:
    """Rows of which either is unknown are left out; nothing known gives NaN."""
    estimated = np.array([[0.5, 0.5, 0], [0.2, 0.8, 0], [np.nan] * 3])
    truth = np.array([[0.8, 0.1, 0.1], [0.2, 0.8, 0], [0, 0, 1.0]])
    found = transition_error(estimated, truth)
    np.testing.assert_allclose(found.rows, [0.4, 0, np.nan])
    assert found.total_variation == pytest.approx(0.2)
    assert found.relative_l1 == pytest.approx(0.8 / 2)
    assert transition_error(truth, truth)[:2] == (0, 0)
    nothing = transition_error(np.full((2, 2), np.nan), np.eye(2))
    assert np.isnan(nothing[:2]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "anchors"}, BadUsage, "method must be one of anchor_points, .*, got 'anchors'"),
        ({"features": np.eye(4)}, BadUsage, "features are for method='hoc', and 'dual_t' looks at none"),
        ({"labels": np.array([0, 1, 2, 3])}, BadData, r"labels\[3\] = 3 is not a class of 0..2"),
        ({"labels": np.array([0.0, 1, 2, 0])}, BadData, r"labels must be integers of shape \(n,\)"),
        ({"labels": np.array([0, 1, 2])}, BadData, r"pred_probs must be numbers of shape \(n, k\) with n = 3"),
        ({"pred_probs": np.eye(4, 3)}, BadData, r"pred_probs\[3\] sums to 0.0000"),
        ({"method": "hoc", "features": np.eye(3)}, BadData, r"features must be floats of shape \(n, d\) with n = 4"),
    ],
)
def test_what_cannot_be_estimated_from_is_refused(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    given: dict[str, object] = {
        "pred_probs": np.full((4, 3), 1 / 3),
        "labels": np.array([0, 1, 2, 0]),
        "method": "dual_t",
    }
    with pytest.raises(error, match=message):
        estimate_transition(**given | arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("estimated", "truth", "message"),
    [
        (np.eye(2), np.eye(3), r"estimated has shape \(2, 2\), truth \(3, 3\)"),
        (np.eye(2, 3), np.eye(2), r"estimated must be a matrix of shape \(k, k\), got \(2, 3\)"),
        (np.eye(2), 2 * np.eye(2), r"row 0 of truth is no distribution \(2 such rows\)"),
        (np.eye(2), np.array([[1, 0], [-0.5, 1.5]]), r"row 1 of truth is no distribution \(1 such rows\)"),
        (np.ones(4), np.eye(2), "estimated must be an array of numbers of 2 dimensions"),
    ],
)
def test_what_is_no_transition_matrix_is_refused(estimated: Floats, truth: Floats, message: str) -> None:
    with pytest.raises(BadData, match=message):
        transition_error(estimated, truth)


def test_errors_on_cifar_10n(data: Path) -> None:
    """Worse labels and published held-out probabilities, against the matrix counted from the official labels."""
    with np.load(data / "pred_probs" / "cifar10n_worse__resnet18.npz") as file:
        probabilities = file["pred_probs"]
    human = torch.load(data / "cifar_n" / "CIFAR-10_human.pt", weights_only=False)
    labels, clean = (np.asarray(human[name]).astype(np.int64) for name in ("worse_label", "clean_label"))
    truth = counted(clean, labels, 10)
    expected = {"anchor_points": 0.3835, "anchor_percentile": 0.1390, "confident_joint": 0.0416, "dual_t": 0.0425}
    for method, value in expected.items():  # hoc compares 50,000 samples with each other: tests/benchmarks
        found = transition_error(estimate_transition(probabilities, labels, method=method), truth)
        assert found.total_variation == pytest.approx(value, abs=5e-5)
        assert found.relative_l1 == pytest.approx(2 * found.total_variation)
