"""Shapley values of nearest neighbours against the sum over all subsets."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.statistics import shapley, similarity
from noisybench.statistics.shapley import knn_shapley

Labels = NDArray[np.int64]


def utility(chosen: tuple[int, ...], order: list[int], agree: NDArray[np.bool_], voters: int) -> float:
    nearest = [j for j in order if j in chosen][:voters]
    return float(sum(agree[j] for j in nearest)) / voters


def by_subsets(x: NDArray[np.float64], labels: Labels, groups: Labels, voters: int) -> NDArray[np.float64]:
    """Mean over validation points of the weighted sum over all subsets of the others."""
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    n, total = len(x), np.zeros(len(x))
    for point in range(n):
        others = [j for j in range(n) if groups[j] != groups[point]]
        order = sorted(others, key=lambda j: -float(units[point] @ units[j]))
        agree = labels == labels[point]
        values = {
            some: utility(some, order, agree, voters)
            for size in range(len(others) + 1)
            for some in combinations(others, size)
        }
        m = len(others)
        for some, value in values.items():
            for j in set(others) - set(some):
                larger = tuple(sorted((*some, j)))
                total[j] += (values[larger] - value) / (m * comb(m - 1, len(some)))
    return total / n


@pytest.mark.parametrize(("voters", "grouped"), [(1, False), (3, True), (20, False)])
def test_it_is_the_sum_over_all_subsets(voters: int, monkeypatch: pytest.MonkeyPatch, *, grouped: bool) -> None:
    """Exactly, of few and of more voters than samples, with groups that stand aside; also in small chunks."""
    monkeypatch.setattr(similarity, "CHUNK", 40)
    monkeypatch.setattr(shapley, "BLOCK", 20)
    rng = np.random.default_rng(voters)
    n = 12 if grouped else 9
    x, labels = rng.normal(size=(n, 3)), rng.integers(0, 2, n)
    groups = np.arange(n) // 3 if grouped else np.arange(n)
    found = knn_shapley(x, labels, 2, groups=groups if grouped else None, voters=voters)
    np.testing.assert_allclose(found, by_subsets(x, labels, groups, voters), atol=1e-12)


def test_wrong_labels_have_low_values() -> None:
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 3, 200)
    x = rng.normal(size=(200, 5)) + 4 * np.eye(5)[clean]
    labels = np.where(np.arange(200) < 20, (clean + 1) % 3, clean)
    found = knn_shapley(x, labels, 3)
    assert set(np.argsort(found)[:18]) <= set(range(20))


@pytest.mark.parametrize("spread", [3, 10_000], ids=["many ties", "few"])
def test_all_are_ordered_as_a_stable_sort_orders_them(spread: int) -> None:
    """Of equal products the earlier sample is the nearer, 0 with either sign is one number, and the own group is last."""
    rng = np.random.default_rng(spread)
    rows = (rng.integers(-spread, spread + 1, (60, 2)) / spread).astype(np.float32)
    rows[:5] = [[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [1.0, -0.0], [0.0, 0.0]]
    points = similarity.Points(rows, None, np.repeat(np.arange(30), 2))
    ((samples, similar),) = similarity.similarities(points)
    (order,) = shapley.orders_of(points)
    np.testing.assert_array_equal(order.samples, samples)
    np.testing.assert_array_equal(order.others, np.argsort(-similar, axis=1, kind="stable"))
    np.testing.assert_array_equal(order.outside, 58)


def test_zero_has_no_sign_and_infinity_is_last() -> None:
    """As a stable sort has it, whatever sign a sum of products came to."""
    similar = np.array([[-0.0, 0.0, -0.0, -np.inf, 1e-45, -1e-45, 1.0, 0.0]], dtype=np.float32)
    ((*found,),) = shapley._nearest_first(similar)
    assert found == np.argsort(-similar, axis=1, kind="stable")[0].tolist() == [6, 4, 0, 1, 2, 7, 5, 3]
