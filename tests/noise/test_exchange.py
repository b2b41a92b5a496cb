"""Exchanging labels: against a plain loop that computes both coordinates anew, and the enumeration of a small system."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.exchange import coordinates_of, exchange, matched_twin
from noisybench.noise.exchange_chain import Chain, aim_at
from noisybench.noise.exchange_steps import (
    Force,
    Geometry,
    Labeling,
    advance,
    coherence_of,
    geometry_of,
    labels_in,
    start,
)
from noisybench.statistics.coherence import Coordinates, difficulty_bins, neighbour_numbers, realised


def planted(n: int = 400, k: int = 4, *, bins: int = 5, rate: float = 0.4) -> tuple[Coordinates, Labels, Labels]:
    """Samples around k middles, the harder the further from theirs, with symmetric labels; a few of unknown class."""
    random = np.random.default_rng(0)
    middles, clean = random.normal(size=(k, 5)), random.integers(0, k, n)
    features = middles[clean] + random.normal(size=(n, 5))
    given = np.where(random.random(n) < rate, (clean + random.integers(1, k, n)) % k, clean)
    clean[::41] = -1
    difficulty = np.linalg.norm(features - middles[clean], axis=1) + random.normal(size=n)
    numbers = neighbour_numbers(features.astype(np.float32), 6)
    return Coordinates(difficulty, difficulty_bins(difficulty, clean, bins), numbers), given, clean


def started(bins: int) -> tuple[Coordinates, Labels, Labels, Geometry, Labeling]:
    coordinates, given, clean = planted(bins=bins)
    places = geometry_of(coordinates, given, clean)
    return coordinates, given, clean, places, start(places, given)


def cells(given: Labels, clean: Labels) -> NDArray[np.int64]:
    return np.bincount((clean[clean >= 0] * 10) + given[clean >= 0], minlength=100)


@pytest.mark.parametrize("bins", [1, 5])
def test_it_is_a_plain_loop(bins: int) -> None:
    """One proposal at a time, the labels are those of a loop with both coordinates from scratch at every exchange."""
    coordinates, given, clean, places, column = started(bins)
    force = Force((300.0, 2500.0), (2e4, 2e4), (0.6, 0.05), (np.inf, np.inf))
    uniform = np.random.default_rng(3).random((3, 160))
    labels, wrong = given.copy(), np.flatnonzero((clean >= 0) & (given != clean))
    moved = 0
    for one in uniform.T:
        advance(column, places, force, one[:, None])
        slot = int(one[0] * len(wrong))
        i = wrong[slot]
        members = np.flatnonzero(clean == clean[i])
        j = members[int(one[1] * len(members))]
        if labels[i] == labels[j]:
            continue
        other = labels.copy()
        other[[i, j]] = labels[[j, i]]
        old, new = realised(coordinates, labels, clean), realised(coordinates, other, clean)
        gain = sum(
            a * (y - x) - s * ((y - goal) ** 2 - (x - goal) ** 2)
            for a, s, goal, x, y in zip(
                force.slopes,
                force.springs,
                force.targets,
                (old.difficulty, old.coherence),
                (new.difficulty, new.coherence),
                strict=True,
            )
        )
        if one[2] < 1 - np.exp(min(gain, 0)):
            continue
        wrong[slot] = j if labels[j] == clean[j] else i
        labels, moved = other, moved + 1
    assert np.array_equal(labels_in(column, places, given), labels)
    assert 30 < moved < 130
    found = realised(coordinates, labels, clean)
    assert column.difficulty == pytest.approx(found.difficulty, abs=1e-12)
    assert coherence_of(column, places) == pytest.approx(found.coherence, abs=1e-12)


@pytest.mark.parametrize("slope", [0.0, 2000.0])
def test_judging_together_is_judging_one_after_another(slope: float) -> None:
    """In one bin and without springs, proposals judged many at a time, of which some wait, give the same labels."""
    _, given, _, places, column = started(1)
    other, force = start(places, given), Force((200.0, slope))
    uniform = np.random.default_rng(4).random((3, 360))
    for one in uniform.T:
        advance(other, places, force, one[:, None])
    waiting, most = np.empty((3, 0)), 0
    for part in np.split(uniform, 30, axis=1):
        _, waiting = advance(column, places, force, np.concatenate([waiting, part], axis=1))
        most = max(most, waiting.shape[1])
    while waiting.size:
        _, waiting = advance(column, places, force, waiting)
    assert most > 3
    assert np.array_equal(column.flipped, other.flipped)
    assert np.array_equal(column.field, other.field)


def small() -> tuple[Floats, NDArray[np.int64], Labels, Labels]:
    """Difficulty, neighbours, given and clean labels of seven samples: 36 columns have these counts."""
    neighbours = np.array([[1, 4], [0, 2], [3, 1], [2, 5], [5, 6], [6, 4], [4, 0]])
    clean, given = np.array([0, 0, 0, 0, 1, 1, 1]), np.array([1, 2, 0, 0, 2, 1, 1])
    return np.array([3.0, 1, 2, 0, 2, 2, 5]), neighbours, given, clean


def test_a_small_system_has_the_frequencies_of_its_law() -> None:
    """Chi-square of 36 columns, all enumerated, in 30 copies of seven samples that the chain moves at once."""
    difficulty, neighbours, given, clean = small()
    copies, a, b = 30, 2.0, 5.0
    own = Coordinates(difficulty, difficulty_bins(difficulty, clean, 2), neighbours)
    columns = [
        np.array([*first, *second])
        for first, second in product(sorted({*permutations(given[:4])}), sorted({*permutations(given[4:])}))
    ]
    assert len(columns) == 36
    found = [realised(own, column, clean) for column in columns]
    weights = np.exp([a * one.difficulty + b * one.coherence for one in found])
    # In copies that have classes of their own, both coordinates are means over the copies.
    shift = np.repeat(np.arange(copies), 7)
    many = Coordinates(
        np.tile(difficulty, copies), np.tile(own.bins, copies), np.tile(neighbours, (copies, 1)) + 7 * shift[:, None]
    )
    whole, right = np.tile(given, copies) + 3 * shift, np.tile(clean, copies) + 3 * shift
    places = geometry_of(many, whole, right)
    column, force, random = start(places, whole), Force((a * copies, b * copies)), np.random.default_rng(0)
    number = {tuple(one): index for index, one in enumerate(columns)}
    counts = np.zeros(36)
    waiting = np.empty((3, 0))
    for snapshot in range(50):
        for _ in range(50 if snapshot else 200):
            fresh = random.random((3, max(0, 12 - waiting.shape[1])))
            _, waiting = advance(column, places, force, np.concatenate([waiting, fresh], axis=1))
        labels = labels_in(column, places, whole) - 3 * shift
        np.add.at(counts, [number[tuple(one)] for one in labels.reshape(copies, 7)], 1)
    assert weights.max() > 8 * weights.min()
    expected = counts.sum() * weights / weights.sum()
    assert stats.chisquare(counts, expected).pvalue > 1e-3
    assert stats.chisquare(counts, np.full(36, counts.sum() / 36)).pvalue < 1e-12


@pytest.mark.parametrize(("difficulty", "coherence"), [(0.5, 0.0), (0.65, 0.15), (0.4, 0.05), (0.8, 0.0)])
def test_counts_stay_and_targets_are_met(difficulty: float, coherence: float) -> None:
    """Every cell has its count, unknown classes their label, the coordinates are the targets; a seed decides it all."""
    coordinates, given, clean = planted(600)
    found = [
        exchange(given, clean, coordinates, difficulty=difficulty, coherence=coherence, seed=seed) for seed in (0, 0, 1)
    ]
    for one in found:
        assert one.reached
        assert one.realised == realised(coordinates, one.labels, clean)
        assert abs(one.realised.difficulty - difficulty) <= 0.01
        assert abs(one.realised.coherence - coherence) <= 0.01
        assert np.array_equal(cells(one.labels, clean), cells(given, clean))
        assert np.array_equal(one.labels[clean < 0], given[clean < 0])
    assert np.array_equal(found[0].labels, found[1].labels)
    assert not np.array_equal(found[0].labels, found[2].labels)


def test_what_is_out_of_reach_is_told_and_ends() -> None:
    """With the coordinates that it came to, and the counts as they were."""
    coordinates, given, clean = planted(300)
    found = exchange(given, clean, coordinates, difficulty=0.5, coherence=0.9, seed=0)
    assert not found.reached
    assert 0.2 < found.realised.coherence < 0.8
    assert np.array_equal(cells(found.labels, clean), cells(given, clean))


def test_without_flips_or_pairs_there_is_nothing_to_do() -> None:
    """No wrong label: nothing moves. No right one: coherence alone is met."""
    coordinates, _, clean = planted()
    right = np.maximum(clean, 0)
    found = exchange(right, clean, coordinates, difficulty=0.7, coherence=0.3, seed=0)
    assert (found.reached, found.steps) == (True, 0)
    assert np.array_equal(found.labels, right)
    wrong = (right + 1 + (np.arange(len(right)) % 2)) % 4
    found = exchange(wrong, clean, coordinates, difficulty=0.7, coherence=0.1, seed=0)
    assert found.reached
    assert abs(found.realised.coherence - 0.1) <= 0.01


@pytest.mark.parametrize("binned", [False, True])
def test_a_twin_permutes_within_its_groups(binned: bool) -> None:  # noqa: FBT001 - pytest gives it
    """Counts by class, or by class and bin; each sample of a group has each of its labels alike often."""
    coordinates, given, clean = planted(120)
    bins = coordinates.bins if binned else None
    group = clean * 10 + (coordinates.bins if binned else 0)
    seen = np.zeros((120, 4))
    for seed in range(400):
        twin = matched_twin(given, clean, seed=seed, bins=bins)
        for g in np.unique(group[clean >= 0]):
            assert np.array_equal(np.sort(twin[group == g]), np.sort(given[group == g]))
        seen[np.arange(120), twin] += 1
    assert np.array_equal(twin[clean < 0], given[clean < 0])
    law = np.stack([np.bincount(given[group == group[i]], minlength=4) / (group == group[i]).sum() for i in range(120)])
    z = (seen / 400 - law)[clean >= 0] / np.sqrt(np.maximum(law * (1 - law) / 400, 1e-12))[clean >= 0]
    assert np.abs(z).max() < 5
    with pytest.raises(BadData, match=r"must have one length, got \(120,\), \(119,\)"):
        matched_twin(given, clean[1:], seed=0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"difficulty": 1.2}, r"difficulty must be an AUROC in \[0, 1\] \(0.5 is no relation\), got 1.2"),
        ({"coherence": float("nan")}, r"coherence must lie in \[-1, 1\] \(0: no more than chance\), got nan"),
        ({"tolerance": (0.01, 0)}, r"tolerance must be two positive distances, got \(0.01, 0\)"),
    ],
)
def test_what_cannot_be_a_target_is_refused(asked: dict[str, float], said: str) -> None:
    """In one sentence, before anything is moved."""
    coordinates, given, clean = planted()
    with pytest.raises(BadUsage, match=said):
        exchange(given, clean, coordinates, **{"difficulty": 0.5, "coherence": 0.0, "seed": 0, **asked})  # type: ignore[arg-type]


def test_slopes_stay_within_their_bounds() -> None:
    """A chain that cannot come to its targets is driven with the bound, and no harder."""
    coordinates, given, clean, places, column = started(5)
    chain = Chain(column, places, aim_at(places, (0.5, 0.95), (0.01, 0.01)))
    random = np.random.default_rng(0)
    for _ in range(30):
        chain.sweep(random.random((3, places.flips)))
    assert chain.slopes[1] == chain.aim.limits[1]
    assert np.array_equal(cells(labels_in(column, places, given), clean), cells(given, clean))
    assert coordinates.neighbours.shape == (400, 6)


def source(n: int = 60) -> Source:
    random = np.random.default_rng(0)
    labels = np.arange(n) % 3
    return source_from_arrays("own", random.random((n, 4)), labels, clean=labels)


def test_coordinates_come_of_names_files_and_arrays(tmp_path: Path) -> None:
    """The same however features are told; those of one source are made once."""
    own = source()
    hard = np.random.default_rng(1).random(60)
    np.save(tmp_path / "hard.npy", hard)
    np.save(tmp_path / "features.npy", np.asarray(own.inputs))
    np.savez(tmp_path / "features.npz", features=np.asarray(own.inputs))
    found = [
        coordinates_of(own, features=features, difficulty=tmp_path / "hard.npy", neighbours=4)
        for features in ("input", tmp_path / "features.npy", tmp_path / "features.npz", np.asarray(own.inputs))
    ]
    for one in found:
        assert np.array_equal(one.neighbours, neighbour_numbers(np.asarray(own.inputs), 4))
        assert np.array_equal(one.difficulty, hard)
        assert np.array_equal(one.bins, difficulty_bins(hard, own.clean, 10))
    again = coordinates_of(own, features=np.asarray(own.inputs), difficulty=tmp_path / "hard.npy", neighbours=4, bins=2)
    assert np.shares_memory(again.neighbours, found[-1].neighbours)
    assert again.bins.max() == 1
    easy = coordinates_of(own, difficulty=tmp_path / "hard.npy", lower_is_harder=True, neighbours=100)
    assert np.array_equal(easy.difficulty, -hard)
    assert easy.neighbours.shape == (60, 59)
    np.save(tmp_path / "short.npy", np.ones((59, 2)))
    with pytest.raises(BadData, match=r"short.npy has 59 rows, source 'own' 60 samples; give a row for each"):
        coordinates_of(own, features=tmp_path / "short.npy", difficulty=tmp_path / "hard.npy")
    with pytest.raises(BadUsage, match="neighbours must be at least 1, got 0"):
        coordinates_of(own, neighbours=0)


def test_labels_of_other_samples_are_refused() -> None:
    """And labels that are no class, which would stay so."""
    clean = np.arange(40) % 2
    place = Coordinates(
        np.random.default_rng(0).random(40), np.zeros(40, dtype=np.int64), np.roll(np.arange(40), 2)[:, None]
    )
    for given, right, said in (
        (clean[:9], clean[:9], r"given labels must have shape \(40,\) as the coordinates, got \(9,\)"),
        (clean, clean[:9], r"clean labels must have shape \(40,\)"),
        (clean - 1, clean, r"given\[0\] = -1 is no class \(20 such entries\)"),
    ):
        with pytest.raises(BadData, match=said):
            exchange(given, right, place, difficulty=0.5, coherence=0.0, seed=0)
    with pytest.raises(BadUsage, match=r"tolerance must be two positive distances, got 0\.1"):
        exchange(clean, clean, place, difficulty=0.5, coherence=0.0, seed=0, tolerance=0.1)  # type: ignore[arg-type]
