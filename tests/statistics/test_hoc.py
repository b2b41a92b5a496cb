"""Transition matrices from how neighbours agree: known ones are found again, and the gradient is that of differences."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from noisybench.ground.errors import BadData
from noisybench.statistics import hoc
from noisybench.statistics.hoc import LEAST, MOST, estimate_consensus, ranks_above_right

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TRANSITION = np.array([[0.8, 0.15, 0.05], [0.1, 0.6, 0.3], [0.02, 0.08, 0.9]])
PRIOR = np.array([0.5, 0.3, 0.2])


def test_a_known_matrix_is_found_again() -> None:
    """Where each sample and its two nearest share the true class and err independently; to the error of the counts."""
    rng = np.random.default_rng(0)
    n = 30_000
    clean = np.repeat(rng.choice(3, n // 3, p=PRIOR), 3)
    labels = (rng.random(n)[:, None] > TRANSITION[clean].cumsum(1)).sum(1)
    triples = np.arange(n).reshape(-1, 3)
    two = np.stack([triples[:, [1, 2]], triples[:, [2, 0]], triples[:, [0, 1]]], axis=1).reshape(n, 2)
    found = estimate_consensus(labels, two, 3)
    np.testing.assert_allclose(found.transition, TRANSITION, atol=0.03)
    np.testing.assert_allclose(found.prior, PRIOR, atol=0.03)
    np.testing.assert_allclose(found.transition.sum(1), 1)
    right = PRIOR * TRANSITION.diagonal() / (PRIOR @ TRANSITION)
    np.testing.assert_allclose(found.right, np.clip(right, LEAST, MOST), atol=0.03)
    assert found.mismatch < 0.01
    again = estimate_consensus(labels, two, 3)
    assert np.array_equal(again.transition, found.transition)


def dense(t: Floats, p: Floats, triples: Labels) -> float:
    """The three norms from arrays of k, k² and k³ numbers."""
    k, m = len(p), len(triples)
    counted = np.zeros((k, k, k))
    np.add.at(counted, tuple(triples.T), 1 / m)
    expected = np.einsum("y,ya,yb,yc->abc", p, t, t, t)
    pairs = np.einsum("y,ya,yb->ab", p, t, t)
    return float(
        np.linalg.norm(counted.sum((1, 2)) - p @ t)
        + np.linalg.norm(counted.sum(2) - pairs)
        + np.linalg.norm(counted - expected)
    )


def test_its_loss_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is that of the dense arrays, the gradient that of finite differences, also in small chunks."""
    monkeypatch.setattr(hoc, "CELLS", 20)
    rng = np.random.default_rng(1)
    triples = rng.integers(0, 4, (60, 3))
    counted = hoc._Counted.of(triples, 4)
    logits = rng.normal(size=20)
    loss, gradient = hoc._mismatch(logits, counted, 4)
    t, p = hoc._softmax(logits[:16].reshape(4, 4)), hoc._softmax(logits[16:])
    assert loss == pytest.approx(dense(t, p, triples), abs=1e-9)

    def alone(at: Floats) -> float:
        return hoc._mismatch(at, counted, 4)[0]

    expected = approx_fprime(logits, alone, 1e-7)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_who_lacks_neighbours_is_left_out() -> None:
    labels, two = np.array([0, 1, 0, 1]), np.array([[2, -1], [3, -1], [0, -1], [1, -1]])
    with pytest.raises(BadData, match="no sample has two others outside its group"):
        estimate_consensus(labels, two, 2)
    two[0] = [2, 1]
    assert np.isfinite(estimate_consensus(labels, two, 2).transition).all()


def test_as_many_ranks_are_above_0_as_labels_are_wrong() -> None:
    """In each class those with the fewest votes, ties sharing a rank."""
    votes = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.2, 0.8], [0.8, 0.2], [0.8, 0.2]])
    found = ranks_above_right(votes, np.array([0, 0, 0, 0, 1, 1]), np.array([0.5, 0.6]))
    np.testing.assert_allclose(found[:4], [-0.375, -0.125, 0.375, 0.125])
    np.testing.assert_allclose(found[4:], -0.1)
