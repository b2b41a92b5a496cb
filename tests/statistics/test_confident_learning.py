"""Confident learning, against cleanlab and loops over samples."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanlab.count import compute_confident_joint, estimate_latent
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from noisybench.detection.scoring import score
from noisybench.ground.arrays import check_probabilities, row_blocks
from noisybench.ground.errors import BadData
from noisybench.ground.lookup import find
from noisybench.statistics.confident_learning import (
    confident_joint,
    estimate_noise,
    find_issues,
    normalized_margin,
    self_confidence,
)
from noisybench.training.trace import Column, Trace

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]


def drawn(n: int, k: int, seed: int, *, rate: float = 0.3, spread: float = 0.3) -> tuple[Labels, Floats]:
    """Probabilities, and labels drawn from them of which some are wrong."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(k, spread), n)
    clean = (probabilities.cumsum(1) > rng.random((n, 1))).argmax(1)
    return np.where(rng.random(n) < rate, rng.integers(0, k, n), clean), probabilities


def with_rare_class() -> tuple[Labels, Floats]:
    """Two samples of class 3, one of which is predicted so."""
    labels, probabilities = drawn(500, 4, 8)
    labels = labels % 3
    labels[:2] = 3
    probabilities[0] = 0.02, 0.02, 0.02, 0.94
    return labels, probabilities


def scattered_class() -> tuple[Labels, Floats]:
    """Class 0 has three samples, each predicted to be of another class: none would be left of it."""
    labels, probabilities = drawn(500, 4, 8)
    labels = labels % 3 + 1
    labels[:3] = 0
    probabilities[:3] = 0.9 * np.eye(4)[1:] + 0.025
    return labels, probabilities


def without_one_class() -> tuple[Labels, Floats]:
    """Nobody is given class 2 of 5, though some are predicted so."""
    labels, probabilities = drawn(607, 5, 4)
    return np.where(labels == 2, 0, labels), probabilities


def never_predicted() -> tuple[Labels, Floats]:
    """Class 0 is given, and of no sample the most likely one."""
    labels, probabilities = drawn(600, 4, 5)
    probabilities[:, 0] = 1e-3 * probabilities[:, 1]
    return labels, probabilities / probabilities.sum(1, keepdims=True)


def around_the_thresholds() -> tuple[Labels, Floats]:
    """Two values a class, so that thresholds lie between them, and argmax and threshold often disagree."""
    labels, probabilities = drawn(901, 3, 6, spread=8)
    probabilities *= [3, 1, 1]
    return labels, probabilities / probabilities.sum(1, keepdims=True)


CASES = {
    "two classes": drawn(300, 2, 0),
    "ten classes": drawn(2001, 10, 1),
    "thirty classes, small": drawn(200, 30, 2, spread=0.1),
    "hundred classes": drawn(3000, 100, 3, spread=0.03),
    "much noise": drawn(1500, 6, 7, rate=0.9),
    "rare class": with_rare_class(),
    "scattered class": scattered_class(),
    "absent class": without_one_class(),
    "never predicted": never_predicted(),
    "thresholds": around_the_thresholds(),
}
cases = pytest.mark.parametrize("case", sorted(CASES))


@pytest.fixture(autouse=True)
def _stable_cleanlab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have cleanlab treat equal remainders alike on every machine; NumPy's own sort does not."""
    monkeypatch.setattr(np, "argsort", partial(np.argsort, kind="stable"))


def issues_of_cleanlab(labels: Labels, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "May not flag all label issues")  # it says so of classes of one sample
        return np.asarray(find_label_issues(labels, probabilities, n_jobs=1))


@cases
def test_joint_and_issues_are_cleanlabs(case: str) -> None:
    """The confident joint, raw and calibrated, entry by entry, and the set of issues sample by sample."""
    labels, probabilities = CASES[case]
    raw = confident_joint(labels, probabilities, calibrated=False)
    assert np.array_equal(raw, compute_confident_joint(labels, probabilities, calibrate=False))
    joint = confident_joint(labels, probabilities)
    assert np.array_equal(joint, compute_confident_joint(labels, probabilities))
    assert np.array_equal(joint.sum(1), np.bincount(labels, minlength=len(joint)))
    issues = find_issues(labels, probabilities)
    assert np.array_equal(issues, issues_of_cleanlab(labels, probabilities))
    assert 0 < issues.sum() < len(labels)


