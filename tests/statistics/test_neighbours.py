"""Labels of nearest neighbours, against loops over pairs and scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from noisybench.ground import checks
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics import similarity
from noisybench.statistics.neighbours import neighbour_labels, two_nearest


def looped(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    classes: int,
    most: int,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Shares by their definition: whoever ties at the k-th place shares what is left."""
    shares = np.zeros((len(features), classes))
    rows = features.astype(np.float64)
    groups = np.arange(len(rows)) if groups is None else groups
    for i, row in enumerate(rows):
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
        cosine = np.divide(rows @ row, lengths, out=np.zeros(len(rows)), where=lengths > 0)
        others = [j for j in range(len(rows)) if groups[j] != groups[i]]
        k = min(most, len(others))
        last = sorted((cosine[j] for j in others), reverse=True)[k - 1]
        above = [j for j in others if cosine[j] > last + 1e-6]
        tied = [j for j in others if abs(cosine[j] - last) <= 1e-6]
        for j in above:
            shares[i, labels[j]] += 1 / k
        for j in tied:
            shares[i, labels[j]] += (k - len(above)) / len(tied) / k
    return shares


def drawn(n: int, d: int, *, classes: int = 4, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(np.float32), rng.integers(0, classes, n)


def duplicated() -> NDArray[np.float32]:
    """Groups of 1 to 8 equal rows, of several lengths, and rows of zeros."""
    features = drawn(150, 3)[0]
    features[:64] = np.repeat(features[:12], [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 4], axis=0)
    features[:150:7] *= 40
    features[70:74] = 0
    return features


@pytest.mark.parametrize("k", [1, 5, 20, 149])
@pytest.mark.parametrize("kind", ["random", "duplicates", "all equal", "integers"])
def test_shares_are_those_of_a_loop(kind: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With duplicates, rows of zeros, equal rows and many ties; each row sums to 1, in chunks of any size."""
    labels = drawn(150, 3)[1]
    kinds: dict[str, NDArray[np.floating]] = {
        "random": drawn(150, 3)[0],
        "duplicates": duplicated(),
        "all equal": np.ones((150, 3), dtype=np.float32),
        "integers": np.random.default_rng(0).integers(-1, 2, (150, 3)).astype(np.float64),
    }
    features = kinds[kind]
    shares = neighbour_labels(features, labels, 4, k)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, looped(features, labels, 4, k), atol=1e-6)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    monkeypatch.setattr(similarity, "CHUNK", 7 * 150)
    np.testing.assert_allclose(neighbour_labels(features, labels, 4, k), shares, atol=1e-6)


def test_random_features_have_scikit_learns_neighbours() -> None:
    """Where nothing ties, 20 others by cosine are those of ``NearestNeighbors``, the sample itself left out."""
    features, labels = drawn(2000, 32, classes=10)
    found = NearestNeighbors(n_neighbors=21, metric="cosine", algorithm="brute").fit(features.astype(np.float64))
    near = found.kneighbors(features.astype(np.float64), return_distance=False)
    assert np.array_equal(near[:, 0], np.arange(2000))
    expected = np.eye(10)[labels[near[:, 1:]]].mean(1)
    np.testing.assert_allclose(neighbour_labels(features, labels, 10), expected, atol=1e-6)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_neighbours_by_euclidean_distance_are_scikit_learns(shift: float) -> None:
    """Far from zero too, and with one sample far from all; equal distances share the last places."""
    features, labels = drawn(600, 8, classes=10)
    features[0] *= 1000
    found = NearestNeighbors(n_neighbors=21, algorithm="brute").fit(features.astype(np.float64))
    near = found.kneighbors(features.astype(np.float64), return_distance=False)
    expected = np.eye(10)[labels[near[:, 1:]]].mean(1)
    shares = neighbour_labels(features + np.float32(shift), labels, 10, distance="euclidean")
    same = np.isclose(shares, expected, atol=1e-6).all(1)
    assert same.mean() > 0.99  # float32 distances may swap what is nearly as far
    line = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert neighbour_labels(line, np.arange(4), 4, 1, distance="euclidean")[1].tolist() == [0.5, 0, 0.5, 0]
    assert neighbour_labels(np.ones((3, 2)), np.arange(3), 3, 1, distance="euclidean")[0].tolist() == [0, 0.5, 0.5]


def test_a_duplicate_is_a_neighbour_and_the_sample_itself_is_not() -> None:
    """Of three equal samples each sees the other two, also at another length."""
    features = np.array([[1, 0], [2, 0], [1e30, 0], [0, 1], [-1, 0]], dtype=np.float32)
    shares = neighbour_labels(features, np.array([0, 1, 2, 3, 3]), 4, k=2)
    assert shares[:3].tolist() == [[0, 0.5, 0.5, 0], [0.5, 0, 0.5, 0], [0.5, 0.5, 0, 0]]


def test_shares_follow_their_samples() -> None:
    """Permuted samples, full of ties, get permuted shares."""
    features, labels = duplicated(), drawn(150, 3)[1]
    order = np.random.default_rng(1).permutation(150)
    expected = neighbour_labels(features, labels, 4, 6)[order]
    np.testing.assert_allclose(neighbour_labels(features[order], labels[order], 4, 6), expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 20, 149])
@pytest.mark.parametrize("kind", ["pairs", "one of half", "mixed"])
def test_nobody_of_the_group_is_a_neighbour(kind: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fewer than k others are left, those are the neighbours; in chunks of any size."""
    features, labels = duplicated(), drawn(150, 3)[1]
    groups = {
        "pairs": np.arange(150) // 2,
        "one of half": np.maximum(np.arange(150), 75) - 3,
        "mixed": np.random.default_rng(0).integers(-3, 12, 150) * 5,
    }[kind]
    expected = looped(features, labels, 4, k, groups)
    np.testing.assert_allclose(neighbour_labels(features, labels, 4, k, groups=groups), expected, atol=1e-6)
    monkeypatch.setattr(similarity, "CHUNK", 7 * 150)
    np.testing.assert_allclose(neighbour_labels(features, labels, 4, k, groups=groups), expected, atol=1e-6)


def test_groups_of_one_change_no_bit() -> None:
    """Each sample in its own group is as if there were none."""
    features, labels = duplicated(), drawn(150, 3)[1]
    alone = neighbour_labels(features, labels, 4, 20, groups=np.arange(150))
    assert alone.tobytes() == neighbour_labels(features, labels, 4, 20).tobytes()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(5, dtype=np.int64), "groups put all 5 samples into one, so that nothing is left to judge one by"),
        (np.arange(6), r"groups must be integers of shape \(n,\) with n = 5, .* got int64 of shape \(6,\)"),
        (np.ones(5), "got float64"),
    ],
)
def test_groups_that_are_none_are_refused(groups: NDArray[np.int64], message: str) -> None:
    """One sentence with what was wrong and what was expected."""
    with pytest.raises(BadData, match=message):
        neighbour_labels(*drawn(5, 2), 4, 2, groups=groups)


