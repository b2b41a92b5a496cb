"""Neighbours from tiles, against sorting whole rows of float64 similarities."""

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.statistics import nearest
from noisybench.statistics.nearest import nearest_others
from noisybench.statistics.similarity import TIED, Distance, points_of

Weights = NDArray[np.float64]


def by_sorting(x: NDArray[np.float64], members: NDArray[np.int64], k: int, distance: Distance) -> Weights:
    """Weight of each other sample, (n, n): 1 above the k-th largest similarity, of those tied with it an equal share."""
    if distance == "cosine":
        lengths = np.linalg.norm(x, axis=1, keepdims=True)
        x = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
        similar = x @ x.T
    else:
        apart = ((x[:, None] - x) ** 2).sum(2)
        centred = ((x - np.median(x, axis=0)) ** 2).sum(1)
        similar = -apart / 2 / (np.median(centred) or centred.mean() or 1)
    similar[members[:, None] == members] = -np.inf
    weights = np.zeros_like(similar)
    for row, target in zip(similar, weights, strict=True):
        there = min(k, int(np.isfinite(row).sum()))
        last = np.sort(row)[-there]
        above, tied = row > last + TIED, np.abs(row - last) <= TIED
        target[above], target[tied] = 1, (there - above.sum()) / tied.sum()
    return weights


def found_by(x: NDArray[np.float64], members: NDArray[np.int64], k: int, distance: Distance) -> Weights:
    """The same by ``nearest_others``, each sample once."""
    near = np.minimum(k, len(x) - np.bincount(members)[members])
    weights, seen = np.zeros((len(x), len(x))), np.zeros(len(x), dtype=np.int64)
    for part in nearest_others(points_of(x, members, distance=distance), near):
        seen[part.samples] += 1
        weights[part.samples[part.row], part.column] += part.weight
        assert (np.diff(part.row) >= 0).all()
    assert (seen == 1).all()
    return weights


def kinds() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    grouped = rng.normal(size=(300, 5))
    copies = np.repeat(grouped[:20], 15, axis=0)
    return {
        "random": grouped,
        "copies": copies[rng.permutation(300)],
        "few values": rng.integers(-1, 2, (300, 3)).astype(np.float64),
        "all equal": np.ones((300, 2)),
        "zeros": np.where(rng.random((300, 1)) < 0.3, 0, grouped),
        "sorted": grouped[np.argsort(grouped[:, 0])],
    }


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", kinds())
def test_tiles_find_what_sorting_finds(kind: str, distance: Distance, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few and many neighbours, ties of all sizes, no groups, small, scattered and huge ones."""
    monkeypatch.setattr(nearest, "TILE", 64)
    monkeypatch.setattr(nearest, "FEW", 2)
    monkeypatch.setattr(nearest, "CROWD", 9)
    x, rng = kinds()[kind], np.random.default_rng(1)
    for members in (np.arange(300), rng.integers(0, 100, 300), np.maximum(np.arange(300) - 285, 0)):
        for k in (1, 6, 32):
            expected = by_sorting(x, np.unique(members, return_inverse=True)[1], k, distance)
            np.testing.assert_allclose(found_by(x, members, k, distance), expected, atol=1e-9)


def test_pairs_that_wait_are_looked_through_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few or many wait, the same are found."""
    x, members = kinds()["sorted"], np.arange(300)
    expected = by_sorting(x, members, 4, "cosine")
    monkeypatch.setattr(nearest, "TILE", 16)
    monkeypatch.setattr(nearest, "FEW", 2)
    for parts in (1, 3, 1000):
        monkeypatch.setattr(nearest, "MOST_PARTS", parts)
        np.testing.assert_allclose(found_by(x, members, 4, "cosine"), expected, atol=1e-9)


def test_an_outlier_takes_no_digits_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """By distance, a sample a thousand times as far as the others leaves these their neighbours, and has its own."""
    monkeypatch.setattr(nearest, "TILE", 64)
    x = kinds()["random"].copy()
    x[7] *= 1000
    apart = ((x[:, None] - x) ** 2).sum(2)
    np.fill_diagonal(apart, np.inf)
    expected = np.argsort(apart, axis=1)[:, :5]
    weights = found_by(x, np.arange(300), 5, "euclidean")
    assert all(set(np.flatnonzero(row)) == set(those) for row, those in zip(weights, expected, strict=True))
