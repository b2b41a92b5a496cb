"""Coherent noise: whole clusters by their definition, every sample's chance over seeds, and both knobs at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import bits, uniforms
from noisybench.noise.class_structure import Structure
from noisybench.noise.clusters import pivotal, sub_clusters
from noisybench.noise.difficulty_law import Within
from noisybench.noise.noises.coherent import Coherent, draw_together
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.statistics.expected_auroc import expected_auroc_in_groups, mid_ranks
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode

MODES: tuple[Mode, ...] = ("exact", "exact_per_class")
K, PER_CLASS = 4, 150


def toy(clean: NDArray[np.int64], k: int, inputs: Floats | None = None) -> Source:
    names = [str(j) for j in range(k)]
    labels = np.where(clean == UNKNOWN, 1, clean)
    inputs = np.arange(len(clean), dtype=np.float64)[:, None] if inputs is None else inputs
    return source_from_arrays("toy", inputs, labels, clean=clean, class_names=names)


ORDER = np.argsort(bits(0, "order", K * PER_CLASS))
CLEAN = np.repeat(np.arange(K), PER_CLASS)[ORDER]
# Twelve sub-labels a class, of 1 to 24 samples, whose numbers come again in every class.
SUB = np.tile(np.repeat(np.arange(12), [1, 2, 4, 6, 8, 10, 14, 16, 20, 21, 24, 24]), K)[ORDER]
PAIR = CLEAN * 12 + SUB
SIZES = np.bincount(PAIR)
DIFFICULTY = (7 * SUB + (bits(0, "difficulty", len(CLEAN)) % np.uint64(60)).astype(np.int64)).astype(np.float64)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[NDArray[Any]], Path]:
    """Writes an array to a file."""

    def write(values: NDArray[Any]) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, values)
        return path

    return write


def test_clusters_trade_until_all_but_one_are_in_or_out() -> None:
    """The sum is kept, at most one is in part, and means over 4,000 draws are those asked for, by z-tests (scipy)."""
    sizes = np.array([3, 10, 1, 7, 20, 5, 4])
    expected = np.array([1.5, 4, 0.25, 6.25, 8, 5, 0])
    rng = np.random.default_rng(0)
    taken = np.array([pivotal(expected, sizes, rng.random(7)) for _ in range(4000)])
    assert (taken.sum(1) == 25).all()
    assert (((taken > 0) & (taken < sizes)).sum(1) <= 1).all()
    assert (taken[:, 5] == 5).all()
    assert (taken[:, 6] == 0).all()
    z = (taken.mean(0) - expected)[:5] / (taken.std(0)[:5] / np.sqrt(4000))
    assert stats.chi2.sf((z**2).sum(), 5) > 1e-6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("structure", ["symmetric", "pair_flip"])
def test_whole_clusters_take_one_class(mode: Mode, structure: Structure, file: Callable[[NDArray[Any]], Path]) -> None:
    """Of 50 seeds: exact counts, one cut cluster (a class), one class a cluster; every chance is the rate (chi-square)."""
    source, seeds, rate = toy(CLEAN, K), 50, 0.3
    noise = Coherent(rate, sub_labels=file(SUB), structure=structure)
    shares, goals, cut_first = [], np.zeros((K, K)), []
    for seed in range(seeds):
        draw = noise(source, seed=seed, mode=mode)
        wrong = draw.labels != CLEAN
        np.testing.assert_array_equal(draw.flip_probability, np.full(len(CLEAN), rate))
        np.testing.assert_array_equal(draw.selected, wrong)
        counts = np.bincount(PAIR[wrong], minlength=len(SIZES))
        cut = (counts > 0) & (counts < SIZES)
        if mode == "exact":
            assert wrong.sum() == 180
            assert cut.sum() <= 1
        else:
            assert (np.bincount(CLEAN[wrong], minlength=K) == 45).all()
            assert (np.bincount(np.flatnonzero(cut) // 12, minlength=K) <= 1).all()
        for pair in np.flatnonzero(counts):
            (goal,) = np.unique(draw.labels[wrong & (pair == PAIR)])
            goals[pair // 12, goal] += 1
        shares.append(counts / SIZES)
        cut_first += [np.flatnonzero(wrong[pair == PAIR]).mean() / (SIZES[pair] - 1) for pair in np.flatnonzero(cut)]
    mean, deviation = np.mean(shares, axis=0), np.std(shares, axis=0)
    z2 = (mean - rate) ** 2 / (deviation**2 / seeds)
    assert 1e-6 < stats.chi2.sf(z2.sum(), len(SIZES)) < 1 - 1e-6
    # In a cut cluster no place is preferred: the mean place is the middle.
    assert abs(np.mean(cut_first) - 0.5) < 5 * np.std(cut_first) / np.sqrt(len(cut_first))
    if structure == "pair_flip":
        assert goals[np.arange(K), (np.arange(K) + 1) % K].sum() == goals.sum()
    else:
        others = goals[~np.eye(K, dtype=bool)].reshape(K, K - 1)
        assert goals.trace() == 0
        assert all(stats.chisquare(row).pvalue > 1e-6 for row in others)


@pytest.mark.parametrize("mode", MODES)
def test_a_share_is_scattered(mode: Mode, file: Callable[[NDArray[Any]], Path]) -> None:
    """With coherence 0.4, 72 of 180 come in whole clusters; the chance of every sample stays the rate (50 seeds)."""
    source, seeds, counts = toy(CLEAN, K), 50, np.zeros(len(CLEAN))
    noise = Coherent(0.3, 0.4, sub_labels=file(SUB))
    chance, group = np.full(len(CLEAN), 0.3), CLEAN if mode == "exact_per_class" else np.zeros_like(CLEAN)
    for seed in range(seeds):
        together, alone = draw_together(0.4 * chance, 0.6 * chance, PAIR, group, 0.4, seed=seed)
        assert not (together & alone).any()
        assert (np.bincount(group[together]) == 72 / len(np.unique(group))).all()
        assert (np.bincount(group[alone]) == 108 / len(np.unique(group))).all()
        in_part = np.bincount(PAIR[together], minlength=len(SIZES))
        assert ((in_part > 0) & (in_part < SIZES)).sum() <= len(np.unique(group))
        draw = noise(source, seed=seed, mode=mode)
        np.testing.assert_array_equal(draw.labels != CLEAN, together | alone)
        counts += together | alone
    by_cluster = np.bincount(PAIR, counts) / SIZES
    # A cluster's mean varies at most as its chance of being wrong together, and the scattered rest.
    variance = seeds * (0.12 * 0.88 + 0.18 * 0.82 / SIZES)
    assert stats.chi2.sf(((by_cluster - seeds * 0.3) ** 2 / variance).sum(), len(SIZES)) > 1e-6


def test_without_coherence_it_is_the_scattered_noise() -> None:
    """The very flips of symmetric noise of the same seed, and in mode ``exact`` its very labels."""
    source = toy(CLEAN, K)
    for mode in MODES:
        alone = Coherent(0.3, 0.0)(source, seed=3, mode=mode)
        plain = Symmetric(0.3)(source, seed=3, mode=mode)
        np.testing.assert_array_equal(alone.selected, plain.selected)
        assert mode == "exact_per_class" or np.array_equal(alone.labels, plain.labels)
        assert (Coherent(0.3, 1.0)(source, seed=3, mode=mode).labels != plain.labels).any()


@pytest.mark.parametrize("coherence", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("within", ["class", "all"])
def test_both_knobs_turn_at_once(coherence: float, within: Within, file: Callable[[NDArray[Any]], Path]) -> None:
    """The AUROC is met to 1e-6 at every coherence (scikit-learn's weights), and by the draws; chances hold over seeds."""
    source, place, sub = toy(CLEAN, K), file(DIFFICULTY), file(SUB)
    twice, truth = np.tile(DIFFICULTY, 2), np.repeat([1, 0], len(CLEAN))
    for auroc in (0.4, 0.5, 0.75):
        noise = Coherent(0.25, coherence, sub_labels=sub, difficulty=place, auroc=auroc, within=within)
        draw = noise(source, seed=0, mode="exact")
        p = draw.flip_probability
        assert p is not None
        assert p.mean() == pytest.approx(0.25, abs=1e-9)
        group = CLEAN if within == "class" else np.zeros_like(CLEAN)
        ranks = mid_ranks(DIFFICULTY, group)
        assert expected_auroc_in_groups(p, ranks, group) == pytest.approx(auroc, abs=1e-6)
        if within == "all":
            weight = np.concatenate([p, 1 - p])
            assert roc_auc_score(truth, twice, sample_weight=weight) == pytest.approx(auroc, abs=1e-6)
    seeds, found, shares = 24, [], []
    for seed in range(seeds):
        wrong = (noise(source, seed=seed, mode="exact").labels != CLEAN).astype(np.float64)
        found.append(expected_auroc_in_groups(wrong, ranks, group))
        shares.append(np.bincount(PAIR, wrong) / SIZES)
        assert wrong.sum() == 150
    assert abs(np.mean(found) - 0.75) < 5 * np.std(found) / np.sqrt(seeds) < 0.05
    expected = np.bincount(PAIR, p) / SIZES
    deviation = np.std(shares, axis=0)
    moving = deviation > 0.05
    z2 = (np.mean(shares, axis=0) - expected)[moving] ** 2 / (deviation[moving] ** 2 / seeds)
    assert moving.sum() > 20
    # Of seeds that are few for a deviation: Student's t, whose square has a mean of (seeds - 1) / (seeds - 3).
    assert stats.chi2.sf(z2.sum() * (seeds - 3) / (seeds - 1), moving.sum()) > 1e-6


def test_clusters_are_those_of_the_inputs() -> None:
    """Five clouds a class of 20 points each: k-means finds them, and a rate of 0.2 takes four clouds whole."""
    clean = np.repeat(np.arange(4), 100)
    cloud = np.arange(400) // 20
    centres = uniforms(0, "centres", 40).reshape(20, 2) * 0.2 + np.stack(
        [np.arange(20) % 5, np.arange(20) // 5], axis=1
    )
    inputs = centres[cloud] + 0.01 * uniforms(1, "points", 800).reshape(400, 2)
    found = sub_clusters(inputs.astype(np.float32), clean, 20)
    pairs = {(int(a), int(b)) for a, b in zip(found, cloud, strict=True)}
    assert len({a for a, _ in pairs}) == 20
    assert len(pairs) <= 22  # k-means, begun once, may miss a cloud
    for noise in (Coherent(0.2, cluster_size=20), Coherent(0.2, clusters=4)):
        labels = noise(toy(clean, 4, inputs), seed=1, mode="exact").labels
        assert (labels != clean).sum() == 80
        whole = np.bincount(found[labels != clean], minlength=20) / np.bincount(found)
        assert ((whole > 0) & (whole < 1)).sum() <= 1
        assert 3 <= (whole > 0).sum() <= 5
    same = sub_clusters(np.ones((40, 2), dtype=np.float32), np.repeat([0, 1], 20), 5)
    assert len(np.unique(same)) == 2


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_the_rate_is_met(k: int, file: Callable[[NDArray[Any]], Path]) -> None:
    """Three rates in both modes, whole clusters and half of them: the nearest count, in each class one of the two next to it."""
    n = 803
    clean = ((bits(0, "classes", n) % np.uint64(k * k)) ** 0.5).astype(np.int64) % k
    unknown = np.arange(n) % 100 == 3
    source = toy(np.where(unknown, UNKNOWN, clean), k)
    inputs, labels, sub = np.array(source.inputs), source.labels.copy(), file(np.arange(n) % 7)
    sizes = np.bincount(clean[~unknown], minlength=k)
    for rate in (0.05, 0.2, 0.4):
        for mode in MODES:
            noise = Coherent(rate, 0.5 if rate == 0.2 else 1.0, sub_labels=sub)
            variant = build_variant(source, noise, seed=1, mode=mode)
            wrong = variant.mislabeled
            assert wrong.sum() == round(rate * sizes.sum())
            assert np.isnan(variant.flip_probability[unknown]).all()  # type: ignore[index]
            if mode == "exact_per_class":
                assert np.abs(np.bincount(clean[wrong], minlength=k) - rate * sizes).max() < 1
    np.testing.assert_array_equal(source.inputs, inputs)
    np.testing.assert_array_equal(source.labels, labels)


def test_what_cannot_be_meant_is_refused(file: Callable[[NDArray[Any]], Path]) -> None:
    """When the noise is made, or when it draws."""
    place = file(SUB)
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: Coherent(0.2, 1.5), r"coherence must lie in \[0, 1\] .*, got 1.5"),
        (lambda: Coherent(0.2, clusters=3, cluster_size=4), "cluster_size and clusters both decide how large clusters"),
        (lambda: Coherent(0.2, clusters=3, sub_labels=place), "sub_labels and clusters both decide how large clusters"),
        (lambda: Coherent(0.2, cluster_size=0), "cluster_size must be at least 1, got 0"),
        (lambda: Coherent(0.2, difficulty=place), "a difficulty is given and no auroc"),
        (lambda: Coherent(0.2, auroc=2), r"auroc must be a number in \[0, 1\]"),
    ]
    for make, words in refused:
        with pytest.raises(BadUsage, match=words):
            make()
    source = toy(CLEAN, K)
    with pytest.raises(BadUsage, match="clusters=121 is more than the 120 samples that are mislabeled together"):
        Coherent(0.2, clusters=121)(source, seed=0, mode="exact")
    with pytest.raises(BadUsage, match="'coherent' is drawn in mode exact or exact_per_class only, got 'bernoulli'"):
        Coherent(0.2)(source, seed=0, mode="bernoulli")
    with pytest.raises(BadUsage, match=r"auroc 0.999 is out of reach at rate 0.2: .* the greatest is 0\.\d+"):
        noise = Coherent(0.2, sub_labels=place, difficulty=file(DIFFICULTY), auroc=0.999)
        noise(source, seed=0, mode="exact")


def test_a_large_class_is_parted_before_it_is_clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are as many as they may be, a cluster lies within one part, and those near are together; copies end it."""
    rng = np.random.default_rng(0)
    middles = 10 * rng.normal(size=(40, 6))
    inputs = (middles[rng.integers(0, 40, 800)] + 0.01 * rng.normal(size=(800, 6))).astype(np.float32)
    monkeypatch.setattr("noisybench.noise.clusters.AT_ONCE", 100)
    monkeypatch.setattr("noisybench.noise.clusters._PART", 80)
    found = sub_clusters(inputs, np.zeros(800, dtype=np.int64), 20)
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1))
    assert 25 <= len(np.unique(found)) <= 60
    nearest = np.linalg.norm(inputs[:, None] - middles, axis=2).argmin(1)
    assert np.mean([len(np.unique(nearest[found == c])) == 1 for c in np.unique(found)]) > 0.7
    assert np.array_equal(found, sub_clusters(inputs, np.zeros(800, dtype=np.int64), 20))
    assert not sub_clusters(np.ones((300, 2), dtype=np.float32), np.zeros(300, dtype=np.int64), 20).any()
