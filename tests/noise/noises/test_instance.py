from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noisybench.data.source import source_from_arrays
from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import normals, uniforms
from noisybench.noise.noises.instance import Instance, flip_chances, wrong_laws
from noisybench.noise.noises.xia_raw import XiaRaw
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Noise

K = 4


def naive_laws(inputs: NDArray[Any], clean: Labels, temperature: float, seed: int) -> Floats:
    """Xia et al. 2020, algorithm 2, one sample after another in float64, written from the docstring."""
    images = inputs.ndim == 4
    d = int(np.prod(inputs.shape[1:]))
    parts = [normals(seed, f"parts-{k}", K * d).reshape(K, d) for k in range(K)]
    mean, deviation = inputs.mean(0, dtype=np.float64), inputs.std(0, dtype=np.float64)
    laws = np.zeros((len(inputs), K))
    for i, (x, y) in enumerate(zip(inputs.astype(np.float64), clean, strict=True)):
        z = (x - x.mean((0, 1)) if images else (x - mean) / deviation).ravel()
        z /= np.linalg.norm(z)
        logits = np.array([z @ parts[y][j] for j in range(K)]) / temperature
        weights = np.exp(logits)
        weights[y] = 0
        laws[i] = weights / weights.sum()
    return laws


def random_inputs(kind: str, n: int) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if kind == "features":
        return (rng.standard_normal((n, 11)) * 10.0 ** np.arange(-5, 6) + 100).astype(np.float32)
    return rng.integers(0, 256, (n, 6, 5, 3 if kind == "colour" else 1), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["colour", "grey", "features"])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_laws_equal_those_of_the_per_sample_loop(kind: str, temperature: float) -> None:
    """600 samples, more than a block in each class, against the loop to eight digits; every sample exactly once."""
    inputs, clean = random_inputs(kind, 600), np.arange(600) % K
    selected = np.arange(600) % 7 != 0
    expected = naive_laws(inputs, clean, temperature, seed=5)
    seen = np.zeros(600, dtype=np.int64)
    for members, weights in wrong_laws(inputs, clean, selected, K, temperature, seed=5):
        seen[members] += 1
        found = weights / weights.sum(1, keepdims=True)
        np.testing.assert_allclose(found, expected[members], rtol=1e-8 if kind != "features" else 1e-5, atol=1e-12)
    np.testing.assert_array_equal(seen, selected)


@pytest.mark.parametrize("mode", ["exact", "exact_per_class", "bernoulli"])
def test_labels_follow_the_chances_and_the_laws(mode: Mode) -> None:
    """Chi-square (scipy), alpha 1e-6, of 40,000 samples that show 8 images: flips by decile of q, and what they became."""
    images, n = random_inputs("colour", 8), 40_000
    which = np.arange(n) % 8
    clean = which % K
    source = source_from_arrays("toy", images[which], clean, clean=clean)
    draw = Instance(0.3)(source, seed=2, mode=mode)
    assert draw.flip_probability is not None
    flipped = draw.labels != clean
    order = np.argsort(draw.flip_probability)
    observed = np.array([flipped[part].sum() for part in np.array_split(order, 10)])
    expected = np.array([draw.flip_probability[part].sum() for part in np.array_split(order, 10)])
    spread = np.array([(q := draw.flip_probability[part]) @ (1 - q) for part in np.array_split(order, 10)])
    assert stats.chi2.sf(((observed - expected) ** 2 / spread).sum(), 10) > 1e-6
    assert np.ptp(expected) > 1000
    laws = naive_laws(images, clean[:8], 1.0, seed=2)
    for image in range(8):
        counts = np.bincount(draw.labels[flipped & (which == image)], minlength=K)
        others = np.arange(K) != clean[image]
        assert counts[clean[image]] == 0
        assert stats.chisquare(counts[others], laws[image][others] * counts.sum()).pvalue > 1e-6