@pytest.mark.parametrize("k", [-1, 0, 5, 6])
def test_more_neighbours_than_others_are_refused(k: int) -> None:
    """There must be 1 to n - 1 of them."""
    with pytest.raises(BadUsage, match=rf"k = {k} neighbours of 5 samples: expected 1 to 4, since a sample is not its"):
        neighbour_labels(*drawn(5, 2), 4, k)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((4, 2)), r"features must be floats of shape \(n, d\) with n = 5, got float64 of shape \(4, 2\)"),
        (np.ones(5), r"got float64 of shape \(5,\)"),
        (np.ones((5, 0)), r"got float64 of shape \(5, 0\)"),
        (np.ones((5, 2), dtype=np.int64), r"got int64 of shape \(5, 2\)"),
        (np.array([[0, 1]] * 3 + [[np.nan, 0], [0, -np.inf]]), r"features\[3\] holds .* not finite \(2 such rows\)"),
    ],
)
def test_features_that_are_none_are_refused(features: NDArray[np.float64], message: str) -> None:
    """One sentence with the shape or the first row."""
    with pytest.raises(BadData, match=message):
        neighbour_labels(features, drawn(5, 1)[1], 4, 2)


def test_shares_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of samples × classes, before any similarity is computed."""
    monkeypatch.setattr(checks, "MOST_CELLS", 19)
    with pytest.raises(
        BadUsage, match=r"a share of each class for each sample would hold 5 × 4 numbers .*leave out what"
    ):
        neighbour_labels(*drawn(5, 2), 4, 2)
    assert neighbour_labels(*drawn(5, 2, classes=3), 3, 2).shape == (5, 3)


def test_the_two_nearest_are_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """By cosine, also in chunks of a few rows; who has no other, or one, has -1."""
    features, _ = drawn(300, 5)
    expected = NearestNeighbors(n_neighbors=3, metric="cosine").fit(features).kneighbors(features)[1][:, 1:]
    for chunk in (2**23, 1000):
        monkeypatch.setattr(similarity, "CHUNK", chunk)
        assert np.array_equal(two_nearest(features, 300), expected)
    assert two_nearest(features[:1], 1).tolist() == [[-1, -1]]
    assert two_nearest(features[:2], 2).tolist() == [[1, -1], [0, -1]]


def test_of_many_alike_each_has_the_next_two() -> None:
    """Around the end; a pair of twins has each other, and then the nearest of the rest."""
    assert two_nearest(np.ones((4, 2)), 4).tolist() == [[1, 2], [2, 3], [3, 0], [0, 1]]
    twins = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.9, 0.1], [0.1, 0.9]])
    assert two_nearest(twins, 5).tolist() == [[2, 3], [4, 3], [0, 3], [0, 2], [1, 3]]
    degrees = np.deg2rad([30, 50, 55, 70])  # 50 is as far from 70 as from 30, and 55 is between
    assert two_nearest(np.column_stack([np.cos(degrees), np.sin(degrees)]), 4)[1].tolist() == [2, 3]
