"""Cluster-based noise: circles by brute force, chances by scipy and by simulation, and the signs of the published column."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from noisybench.cards.description import describe
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadData, BadUsage
from noisybench.noise.circles import Classes, chance_within, classes_at, distance_to_centres, members_of, radius_of_rate
from noisybench.noise.noises import cluster_based
from noisybench.noise.noises.cluster_based import ClusterBased, embed
from noisybench.statistics.detection_metrics import auroc, auroc_within_class
from noisybench.statistics.ranking import rank
from noisybench.variants.building import build_variant

N, K = 240, 4
CLEAN = np.arange(N) % K
PLACES = np.random.default_rng(0).normal(size=(N, 2)) + np.array([[0, 0], [2, 0], [0, 2], [9, 9]])[CLEAN]


def toy(places: Floats = PLACES, clean: NDArray[np.int64] = CLEAN) -> Source:
    names = [str(k) for k in range(int(clean.max()) + 1)]
    return source_from_arrays("toy", places, np.where(clean == UNKNOWN, 0, clean), clean=clean, class_names=names)


def in_space(centres: int | list[int]) -> Classes:
    return classes_at(PLACES, members_of(CLEAN), np.broadcast_to(centres, (K,)).astype(np.int64))


def plain(**options: Any) -> ClusterBased:  # noqa: ANN401
    return ClusterBased(**{"embedding": "none", **options})


@pytest.mark.parametrize("radius", [0.0, 0.3, 1.2, 50.0])
def test_the_chance_is_hypergeometric(radius: float) -> None:
    """One minus the chance of no centre among the k members within the radius, by scipy, for other counts in each class."""
    centres = [1, 5, 23, 60]
    near = (cdist(PLACES, PLACES) <= radius) & (CLEAN[:, None] == CLEAN)
    expected = stats.hypergeom(N // K, near.sum(1), np.array(centres)[CLEAN]).sf(0)
    np.testing.assert_allclose(chance_within(in_space(centres), radius), expected, atol=1e-12)


@pytest.mark.parametrize("rate", [None, 0.1, 0.3])
def test_the_law_is_that_of_many_draws(rate: float | None) -> None:
    """Over 500 seeds: each sample's errors by z-tests, and how often two neighbours are wrong together (scipy)."""
    classes, radius, draws = in_space(3), 0.5, 500
    chance, inner, outer, share = chance_within(classes, radius), radius, radius, 0.0
    if rate is not None:
        (inner, outer, share), chance = radius_of_rate(classes, rate)
        assert chance.mean() == pytest.approx(rate, abs=1e-12)
        assert outer / inner < 1.001
    wrong = np.zeros((draws, N), dtype=bool)
    larger = np.random.default_rng(1).random(draws) < share
    for seed in range(draws):
        wrong[seed] = distance_to_centres(classes, seed=seed) <= (outer if larger[seed] else inner)
    z = (wrong.mean(0) - chance) / np.sqrt(chance * (1 - chance) / draws)
    assert np.abs(z).max() < 5
    assert 0.7 < np.square(z).mean() < 1.3
    near = (cdist(PLACES, PLACES) <= inner) & (CLEAN[:, None] == CLEAN)
    i, j = 0, int(np.argsort(cdist(PLACES[:1], PLACES)[0] + 9 * (CLEAN != 0))[1])
    either = stats.hypergeom(N // K, (near[i] | near[j]).sum(), 3).sf(0)
    both = chance[i] + chance[j] - either
    assert both > 1.2 * chance[i] * chance[j]
    assert abs((wrong[:, i] & wrong[:, j]).mean() - both) < 5 * np.sqrt(both * (1 - both) / draws)


@pytest.mark.parametrize("mode", ["exact", "bernoulli"])
def test_a_draw_is_what_its_centres_say(mode: Any) -> None:  # noqa: ANN401
    """Labels by a loop over samples and centres: within one radius of a centre, and the nearest mean of another class."""
    noise = plain(rate=0.25, centres=4)
    draw = noise(toy(), seed=5, mode=mode)
    wrong = draw.labels != CLEAN
    means = np.stack([PLACES[k == CLEAN].mean(0) for k in range(K)])
    turn = {int(i): at for at, i in enumerate(np.random.default_rng(0).permutation(N))}
    assert len(turn) == N
    for i in np.flatnonzero(wrong):
        apart = [np.inf if k == CLEAN[i] else np.linalg.norm(PLACES[i] - means[k]) for k in range(K)]
        assert draw.labels[i] == int(np.argmin(np.array(apart)))
    distance = distance_to_centres(in_space(4), seed=5)
    assert (np.bincount(CLEAN[distance == 0]) == 4).all()
    assert distance[wrong].max() < distance[~wrong].min()
    if mode == "exact":
        assert wrong.sum() == 60
    np.testing.assert_array_equal(draw.selected, wrong)
    assert draw.rate_definition == "effective"


def test_the_published_law_by_a_loop() -> None:
    """A radius and centres as the authors' code has them, from the centres of a seed; the count is what falls out."""
    noise = plain(radius=0.6, centres=3)
    draw = noise(toy(), seed=2, mode="bernoulli")
    distance = distance_to_centres(in_space(3), seed=2)
    expected = CLEAN.copy()
    means = np.stack([PLACES[k == CLEAN].mean(0) for k in range(K)])
    for k in range(K):
        centres = PLACES[(k == CLEAN) & (distance == 0)]
        assert len(centres) == 3
        for i in np.flatnonzero(k == CLEAN):
            if any(np.linalg.norm(PLACES[i] - centre) < 0.6 for centre in centres):
                expected[i] = min((j for j in range(K) if j != k), key=lambda j: np.linalg.norm(PLACES[i] - means[j]))
    np.testing.assert_array_equal(draw.labels, expected)
    assert 0 < (expected != CLEAN).mean() < 0.5
    assert draw.rate_definition == "none"
    assert (plain().centres, plain()._centres(np.array([500] * 4))) == (None, 23)
    assert not np.array_equal(draw.labels, noise(toy(), seed=3, mode="bernoulli").labels)


def test_where_the_count_is_met_the_chances_are_nearly_those_told() -> None:
    """In mode ``exact`` the radius gives way to the count: over 500 draws of digits, about 0.02 apart on average."""
    digits = load_source("digits", limit=600)
    classes = classes_at(
        embed(np.asarray(digits.inputs, np.float32).reshape(600, -1), "pca"),
        members_of(digits.clean),
        np.full(10, 2, dtype=np.int64),
    )
    chance, found, draws = radius_of_rate(classes, 0.2)[1], np.zeros(600), 500
    for seed in range(draws):
        found[np.argsort(distance_to_centres(classes, seed=seed), kind="stable")[:120]] += 1
    apart = np.abs(found / draws - chance)
    assert apart.mean() < 0.03
    assert apart.max() < 0.12


@pytest.mark.parametrize("k", [10, 300])
def test_the_rate_is_met(k: int) -> None:
    """Exactly in mode ``exact``, on average in the other; every class has as many centres as it may; the unknown stay."""
    n = 4 * k + 400
    clean = np.where(np.arange(n) % 50 == 7, UNKNOWN, np.arange(n) % k)
    source = toy(np.random.default_rng(0).normal(size=(n, 2)), clean)
    known = clean != UNKNOWN
    for rate in (0.3, 1.0):
        draw = plain(rate=rate)(source, seed=1, mode="exact")
        assert (draw.labels != clean)[known].sum() == round(rate * known.sum())
        assert draw.flip_probability is not None
        assert np.isnan(draw.flip_probability[~known]).all()
        np.testing.assert_array_equal(draw.labels[~known], source.labels[~known])
        expected = draw.flip_probability[known].sum()
        assert expected == pytest.approx(rate * known.sum())
    if k > 10:
        return
    counts = [
        (plain(rate=0.3)(source, seed=seed, mode="bernoulli").labels != clean)[known].mean() for seed in range(12)
    ]
    assert abs(np.mean(counts) - 0.3) < 5 * np.std(counts) / np.sqrt(12)


def test_what_makes_the_plane(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """t-SNE once for all seeds, with its cost said beforehand; the same from a file of places; principal components."""
    inputs = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    source = toy(inputs.astype(np.float64), np.arange(90) % 3)
    monkeypatch.setattr(cluster_based, "_LONG", 80)
    with caplog.at_level(logging.WARNING, logger="noisybench"):
        labels = [ClusterBased(0.3)(source, seed=seed, mode="exact").labels for seed in range(3)]
    assert [record.getMessage() for record in caplog.records] == [
        "t-SNE of 90 samples takes about 1 minutes on one core; --set embedding=pca takes seconds"
    ]
    np.save(tmp_path / "places.npy", embed(inputs, "tsne"))
    same = ClusterBased(0.3, coordinates=tmp_path / "places.npy")(source, seed=2, mode="exact").labels
    np.testing.assert_array_equal(same, labels[2])
    centred = inputs - inputs.mean(0)
    expected = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    np.testing.assert_allclose(np.abs(embed(inputs, "pca")), np.abs(expected), atol=1e-4)
    assert embed(inputs, "none").shape == (90, 5)


def test_errors_fall_on_easy_samples() -> None:
    """As in the published column, AUROC of the difficulty below 1/2, within the classes too: held-out doubt, digits, t-SNE.

    The difficulty is one minus the clean class's probability by logistic regression in folds; mean of ten draws.
    """
    digits = load_source("digits", limit=400)
    pixels = np.asarray(digits.inputs, np.float32).reshape(400, -1)
    answers = cross_val_predict(LogisticRegression(C=0.02), pixels / 16, digits.clean, method="predict_proba")
    doubt = 1 - answers[np.arange(400), digits.clean]
    found = []
    for seed in range(10):
        variant = build_variant(digits, ClusterBased(0.35, centres=3), seed=seed)
        wrong = variant.mislabeled
        found.append(tuple(metric(rank(doubt, wrong, digits.clean)).value for metric in (auroc, auroc_within_class)))
        assert np.nanmean(describe(variant).modal_shares) > 0.4
    assert (np.mean(found, axis=0) < 0.5).all()


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    """In a sentence that says what would be right."""
    np.save(tmp_path / "short.npy", PLACES[:5])
    np.save(tmp_path / "nan.npy", np.full((N, 2), np.nan))
    alone = replace(toy(), inputs=None, test_inputs=None, test_labels=None)
    refused: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: ClusterBased(0.2, radius=1.0), BadUsage, "rate and radius both decide how many labels are wrong"),
        (lambda: ClusterBased(radius=0.0), BadUsage, "radius must be a number above 0, in units of the plane, got 0"),
        (lambda: ClusterBased(radius=float("nan")), BadUsage, "radius must be a number above 0"),
        (lambda: ClusterBased(0.2, centres=0), BadUsage, "centres must be at least 1, got 0"),
        (lambda: ClusterBased(0.2, embedding="umap"), BadUsage, "embedding must be one of tsne, pca, none"),  # type: ignore[arg-type]
        (lambda: plain(coordinates=tmp_path / "x.npy"), BadUsage, "coordinates take the place of features and embedding"),
        (lambda: plain()(toy(), seed=0, mode="exact"), BadUsage, "leaves to chance how many .*: say --mode bernoulli, or a"),
        (lambda: plain(rate=0.01)(toy(), seed=0, mode="exact"), BadUsage, "rate 0.01 is out of reach: 4 centres, .* 1.67%"),
        (lambda: plain(rate=0.5, centres=99)(toy(), seed=0, mode="exact"), BadUsage, "has 60 samples, fewer than centres=99"),
        (lambda: plain(rate=0.5)(toy(clean=0 * CLEAN), seed=0, mode="exact"), BadUsage, "all of these are of one class"),
        (lambda: ClusterBased(0.5)(alone, seed=0, mode="exact"), BadUsage, "give places in a file, --set coordinates=FILE"),
        (
            lambda: ClusterBased(0.5, coordinates=tmp_path / "short.npy")(toy(), seed=0, mode="exact"),
            BadData,
            r"short.npy has float64 of shape \(5, 2\), expected the numbers of each of 240 samples, shape \(240, 2\)",
        ),
        (
            lambda: ClusterBased(0.5, coordinates=tmp_path / "nan.npy")(toy(), seed=0, mode="exact"),
            BadData,
            "has a number that is not finite",
        ),
    ]  # fmt: skip
    for make, kind, words in refused:
        with pytest.raises(kind, match=words) as caught:
            make()
        assert "\n" not in str(caught.value)