@pytest.mark.parametrize("rate", [1e-5, 0.01, 0.05, 0.1, 0.2, 0.4, 0.5, 0.8, 0.99])
def test_chances_are_a_truncated_normal_whose_mean_is_the_rate(rate: float) -> None:
    """Mean by the midpoint rule, shape against scipy's truncnorm, where the paper's own centre misses (0.129 for 0.1)."""
    grid = (np.arange(200_000) + 0.5) / 200_000
    chances = flip_chances(rate, grid)
    assert chances.mean() == pytest.approx(rate, rel=1e-5)
    assert chances.min() >= 0
    assert chances.max() <= 1
    assert (np.diff(chances) >= 0).all()
    if 0.05 <= rate <= 0.95:

        def quantiles(centre: float) -> Floats:
            law = stats.truncnorm(-centre / 0.1, (1 - centre) / 0.1, loc=centre, scale=0.1)
            return np.asarray(law.ppf(grid[::2000]))

        # The centre is not told, so it is found again: the one whose median is ours.
        low, high = -1.0, 2.0
        for _ in range(60):
            middle = (low + high) / 2
            below = quantiles(middle)[50] < chances[::2000][50]
            low, high = (middle, high) if below else (low, middle)
        np.testing.assert_allclose(chances[::2000], quantiles(low), atol=1e-7)


@pytest.mark.parametrize("rate", [0.0, 1.0, 1e-9])
def test_extreme_rates_are_constants(rate: float) -> None:
    """Where nothing or everything is wrong there is nothing to draw."""
    np.testing.assert_allclose(flip_chances(rate, uniforms(0, "u", 100)), rate, atol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.45, 0.9, 1.0])
def test_exact_modes_meet_the_rate_and_not_the_sum_of_the_drawn_chances(rate: float) -> None:
    """Overall and in each class the nearest integers to rate times the samples; the mean chance is the rate itself."""
    clean = np.repeat(np.arange(K), [100, 200, 300, 411])
    source = source_from_arrays("toy", random_inputs("grey", 1011), clean, clean=clean)
    for mode in ("exact", "exact_per_class"):
        variant = build_variant(source, Instance(rate), mode=mode)
        assert variant.mislabeled.sum() == round(rate * 1011)
        assert variant.flip_probability is not None
        assert variant.flip_probability.mean() == pytest.approx(rate)
    per_class = np.bincount(clean[variant.mislabeled], minlength=K)
    assert np.abs(per_class - rate * np.bincount(clean)).max() < 1


def test_blank_and_constant_inputs_have_no_preferred_class() -> None:
    """A blank image and a feature that never varies give equal weights instead of NaN."""
    clean = np.arange(40) % K
    everyone = np.ones(40, dtype=bool)
    for inputs in (np.full((40, 3, 3, 3), 7, dtype=np.uint8), np.full((40, 5), 3.5, dtype=np.float32)):
        for members, weights in wrong_laws(inputs, clean, everyone, K, seed=0):
            np.testing.assert_array_equal(weights, np.arange(K) != clean[members][:, None])


def test_the_law_ignores_brightness_and_contrast() -> None:
    """An image, the same brighter, and the same with twice the contrast share one law."""
    image = np.random.default_rng(0).integers(0, 100, (1, 6, 6, 3))
    inputs = np.concatenate([image, image + 55, image * 2]).astype(np.uint8)
    (_, weights), *_ = wrong_laws(inputs, np.zeros(3, dtype=np.int64), np.ones(3, dtype=bool), K, seed=0)
    np.testing.assert_allclose(weights[1:], weights[[0, 0]], rtol=1e-10)


def test_classes_have_matrices_of_their_own() -> None:
    """The same image of another clean class is mistaken for others: the likeliest wrong classes differ."""
    inputs = np.repeat(random_inputs("colour", 30), 2, axis=0)
    clean = np.tile([0, 1], 30)
    weights = np.zeros((60, K))
    for members, block in wrong_laws(inputs, clean, np.ones(60, dtype=bool), K, seed=0):
        weights[members] = block
    ratio = weights[:, 2] / weights[:, 3]
    assert abs(np.corrcoef(np.log(ratio[::2]), np.log(ratio[1::2]))[0, 1]) < 0.6


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    """Zero would be an argmax and infinity a symmetric noise, which has a name."""
    with pytest.raises(BadUsage, match="temperature must be a positive number, got"):
        Instance(0.2, temperature)


@pytest.mark.parametrize("noise", [Instance(0.2), XiaRaw(0.2)])
def test_vectors_of_too_many_pairs_of_classes_are_refused(noise: Noise) -> None:
    """Before they take minutes; the sentence names what takes less."""
    labels = np.arange(3003) % 1001
    source = source_from_arrays("x", np.zeros((3003, 300), np.float32), labels, clean=labels)
    with pytest.raises(
        BadUsage, match=r"a vector of 300 numbers for each of 1001 × 1001 pairs .* 'bounded_instance' draws"
    ):
        build_variant(source, noise)
