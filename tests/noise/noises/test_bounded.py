"""Bounded instance noise against its definition, one sample after another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import bits, normals
from noisybench.noise.noises.bounded_instance import BoundedInstance, bounded_chances
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode

MODES: tuple[Mode, ...] = ("exact", "exact_per_class", "bernoulli")
MATRIX = np.array([[0.9, 0.1, 0, 0], [0.1, 0.6, 0.3, 0], [0, 0, 1, 0], [0.1, 0.1, 0.2, 0.6]])


def inputs_of(kind: str, n: int) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if kind == "features":
        return (rng.standard_normal((n, 9)) * 10.0 ** np.arange(-4, 5) + 100).astype(np.float32)
    return rng.integers(0, 256, (n, 4, 5, 3), dtype=np.uint8)


def source_of(inputs: NDArray[Any], clean: NDArray[np.int64], k: int) -> Source:
    return source_from_arrays("toy", inputs, clean, clean=clean, class_names=[str(j) for j in range(k)])


def definition(
    inputs: NDArray[Any], clean: NDArray[np.int64], bounds: Floats, rate: float, temperature: float, seed: int
) -> list[float]:
    """Chances by a loop over the samples; b by halving."""
    d = int(np.prod(inputs.shape[1:]))
    mean, deviation = inputs.mean(0, dtype=np.float64), inputs.std(0, dtype=np.float64)
    vectors = [normals(seed, f"vector-{y}", d) for y in range(len(bounds))]
    logits = []
    for x, y in zip(inputs.astype(np.float64), clean, strict=True):
        z = (x - x.mean((0, 1)) if inputs.ndim == 4 else (x - mean) / deviation).ravel()
        logits.append(vectors[y] @ z / np.linalg.norm(z) / temperature)
    low, high = -100.0, 100.0
    for _ in range(60):
        b = (low + high) / 2
        chances = [bounds[y] / (1 + np.exp(-logit - b)) for logit, y in zip(logits, clean, strict=True)]
        low, high = (b, high) if np.mean(chances) < rate else (low, b)
    return chances


@pytest.mark.parametrize("kind", ["images", "features"])
@pytest.mark.parametrize("matrix", [False, True])
def test_labels_follow_the_definition(kind: str, matrix: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    """Chances to 1e-5 of the loop's; who is wrong, and which class, by chi-square (scipy) of 25 seeds' draws in each mode."""
    n, k, seeds = 300, 4, 25
    clean = (bits(0, "classes", n) % np.uint64(k)).astype(np.int64)
    inputs = inputs_of(kind, n)
    np.save(tmp_path / "matrix.npy", MATRIX)
    noise = BoundedInstance(0.2, 0.6, 0.7, tmp_path / "matrix.npy" if matrix else None)
    bounds = 0.6 * (1 - MATRIX.diagonal()) / 0.4 if matrix else np.full(k, 0.6)
    targets = MATRIX * ~np.eye(k, dtype=bool) if matrix else ~np.eye(k, dtype=bool) / 3
    for mode in MODES:
        surplus, variance, given, expected = np.zeros(n), np.zeros(n), np.zeros((k, k)), np.zeros((k, k))
        for seed in range(seeds):
            draw = noise(source_of(inputs, clean, k), seed=seed, mode=mode)
            p = draw.flip_probability
            assert p is not None
            if seed == 1 and mode == "exact":
                np.testing.assert_allclose(p, definition(inputs, clean, bounds, 0.2, 0.7, seed), rtol=1e-5)
                assert (p < np.maximum(bounds[clean], 1e-9)).all()
            surplus += (draw.labels != clean) - p
            variance += p * (1 - p)
            given += np.bincount(clean * k + draw.labels, minlength=k * k).reshape(k, k)
            expected += np.bincount(clean, p)[:, None] * targets / np.maximum(targets.sum(1, keepdims=True), 1e-9)
        moving = variance > 0
        assert 1e-6 < stats.chi2.sf((surplus[moving] ** 2 / variance[moving]).sum(), moving.sum()) < 1 - 1e-6
        off = ~np.eye(k, dtype=bool)
        assert given[off & (expected == 0)].sum() == 0
        possible = off & (expected > 0)
        assert stats.chi2.sf(((given - expected)[possible] ** 2 / expected[possible]).sum(), possible.sum()) > 1e-6


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_the_rate_is_met(k: int) -> None:
    """Three rates in every mode: exactly where that is promised, else within four standard deviations of its mean."""
    n = 603
    clean = ((bits(0, "classes", n) % np.uint64(k * k)) ** 0.5).astype(np.int64) % k
    source = source_of(inputs_of("images", n), clean, k)
    inputs = np.array(source.inputs)
    for rate in (0.05, 0.2, 0.4):
        for mode in MODES:
            variant = build_variant(source, BoundedInstance(rate), seed=1, mode=mode)
            p, wrong = variant.flip_probability, variant.mislabeled
            assert p is not None
            assert p.mean() == pytest.approx(rate, abs=1e-9)
            assert p.max() < 0.5
            if mode == "bernoulli":
                assert abs(wrong.sum() - rate * n) < 4 * np.sqrt((p * (1 - p)).sum())
            else:
                assert wrong.sum() == round(rate * n)
    np.testing.assert_array_equal(source.inputs, inputs)


def test_a_bernoulli_label_depends_on_its_own_sample_and_b() -> None:
    """The rest may be permuted: the first labels stay."""
    clean, inputs = np.arange(300) % 4, inputs_of("images", 300)
    order = np.concatenate([np.arange(150), 150 + np.argsort(bits(3, "order", 150))])
    first, other = (source_of(inputs[part], clean[part], 4) for part in (np.arange(300), order))
    labels, permuted = (BoundedInstance(0.3)(source, seed=4, mode="bernoulli").labels for source in (first, other))
    np.testing.assert_array_equal(permuted[:150], labels[:150])


def test_a_blank_image_and_a_steep_law_have_chances() -> None:
    """A blank image has the chance of product 0; near temperature zero chances are 0 or the bound; extremes are met."""
    images = inputs_of("images", 40)
    images[3] = 7
    clean = np.zeros(40, dtype=np.int64)
    p = BoundedInstance(0.2)(source_of(images, clean, 2), seed=0, mode="exact").flip_probability
    assert p is not None
    assert np.isfinite(p).all()
    steep = BoundedInstance(0.2, temperature=1e-6)(source_of(images, clean, 2), seed=0, mode="exact").flip_probability
    assert steep is not None
    assert ((steep < 1e-6) | (steep > 0.5 - 1e-6)).sum() >= 39
    assert steep.mean() == pytest.approx(0.2, abs=1e-9)
    np.testing.assert_allclose(bounded_chances(np.zeros(3), np.full(3, 0.5), 0.499), 0.499)
    assert not bounded_chances(np.arange(3.0), np.full(3, 0.5), 0.0).any()


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    """When the noise is made, or when it draws."""
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: BoundedInstance(0.2, bound=0), r"bound must lie in \(0, 1\], got 0"),
        (lambda: BoundedInstance(0.2, bound=1.5), r"bound must lie in \(0, 1\], got 1.5"),
        (lambda: BoundedInstance(0.2, temperature=0), "temperature must be a number from 1e-06 on, got 0"),
    ]
    for make, words in refused:
        with pytest.raises(BadUsage, match=words):
            make()
    source = source_of(inputs_of("images", 40), np.arange(40) % 4, 4)
    with pytest.raises(BadUsage, match="rate 0.5 is out of reach: chances stay below a bound whose mean is 0.5; say"):
        BoundedInstance(0.5)(source, seed=0, mode="exact")
    np.save(tmp_path / "matrix.npy", MATRIX)
    with pytest.raises(BadUsage, match=r"rate 0.4 is out of reach: .* whose mean is 0.28125; say --set bound"):
        BoundedInstance(0.4, matrix=tmp_path / "matrix.npy")(source, seed=0, mode="exact")
