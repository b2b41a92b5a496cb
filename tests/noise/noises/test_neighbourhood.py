"""Neighbourhood noise against its definition, one sample after another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.random_streams import bits, normals
from noisybench.noise.noises.neighbourhood import Neighbourhood
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode

MODES: tuple[Mode, ...] = ("exact", "exact_per_class", "bernoulli")


def clouds(n: int, k: int, *, apart: float) -> tuple[NDArray[np.int64], Floats]:
    """Classes and inputs around a mean for each class, shape (n,) and (n, 6)."""
    clean = (bits(0, "classes", n) % np.uint64(k)).astype(np.int64)
    means = normals(1, "means", 6 * k).reshape(k, 6)
    return clean, apart * means[clean] + normals(2, "inputs", 6 * n).reshape(n, 6)


def source_of(inputs: Floats, clean: NDArray[np.int64], k: int) -> Source:
    labels = np.where(clean == UNKNOWN, 1, clean)
    return source_from_arrays("toy", inputs, labels, clean=clean, class_names=[str(j) for j in range(k)])


def definition(inputs: Floats, clean: NDArray[np.int64], classes: int, rate: float, k: int, smoothing: float) -> Floats:
    """P(label | sample), shape (n, classes), by loops over pairs; c by halving."""
    n, rows = len(clean), inputs.astype(np.float32).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    law = np.full((n, classes), smoothing / classes)
    for i in range(n):
        nearest = sorted((j for j in range(n) if j != i), key=lambda j, i=i: -(rows[i] @ rows[j]))[:k]  # type: ignore[misc]
        for j in nearest:
            law[i, clean[j]] += 1
    law /= k + smoothing
    own = law[np.arange(n), clean]
    law[np.arange(n), clean] = 0
    weights = 1 - own
    low, high = 0.0, 1e6
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if np.minimum(1, c * weights).mean() < rate else (low, c)
    chances = np.minimum(1, high * weights)
    law *= (chances / np.where(weights > 0, weights, 1))[:, None]
    law[np.arange(n), clean] = 1 - chances
    return law


@pytest.mark.parametrize(("smoothing", "apart"), [(0.0, 0.6), (None, 0.6), (2.5, 1.5), (None, 4.0)])
def test_labels_follow_the_definition(smoothing: float | None, apart: float) -> None:
    """Chances to 1e-6 of the loop's; chi-square (scipy) of 30 seeds in each mode: who is wrong, and which class."""
    n, classes, k, seeds = 300, 5, 7, 30
    clean, inputs = clouds(n, classes, apart=apart)
    source = source_of(inputs, clean, classes)
    noise = Neighbourhood(0.25, k, smoothing=smoothing)
    # Far apart, too few samples have a neighbour of another class: one imaginary neighbour helps.
    taken = (1.0 if apart == 4 else 0.0) if smoothing is None else smoothing
    law = definition(inputs, clean, classes, 0.25, k, taken)
    chance = 1 - law[np.arange(n), clean]
    assert (chance == 0).any() == (taken == 0)
    for mode in MODES:
        counts, given = np.zeros(n), np.zeros((classes, classes))
        for seed in range(seeds):
            draw = noise(source, seed=seed, mode=mode)
            np.testing.assert_allclose(np.asarray(draw.flip_probability), chance, atol=1e-6)
            assert (law[np.arange(n), draw.labels] > 0).all()
            counts += draw.labels != clean
            given += np.bincount(clean * classes + draw.labels, minlength=classes**2).reshape(classes, classes)
        unsure = (chance > 1e-6) & (chance < 1 - 1e-6)
        z2 = ((counts - seeds * chance) ** 2)[unsure] / (seeds * chance * (1 - chance))[unsure]
        assert unsure.sum() > 100
        assert 1e-6 < stats.chi2.sf(z2.sum(), unsure.sum()) < 1 - 1e-6
        expected = seeds * np.array([law[clean == j].sum(0) for j in range(classes)])
        excess = ((given - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
        assert stats.chi2.sf(excess, (expected > 0).sum() - classes) > 1e-6


@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_the_rate_is_met(classes: int) -> None:
    """Three rates in every mode: exactly where that is promised, else within four standard deviations of its mean."""
    n = 603
    clean, inputs = clouds(n, classes, apart=2.0)
    unknown = np.arange(n) % 200 == 3
    source = source_of(inputs, np.where(unknown, UNKNOWN, clean), classes)
    before, known = np.array(source.inputs), n - unknown.sum()
    for rate in (0.05, 0.2, 0.4):
        for mode in MODES:
            variant = build_variant(source, Neighbourhood(rate, 5), seed=1, mode=mode)
            p, wrong = variant.flip_probability, variant.mislabeled
            assert p is not None
            np.testing.assert_array_equal(np.isnan(p), unknown)
            p = p[~unknown]
            assert p.mean() == pytest.approx(rate, abs=1e-9)
            if mode == "bernoulli":
                assert abs(wrong.sum() - rate * known) < 4 * np.sqrt((p * (1 - p)).sum())
            else:
                assert wrong.sum() == round(rate * known)
    np.testing.assert_array_equal(source.inputs, before)


def test_a_bernoulli_label_depends_on_its_own_sample_and_its_neighbours() -> None:
    """The rest may be permuted: the first labels stay."""
    clean, inputs = clouds(300, 4, apart=1.0)
    order = np.concatenate([np.arange(150), 150 + np.argsort(bits(3, "order", 150))])
    noise = Neighbourhood(0.2, 9)
    labels = noise(source_of(inputs, clean, 4), seed=4, mode="bernoulli").labels
    permuted = noise(source_of(inputs[order], clean[order], 4), seed=4, mode="bernoulli").labels
    np.testing.assert_array_equal(permuted[:150], labels[:150])


def test_nearness_is_that_of_the_named_features() -> None:
    """One component of ``pca`` is the feature that separates the classes, and nobody near is of another class."""
    clean = np.repeat([0, 1], 50)
    inputs = normals(0, "inputs", 200).reshape(100, 2)
    inputs[:, 0] = np.where(clean == 0, -50, 50) + inputs[:, 0]
    with pytest.raises(BadUsage, match="0 of 100 samples have a neighbour of another class"):
        Neighbourhood(0.1, 5, features="pca", smoothing=0)(source_of(inputs, clean, 2), seed=0, mode="exact")
    with pytest.raises(UnknownName, match="no feature.* is called 'pcb'"):
        Neighbourhood(0.1, 5, features="pcb")(source_of(inputs, clean, 2), seed=0, mode="exact")


def test_what_cannot_be_meant_is_refused() -> None:
    """When the noise is made, or when it draws; the greatest rate is drawn, and all neighbours where k is more."""
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: Neighbourhood(0.2, k=0), "k must be at least 1, got 0"),
        (lambda: Neighbourhood(0.2, smoothing=-1), "smoothing must be a number of imaginary neighbours, .* got -1"),
        (lambda: Neighbourhood(0.2, smoothing=float("nan")), "smoothing must be .* got nan"),
    ]
    for make, words in refused:
        with pytest.raises(BadUsage, match=words):
            make()
    # Directions: three samples of class 0, three of class 1, and one of class 1 among the first.
    inputs = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0.01, 1], [0.02, 1], [1, 0.005]])
    clean = np.array([0, 0, 0, 1, 1, 1, 1])
    source = source_of(inputs, clean, 2)
    with pytest.raises(
        BadUsage, match=r"rate 0.6 is out of reach: 3 of 7 samples have .*; lower the rate, or say --set"
    ):
        Neighbourhood(0.6, k=1, smoothing=0)(source, seed=0, mode="exact")
    draw = Neighbourhood(3 / 7, k=1, smoothing=0)(source, seed=0, mode="exact")
    assert np.flatnonzero(draw.labels != clean).tolist() == [0, 1, 6]
    few, all_others = (Neighbourhood(0.2, k=k)(source, seed=0, mode="exact").labels for k in (20, 6))
    assert np.array_equal(few, all_others)