@cases
def test_blocks_of_a_memory_map_give_what_the_whole_does(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single precision, mapped from a file and looked at some rows at a time: cleanlab's answers of all rows as float64."""
    labels, wide = CASES[case]
    rows, k = 37, wide.shape[1]
    np.save(tmp_path / "x.npy", wide.astype(np.float32))
    monkeypatch.setattr("noisybench.ground.arrays.BLOCK", rows * k)
    assert [part.stop - part.start for part in row_blocks((2 * rows + 1, k))] == [rows, rows, 1]
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    wide = mapped.astype(np.float64)
    assert np.array_equal(confident_joint(labels, mapped), compute_confident_joint(labels, wide))
    assert np.array_equal(find_issues(labels, mapped), issues_of_cleanlab(labels, wide))
    here = np.arange(len(labels))
    own, others = wide[here, labels], wide.copy()
    others[here, labels] = -1
    np.testing.assert_array_equal(self_confidence(labels, mapped), own)
    np.testing.assert_array_equal(normalized_margin(labels, mapped), (own - others.max(1) + 1) / 2)


def test_what_is_odd_is_counted_over_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first odd row of all, how many there are, and entries before sums, in whatever block they stand."""
    monkeypatch.setattr("noisybench.ground.arrays.BLOCK", 6)
    for kind in (np.float16, np.float32, np.float64):
        values = np.full((10, 3), 1 / 3, dtype=kind)
        values[[1, 8]] = 0.5
        with pytest.raises(BadData, match=r"probabilities\[1\] sums to 1.5000 \(2 such rows\)"):
            check_probabilities(values, 10)
        values[5, 2], values[9] = np.nan, -1
        with pytest.raises(BadData, match=r"probabilities\[5\] holds nan, which is no probability \(2 such rows\)"):
            check_probabilities(values, 10)


@cases
def test_noise_estimates_are_cleanlabs(case: str) -> None:
    """Prior, P(given | clean) and P(clean | given) where something can be said; NaN where nothing can."""
    labels, probabilities = CASES[case]
    found = estimate_noise(labels, probabilities)
    joint = compute_confident_joint(labels, probabilities)
    prior, noise, inverse = estimate_latent(joint, labels)
    if case == "scattered class":  # by default cleanlab takes it for empty, though samples of others are counted there
        prior = estimate_latent(joint, labels, py_method="marginal")[0]
    some = joint.sum(0) > 0
    np.testing.assert_allclose(found.prior, prior, rtol=0, atol=1e-9 if some.all() else 2e-6)  # 1e-6 is its least
    np.testing.assert_allclose(found.transition[some], noise.T[some], rtol=0, atol=1e-9)
    given = joint.sum(1) > 0
    np.testing.assert_allclose(found.inverse[given], inverse.T[given], rtol=0, atol=1e-9)
    assert np.isnan(found.transition[~some]).all()
    assert np.isnan(found.inverse[~given]).all()
    assert found.rate == pytest.approx((joint.sum() - joint.trace()) / len(labels))


@cases
def test_quality_scores_are_cleanlabs(case: str) -> None:
    """Self-confidence and normalized margin, without adjustment."""
    labels, probabilities = CASES[case]
    for function, method in ((self_confidence, "self_confidence"), (normalized_margin, "normalized_margin")):
        expected = get_label_quality_scores(labels, probabilities, method=method, adjust_pred_probs=False)
        np.testing.assert_allclose(function(labels, probabilities), expected, rtol=0, atol=1e-12)


def test_an_absent_class_has_no_row_and_no_prior() -> None:
    """Nobody given class 2: nothing is counted for it, and it is nobody's issue."""
    labels, probabilities = CASES["absent class"]
    found = estimate_noise(labels, probabilities)
    assert found.prior[2] == 0
    assert np.isnan(found.transition[2]).all()
    assert np.isnan(found.inverse[2]).all()
    assert not found.transition[[0, 1, 3, 4], 2].any()


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_few_samples_have_estimates_too(samples: int) -> None:
    """One to three samples, of one class or of several, agree with cleanlab's joint and are scored."""
    for labels in (np.zeros(samples, dtype=np.int64), np.arange(samples)):
        probabilities = np.eye(4)[::-1][:samples] * 0.6 + 0.1
        assert np.array_equal(confident_joint(labels, probabilities), compute_confident_joint(labels, probabilities))
        assert find_issues(labels, probabilities).shape == (samples,)
        assert 0 <= estimate_noise(labels, probabilities).rate <= 1


def test_the_estimate_is_near_the_planted_noise() -> None:
    """With confident probabilities of the clean class, rate and transition matrix are those that were drawn."""
    rng = np.random.default_rng(0)
    law = np.array([[0.9, 0.1, 0.0], [0.0, 0.7, 0.3], [0.2, 0.0, 0.8]])
    clean = rng.choice(3, 20_000, p=[0.5, 0.3, 0.2])
    labels = (law[clean].cumsum(1) > rng.random((20_000, 1))).argmax(1)
    probabilities = 0.85 * np.eye(3)[clean] + 0.15 * rng.dirichlet([1, 1, 1], 20_000)
    found = estimate_noise(labels, probabilities)
    assert found.rate == pytest.approx((labels != clean).mean(), abs=0.005)
    np.testing.assert_allclose(found.transition, law, atol=0.02)
    np.testing.assert_allclose(found.prior, [0.5, 0.3, 0.2], atol=0.01)
    assert np.array_equal(find_issues(labels, probabilities), labels != clean)


def test_ties_do_not_depend_on_the_order_of_samples() -> None:
    """Coarse probabilities, permuted: the same issues, which hold all of cleanlab's, and more only where they tie."""
    labels, exact = drawn(800, 5, 9)
    probabilities = np.round(exact * 4) / 4
    keep = probabilities.sum(1) == 1
    labels, probabilities = labels[keep], probabilities[keep]
    issues = find_issues(labels, probabilities)
    order = np.random.default_rng(0).permutation(len(labels))
    assert np.array_equal(find_issues(labels[order], probabilities[order]), issues[order])
    theirs = issues_of_cleanlab(labels, probabilities)
    assert not (theirs & ~issues).any()
    margins = probabilities - probabilities[np.arange(len(labels)), labels, None]
    for sample in np.flatnonzero(issues & ~theirs):
        assert (margins[theirs & (labels == labels[sample])] == margins[sample]).any(0).any()
    assert issues.sum() > theirs.sum()


def test_half_precision_is_accepted() -> None:
    """A file of float16 is within the tolerance, and equals its own values in float64."""
    labels, probabilities = drawn(500, 100, 1)
    half = probabilities.astype(np.float16)
    assert np.abs(half.astype(np.float64).sum(1) - 1).max() > 1e-5
    assert np.array_equal(find_issues(labels, half), find_issues(labels, half.astype(np.float64)))


def changed(row: int, value: float | list[float]) -> Floats:
    probabilities = np.full((6, 4), 0.25)
    probabilities[row, : len(value) if isinstance(value, list) else 1] = value
    return probabilities


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (
            np.full((5, 4), 0.25),
            r"^p must be numbers of shape \(n, k\) with n = 6 and .*, got float64 of shape \(5, 4\)$",
        ),
        (np.full(6, 0.25), r"got float64 of shape \(6,\)$"),
        (np.ones((6, 1)), r"k at least 2, got float64 of shape \(6, 1\)$"),
        (np.full((6, 4, 1), 0.25), r"got float64 of shape \(6, 4, 1\)$"),
        (np.array([["a", "b"]] * 6), r"got <U1 of shape \(6, 2\)$"),
        (
            changed(3, np.nan),
            r"^p\[3\] holds nan, which is no probability \(1 such rows\); expected .* did not see the",
        ),
        (changed(2, np.inf), r"^p\[2\] holds inf, which"),
        (changed(5, [-0.25, 0.75]), r"^p\[5\] holds -0.25, which"),
        (changed(0, [1.25, -0.5]), r"^p\[0\] holds 1.25, which"),
        (
            changed(1, 0.2),
            r"^p\[1\] sums to 0.9500 \(1 such rows\), expected 1 within 0.001; give the softmax over all",
        ),
    ],
)
def test_what_is_no_distribution_is_refused(probabilities: NDArray[np.float64], message: str) -> None:
    """One sentence with the row, the value and what was expected."""
    with pytest.raises(BadData, match=message):
        check_probabilities(probabilities, 6, what="p")


