"""The coordinates of a label column: against loops over pairs, scikit-learn's AUROC, and permutations of the labels."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.coherence import (
    NOBODY,
    Coordinates,
    difficulty_bins,
    edge_groups,
    expected_alike,
    flips,
    neighbour_numbers,
    realised,
)

K = 4


def planted(n: int = 90, *, bins: int = 3, seed: int = 0) -> tuple[Coordinates, Labels, Labels]:
    """Coordinates with ties and a sample of too few neighbours, given labels, and clean ones of which some are unknown."""
    random = np.random.default_rng(seed)
    clean = random.integers(0, K, n)
    given = np.where(random.random(n) < 0.5, random.integers(0, K, n), clean)
    clean[::17] = -1
    difficulty = np.round(random.normal(size=n), 1)
    neighbours = np.stack([random.choice(np.delete(np.arange(n), i), 5, replace=False) for i in range(n)])
    neighbours[3, 3:] = NOBODY
    return Coordinates(difficulty, difficulty_bins(difficulty, clean, bins), neighbours), given, clean


def agreement(coordinates: Coordinates, given: Labels, clean: Labels) -> float:
    """Mean over the flips of the share of neighbours that are flips to the same class, pair by pair."""
    wrong = [i for i in range(len(given)) if clean[i] >= 0 and given[i] != clean[i]]
    alike = [sum(j != NOBODY and j in wrong and given[j] == given[i] for j in coordinates.neighbours[i]) for i in wrong]
    return float(np.mean(alike)) / coordinates.neighbours.shape[1]


def test_neighbours_are_those_of_a_full_sort() -> None:
    """By float64 cosines, nearest first, below and above the number of samples from which tiles are multiplied."""
    for n, d in ((150, 5), (4200, 6)):
        features = np.random.default_rng(n).normal(size=(n, d))
        units = features / np.linalg.norm(features, axis=1, keepdims=True)
        some = np.arange(0, n, n // 150)
        similar = units[some] @ units.T
        similar[np.arange(len(some)), some] = -np.inf
        nearest = np.argsort(-similar, axis=1)[:, :7]
        found = neighbour_numbers(features.astype(np.float32), 7)[some]
        rows = np.arange(len(some))[:, None]
        apart = np.abs(similar[rows, found] - similar[rows, nearest])
        assert apart[found != nearest].max(initial=0) < 3e-6


def test_copies_are_neighbours_of_the_next_ones() -> None:
    """Of copies the next after a sample come first, around the end; within a group they are none, and places stay empty."""
    features = np.array([[1.0, 0], [1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    assert neighbour_numbers(features, 3)[[0, 1, 3, 4]].tolist() == [[1, 3, 4], [3, 4, 0], [4, 0, 1], [0, 1, 3]]
    grouped = neighbour_numbers(features, 3, groups=np.array([0, 0, 1, 2, 2]))
    assert grouped[[0, 3]].tolist() == [[3, 4, 2], [0, 1, 2]]
    large = neighbour_numbers(features, 2, groups=np.array([0, 0, 0, 0, 1]))
    assert large[0].tolist() == [4, NOBODY]
    for k in (0, 5):
        with pytest.raises(BadUsage, match=f"k = {k} neighbours of 5 samples: expected 1 to 4"):
            neighbour_numbers(features, k)


def test_bins_are_ranks_within_the_class() -> None:
    """Of equal size to one where nothing ties; ties share a bin; unknown classes have none."""
    clean = np.repeat([0, 1, -1], [20, 7, 3])
    difficulty = np.random.default_rng(0).permutation(30).astype(np.float64)
    bins = difficulty_bins(difficulty, clean, 5)
    assert np.bincount(bins[:20]).tolist() == [4] * 5
    for members in (np.arange(20), np.arange(20, 27)):
        order = members[np.argsort(difficulty[members])]
        places = [int((rank + 0.5) * 5 / len(members)) for rank in range(len(members))]
        assert bins[order].tolist() == places
    assert (bins[27:] == NOBODY).all()
    assert len(set(difficulty_bins(np.ones(30), clean, 5)[:20].tolist())) == 1
    with pytest.raises(BadData, match=r"difficulty\[2\] = nan is not finite \(1 such samples\)"):
        difficulty_bins(np.where(np.arange(30) == 2, np.nan, difficulty), clean)
    with pytest.raises(BadUsage, match="bins must be at least 1, got 0"):
        difficulty_bins(difficulty, clean, 0)


@pytest.mark.parametrize("seed", range(3))
def test_coordinates_are_those_of_a_loop(seed: int) -> None:
    """Difficulty is scikit-learn's AUROC within each class, weighted by pairs; agreement is counted pair by pair."""
    coordinates, given, clean = planted(seed=seed)
    found = realised(coordinates, given, clean)
    above = pairs = 0.0
    for c in range(K):
        wrong = given[clean == c] != c
        weight = wrong.sum() * (~wrong).sum()
        above += weight * roc_auc_score(wrong, coordinates.difficulty[clean == c])
        pairs += weight
    assert found.difficulty == pytest.approx(above / pairs, abs=1e-12)
    assert found.agreement == pytest.approx(agreement(coordinates, given, clean), abs=1e-12)
    assert found.coherence == found.agreement - found.expected


@pytest.mark.parametrize("bins", [1, 3])
def test_the_expected_agreement_is_that_of_permutations(bins: int) -> None:
    """Of 2,000 permutations of the given labels within clean class and bin, within four standard errors."""
    coordinates, given, clean = planted(60, bins=bins)
    random = np.random.default_rng(1)
    groups = [np.flatnonzero((clean == c) & (coordinates.bins == b)) for c in range(K) for b in range(bins)]
    found: list[float] = []
    for _ in range(2000):
        shuffled: NDArray[np.int64] = given.copy()
        for members in groups:
            shuffled[members] = given[random.permutation(members)]
        wrong = (clean >= 0) & (shuffled != clean)
        near = coordinates.neighbours[wrong]
        alike = (near != NOBODY) & wrong[near] & (shuffled[near] == shuffled[wrong][:, None])
        found.append(float(alike.mean()))
    expected = realised(coordinates, given, clean).expected
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / np.sqrt(len(found))
    assert expected_alike(edge_groups(coordinates, clean), flips(given, clean)) / (5 * wrong.sum()) == expected


def test_where_nothing_is_wrong_nothing_is_known() -> None:
    """NaN without a wrong label; without a right one the difficulty alone is."""
    coordinates, _, clean = planted()
    right = realised(coordinates, np.maximum(clean, 0), clean)
    assert np.isnan([right.difficulty, right.coherence, right.agreement, right.expected]).all()
    wrong = realised(coordinates, (clean + 1) % K, clean)
    assert np.isnan(wrong.difficulty)
    assert not np.isnan(wrong.coherence)


def test_arrays_of_other_lengths_are_refused() -> None:
    """In a sentence with their shapes."""
    coordinates, given, clean = planted()
    with pytest.raises(BadData, match=r"must have shape \(90,\) as the coordinates, got \(89,\) and \(90,\)"):
        realised(coordinates, given[1:], clean)
    with pytest.raises(BadData, match=r"of one n, got \(90,\), \(89,\), \(90, 5\)"):
        Coordinates(coordinates.difficulty, coordinates.bins[1:], coordinates.neighbours)
