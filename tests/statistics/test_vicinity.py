"""What lies around samples, against loops over all pairs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.ground.errors import BadUsage
from noisybench.statistics import nearest, similarity
from noisybench.statistics.vicinity import FARTHEST, NOBODY, share_of_one_class, vicinity

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def by_loops(x: Floats, labels: Labels, k: int, groups: Labels, voters: int) -> tuple[Floats, Labels, Floats, Floats]:
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    n = len(x)
    votes, two = np.zeros((n, k)), np.full((n, 2), NOBODY)
    same, other = np.full(n, FARTHEST), np.full(n, FARTHEST)
    for i in range(n):
        cosines = {j: float(units[i] @ units[j]) for j in range(n) if groups[j] != groups[i]}
        order = sorted(cosines, key=lambda j: -cosines[j])
        for j in order[:voters]:
            votes[i, labels[j]] += max(cosines[j], 0)
        two[i, : len(order[:2])] = order[:2]
        for j in order:
            distance = 1 - cosines[j]
            if labels[j] == labels[i]:
                same[i] = min(same[i], distance)
            else:
                other[i] = min(other[i], distance)
        length = np.linalg.norm(votes[i])
        votes[i] = votes[i] / length if length else k**-0.5
    return votes, two, same, other


@pytest.mark.parametrize(("tile", "voters"), [(8, 5), (8, 1), (1024, 5)])
@pytest.mark.parametrize("grouped", [False, True])
def test_it_is_what_loops_find(monkeypatch: pytest.MonkeyPatch, tile: int, voters: int, *, grouped: bool) -> None:
    """Votes, the two nearest, and the nearest of both kinds; in small chunks, from tiles, and with a class of one group."""
    monkeypatch.setattr(similarity, "CHUNK", 200)
    monkeypatch.setattr("noisybench.statistics.vicinity.CHUNK", 200)
    monkeypatch.setattr(nearest, "TILE", tile)
    monkeypatch.setattr(nearest, "FEW", 1)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
    groups = rng.integers(0, 12, 40) if grouped else np.arange(40)
    labels[7], labels[8] = 3, 4
    found = vicinity(x, labels, 5, groups=groups if grouped else None, voters=voters)
    votes, two, same, other = by_loops(x, labels, 5, groups, voters)
    np.testing.assert_allclose(found.votes, votes, atol=1e-6)
    assert np.array_equal(found.two_nearest, two)
    np.testing.assert_allclose(found.nearest_same, same, atol=1e-6)
    np.testing.assert_allclose(found.nearest_other, other, atol=1e-6)
    assert found.nearest_same[7] == FARTHEST


def test_who_has_nobody_near() -> None:
    """One other sample is the nearest of all, and there is no second; opposite ones have no vote."""
    found = vicinity(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0, 1]), 2)
    assert found.two_nearest.tolist() == [[1, NOBODY], [0, NOBODY]]
    np.testing.assert_allclose(found.votes, 2**-0.5)
    assert found.nearest_other.tolist() == [2, 2]
    with pytest.raises(BadUsage, match="voters must be at least 1, got 0"):
        vicinity(np.eye(2), np.array([0, 1]), 2, voters=0)


def test_the_share_that_has_the_class_of_both() -> None:
    """Of samples where the class of all three is known."""
    two = np.array([[1, 2], [0, 2], [0, 1], [0, -1], [0, 2]])
    assert share_of_one_class(np.array([3, 3, 3, 3, 1]), two) == 0.75
    assert share_of_one_class(np.array([3, 3, 1, 3, 3]), two) == 0
    assert share_of_one_class(np.array([3, 3, 3, -1, 3]), two) == 1
    assert np.isnan(share_of_one_class(np.full(5, -1), two))
    with pytest.raises(BadUsage, match=r"two_nearest has shape \(5, 2\), expected \(4, 2\)"):
        share_of_one_class(np.zeros(4, dtype=np.int64), two)