def test_labels_must_be_classes_of_the_probabilities() -> None:
    """A label beyond the columns is named."""
    with pytest.raises(BadData, match=r"labels\[1\] = 4 is not a class of 0..3 \(1 such entries\)"):
        self_confidence(np.array([0, 4]), np.full((2, 4), 0.25))


def test_real_probabilities_give_cleanlabs_answer_and_the_published_one(data: Path) -> None:
    """CIFAR-10N worse with cross-validated probabilities: joint, issues, scores and the known AUROC of 0.9634."""
    with np.load(data / "pred_probs" / "cifar10n_worse__resnet18.npz") as file:
        probabilities = file["pred_probs"]
    human = torch.load(data / "cifar_n" / "CIFAR-10_human.pt", weights_only=False)
    labels = np.asarray(human["worse_label"]).astype(np.int64)
    wrong = labels != np.asarray(human["clean_label"])
    assert np.array_equal(confident_joint(labels, probabilities), compute_confident_joint(labels, probabilities))
    issues = find_issues(labels, probabilities)
    assert np.array_equal(issues, issues_of_cleanlab(labels, probabilities))
    prior, noise, _ = estimate_latent(compute_confident_joint(labels, probabilities), labels)
    found = estimate_noise(labels, probabilities)
    np.testing.assert_allclose(found.prior, prior, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.transition, noise.T, rtol=0, atol=1e-9)
    for function in (self_confidence, normalized_margin):
        expected = get_label_quality_scores(labels, probabilities, method=function.__name__)
        np.testing.assert_allclose(function(labels, probabilities), expected, rtol=0, atol=1e-7)  # float32 there
    suspicion = 1 - self_confidence(labels, probabilities)
    assert roc_auc_score(wrong, suspicion) == pytest.approx(0.9634, abs=5e-5)
    assert average_precision_score(wrong, suspicion) == pytest.approx(0.9512, abs=5e-5)


