"""Groups of copies: equal rows, near duplicates, and what the user says."""

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.ground.errors import BadData
from noisybench.statistics import grouping
from noisybench.statistics.grouping import LARGEST, NEAR, find_groups

Features = NDArray[np.float64]


def spread(n: int, d: int = 64, *, seed: int = 0) -> Features:
    """Samples in every direction, which are no copies."""
    return np.random.default_rng(seed).normal(size=(n, d))


def at_cosine(row: Features, other: Features, cosine: float) -> Features:
    """A row at a cosine to ``row``, turned towards ``other``."""
    unit = row / np.linalg.norm(row)
    aside = other - (other @ unit) * unit
    aside /= np.linalg.norm(aside)
    turned: Features = np.linalg.norm(row) * (cosine * unit + np.sqrt(1 - cosine**2) * aside)
    return turned


def sets(groups: NDArray[np.int64]) -> list[list[int]]:
    """Groups of several samples."""
    found = [np.flatnonzero(groups == group).tolist() for group in range(groups.max() + 1)]
    return [members for members in found if len(members) > 1]


def looped(features: Features) -> set[tuple[int, int]]:
    """Pairs above the threshold, one by one, of centred features."""
    x = features - features.mean(0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return {(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if x[i] @ x[j] >= NEAR}


def test_copies_and_near_copies_are_found() -> None:
    """Numbers go up in sample order; what is a little too far is not joined."""
    features = spread(200)
    features[50] = features[3]
    features[60] = at_cosine(features[7], features[8], (NEAR + 1) / 2)
    features[61] = at_cosine(features[9], features[10], NEAR - 0.05)
    groups = find_groups(features)
    assert sets(groups) == [[3, 50], [7, 60]]
    assert groups.dtype == np.int64
    assert groups[:9].tolist() == list(range(9))
    assert {tuple(pair) for pair in sets(groups)} == looped(features)


def test_blocks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of any size and permuted samples give the same groups."""
    features = spread(120)
    features[40:60] = features[:20] + 0.02 * spread(20, seed=1)
    groups = find_groups(features)
    assert sets(groups) == [[i, 40 + i] for i in range(20)]
    order = np.random.default_rng(2).permutation(120)
    moved = find_groups(features[order])
    assert {frozenset(order[members].tolist()) for members in sets(moved)} == {frozenset(m) for m in sets(groups)}
    monkeypatch.setattr(grouping, "CHUNK", 7 * 120)
    assert np.array_equal(find_groups(features), groups)


def test_a_chain_is_no_group() -> None:
    """Everybody in a group is near everybody else: neighbours along an arc are cut into pieces."""
    features = spread(400)
    step = np.arccos(NEAR) / 2.5
    a, b = (
        features[0] / np.linalg.norm(features[0]),
        features[1] - features[1] @ features[0] * features[0] / np.linalg.norm(features[0]) ** 2,
    )
    b /= np.linalg.norm(b)
    for i in range(20):
        features[100 + i] = 8 * (np.cos(i * step) * a + np.sin(i * step) * b)
    groups = sets(find_groups(features))
    pairs = looped(features)
    assert len(groups) >= 5
    assert all((i, j) in pairs for members in groups for i in members for j in members if i < j)
    assert max(map(len, groups)) <= 4


@pytest.mark.parametrize("copies", [2, LARGEST, LARGEST + 1])
def test_what_many_samples_share_is_no_copy(copies: int) -> None:
    """Such as blank texts: more than so many equal rows stay apart, equal or nearly equal."""
    features = spread(200)
    features[:copies] = features[0]
    expected = [list(range(copies))] if copies <= LARGEST else []
    assert sets(find_groups(features)) == expected
    features[:copies] += 0.001 * spread(copies, seed=1)
    assert sets(find_groups(features)) == expected


def test_of_few_dimensions_only_equal_rows_are_copies() -> None:
    """In a table everybody is near somebody."""
    features = spread(300, 4)
    features[9] = features[5]
    features[10] = features[6] * (1 + 1e-9)
    assert len(looped(features)) > 100
    assert sets(find_groups(features)) == [[5, 9]]
    features[9] = -0.0
    features[5] = 0.0
    assert sets(find_groups(features.astype(np.float32))) == [[5, 9], [6, 10]]
    assert find_groups(np.ones((5, 3))).tolist() == [0] * 5


def test_groups_of_the_user_are_joined_to_those_found() -> None:
    """Any integers; a copy in each of two groups makes one of them."""
    features = spread(100)
    features[3] = features[1]
    given = np.arange(100) * 10 - 500
    given[1] = given[0]
    given[90:] = given[90]
    assert sets(find_groups(features, given)) == [[0, 1, 3], list(range(90, 100))]
    assert len(sets(find_groups(features, np.zeros(100, dtype=np.int32)))) == 1  # told when they are used


@pytest.mark.parametrize(
    ("features", "groups", "message"),
    [
        (np.ones(5), None, r"features must be an array of numbers of 2 dimensions, got float64 of shape \(5,\)"),
        (np.ones((5, 2), dtype=np.int64), None, r"features must be .* got int64 of shape \(5, 2\)"),
        ([[1.0]], None, "features must be an array of numbers of 2 dimensions, got list"),
        (np.full((5, 2), np.nan), None, r"features\[0\] holds .* not finite \(5 such rows\)"),
        (
            np.ones((5, 2)),
            np.arange(4),
            r"groups must be integers of shape \(n,\) with n = 5, .* got int64 of shape \(4,\)",
        ),
        (np.ones((5, 2)), np.ones(5), "got float64"),
        (np.ones((5, 2)), ["a"] * 5, "got list"),
    ],
)
def test_what_is_none_is_refused(features: Features, groups: NDArray[np.int64] | None, message: str) -> None:
    """One sentence with what was wrong and what was expected."""
    with pytest.raises(BadData, match=message):
        find_groups(features, groups)