def test_detectors_of_a_pool_equal_their_definitions() -> None:
    """Each detector's score is that of a plain loop over samples; the issues stand above 1, all others below."""
    labels, probabilities = drawn(200, 5, 2)
    rng = np.random.default_rng(0)
    votes, shares = rng.dirichlet(np.ones(5), 200), rng.dirichlet(np.ones(5), 200)
    columns = {
        "given": labels,
        "held_out.probabilities": probabilities,
        "held_out.votes": votes,
        "held_out.consistency": rng.random(200),
        "neighbours.labels": shares,
    }
    at = np.array([1])
    trace = Trace({name: Column(at, values[None].astype(np.float32)) for name, values in columns.items()}, "0" * 64)
    issues = find_issues(labels, probabilities)
    rows = range(200)
    expected: dict[str, list[float]] = {
        "self_confidence": [1 - probabilities[i, labels[i]] for i in rows],
        "normalized_margin": [
            (1 - probabilities[i, labels[i]] + np.delete(probabilities[i], labels[i]).max()) / 2 for i in rows
        ],
        "confident_learning": [1 - probabilities[i, labels[i]] + issues[i] for i in rows],
        "held_out_error": [1 - votes[i, labels[i]] for i in rows],
        "c_score": [1 - columns["held_out.consistency"][i] for i in rows],
        "ensemble_disagreement": [
            sum(p * q for a, p in enumerate(v) for b, q in enumerate(v) if a != b) for v in votes
        ],
        "knn": [1 - shares[i, labels[i]] for i in rows],
    }
    for name, values in expected.items():
        assert "training" not in find("detectors", name).fed_by
        np.testing.assert_allclose(score(trace, find("detectors", name)).values, values, rtol=0, atol=1e-6)
    assert np.array_equal(score(trace, find("detectors", "confident_learning")).values > 1, issues)


def test_many_classes_of_few_samples_are_counted_as_in_a_full_matrix() -> None:
    """More classes than samples: rounding and pruning of the k × k matrix, written out here."""
    rng = np.random.default_rng(5)
    n, k = 120, 150
    labels = rng.integers(0, 40, n)
    probabilities = rng.random((n, k)) ** 6
    probabilities[np.arange(n), np.where(rng.random(n) < 0.7, labels, rng.integers(0, 60, n))] += 2
    probabilities /= probabilities.sum(1, keepdims=True)
    raw = confident_joint(labels, probabilities, calibrated=False)
    sizes = np.bincount(labels, minlength=k)
    expected = raw / raw.sum(1, keepdims=True) * sizes[:, None]
    joint = expected.round()
    for row, size in enumerate(sizes):
        order = np.argsort(expected[row] - expected[row].round(), kind="stable")
        lost = int(size - joint[row].sum())
        joint[row, order[::-1][:lost] if lost > 0 else order[:-lost]] += np.sign(lost)
    np.testing.assert_array_equal(confident_joint(labels, probabilities), joint)
    issues = np.zeros(n, dtype=bool)
    for i, j in np.argwhere((joint > 0) & ~np.eye(k, dtype=bool)):
        if joint[i, i] > 0:
            members = np.flatnonzero(labels == i)
            margins = probabilities[members, j] - probabilities[members, i]
            issues[members[margins >= np.sort(margins)[::-1][int(joint[i, j]) - 1]]] = True
    np.testing.assert_array_equal(find_issues(labels, probabilities), issues & (probabilities.argmax(1) != labels))
    assert issues.any()
