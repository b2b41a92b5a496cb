"""Laws of the class-conditional noises, and what all injected noises share."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import bits
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.noise.noises.transition import Transition
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode

MODES: tuple[Mode, ...] = ("exact", "exact_per_class", "bernoulli")


def toy(clean: NDArray[np.int64], k: int) -> Source:
    """Small images of noise, different for each sample; labels as clean, class 1 where that is unknown."""
    images = (bits(0, "images", len(clean) * 27) % np.uint64(256)).astype(np.uint8).reshape(-1, 3, 3, 3)
    names = [str(j) for j in range(k)]
    return source_from_arrays("toy", images, np.where(clean == UNKNOWN, 1, clean), clean=clean, class_names=names)


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transition matrix of ten classes: class 0 is never wrong, class 9 always, the others in between."""
    values = np.eye(10) * (1 - np.arange(10) / 9)[:, None]
    values += (np.arange(10) / 9)[:, None] * np.roll(np.eye(10) * 0.7, 1, axis=1)
    values += (np.arange(10) / 9)[:, None] * np.roll(np.eye(10) * 0.3, 4, axis=1)
    path = tmp_path_factory.mktemp("matrix") / "matrix.npy"
    np.save(path, values)
    return path


def injected(matrix: Path) -> dict[str, Any]:
    return {
        "symmetric": Symmetric(0.3),
        "inclusive": Symmetric(0.3, inclusive=True),
        "asymmetric": Asymmetric(0.3, "cifar10"),
        "pair_flip": PairFlip(0.3),
        "transition": Transition(matrix),
        "instance": Instance(0.3),
    }


NAMES = ("symmetric", "inclusive", "asymmetric", "pair_flip", "transition", "instance")

TOY = toy(np.where(np.arange(303) % 101 == 50, UNKNOWN, np.arange(303) % 10), 10)


def test_another_process_draws_the_same_bytes() -> None:
    """With other hash seeds and other thread counts."""
    code = (
        "import numpy as np\n"
        "from noisybench import build_variant, source_from_arrays\n"
        "from noisybench.noise.noises.instance import Instance\n"
        "from noisybench.ground.random_streams import bits\n"
        "clean = np.where(np.arange(303) % 101 == 50, -1, np.arange(303) % 10)\n"
        "images = (bits(0, 'images', 303 * 27) % np.uint64(256)).astype(np.uint8).reshape(-1, 3, 3, 3)\n"
        "source = source_from_arrays('toy', images, np.where(clean < 0, 1, clean), clean=clean)\n"
        "print(build_variant(source, Instance(0.3)).provenance.labels_sha256[:12])\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == build_variant(TOY, Instance(0.3)).provenance.labels_sha256[:12]


@pytest.mark.parametrize("name", ["symmetric", "inclusive", "asymmetric", "pair_flip", "transition"])
@pytest.mark.parametrize("mode", MODES)
def test_labels_follow_the_transition_matrix(name: str, mode: Mode, matrix: Path) -> None:
    """Chi-square (scipy) of the labels over 150 seeds against T, written out here sample by sample, alpha 1e-6.

    Of each class, and of each sample, whose chance of being wrong must not depend on its position.
    """
    sizes = np.array([90, 180, 90, 270, 90, 90, 90, 360, 90, 90])
    clean = np.repeat(np.arange(10), sizes)[np.argsort(bits(1, "shuffle", sizes.sum()))]
    source = toy(clean, 10)
    noise = injected(matrix)[name]
    mapped = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}

    def chance_of(i: int, j: int) -> float:
        match name:
            case "symmetric":
                return 0.7 if i == j else 0.3 / 9
            case "inclusive":
                return 0.7 * (i == j) + 0.03
            case "asymmetric":
                return (0.7 if i in mapped else 1.0) if i == j else 0.3 * (mapped.get(i) == j)
            case "pair_flip":
                return 0.7 if i == j else 0.3 * (j == (i + 1) % 10)
            case _:
                return 1 - i / 9 if i == j else i / 9 * (0.7 * (j == (i + 1) % 10) + 0.3 * (j == (i + 4) % 10))

    law = np.array([[chance_of(i, j) for j in range(10)] for i in range(10)])
    seeds = 150
    counts, wrong = np.zeros((10, 10)), np.zeros(len(clean))
    for seed in range(seeds):
        draw = noise(source, seed=seed, mode=mode)
        np.testing.assert_allclose(draw.transition, law, atol=1e-12)
        np.testing.assert_allclose(draw.flip_probability, 1 - law.diagonal()[clean], atol=1e-12)
        counts += np.bincount(clean * 10 + draw.labels, minlength=100).reshape(10, 10)
        wrong += draw.labels != clean
    expected = seeds * sizes[:, None] * law
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    freedom = possible.sum() - 10
    assert stats.chi2.sf(((counts - expected)[possible] ** 2 / expected[possible]).sum(), freedom) > 1e-6
    chance = 1 - law.diagonal()[clean]
    uncertain = (chance > 1e-12) & (chance < 1 - 1e-12)
    z2 = (wrong - seeds * chance)[uncertain] ** 2 / (seeds * chance * (1 - chance))[uncertain]
    assert stats.chi2.sf(z2.sum(), uncertain.sum()) > 1e-6
    # Too even would be as wrong as too uneven: each sample is drawn anew with every seed.
    assert stats.chi2.cdf(z2.sum(), uncertain.sum()) > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_bernoulli_label_depends_on_its_own_sample_alone(name: str, matrix: Path) -> None:
    """Other samples may be permuted among themselves: the rest keep their labels."""
    noise = injected(matrix)[name]
    order = np.concatenate([np.arange(150), 150 + np.argsort(bits(3, "order", 153))])
    clean, images = TOY.clean[order], TOY.inputs[order]
    other = source_from_arrays("toy", images, TOY.labels[order], clean=clean)
    labels = noise(TOY, seed=4, mode="bernoulli").labels
    np.testing.assert_array_equal(noise(other, seed=4, mode="bernoulli").labels[:150], labels[:150])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_unknown_clean_labels_stay_as_they_are(name: str, mode: Mode, matrix: Path) -> None:
    """The given label is kept, the chance of an error is unknown, and the rate is that of the known ones."""
    draw = injected(matrix)[name](TOY, seed=0, mode=mode)
    unknown = TOY.clean == UNKNOWN
    assert (draw.labels[unknown] == 1).all()
    assert not draw.selected[unknown].any()
    np.testing.assert_array_equal(np.isnan(draw.flip_probability), unknown)
    if name in ("symmetric", "pair_flip", "instance") and mode != "bernoulli":
        assert draw.selected.sum() == 90


def test_inclusive_redraws_give_the_own_class_back() -> None:
    """One in ten redraws is no error, so the rate counts the selected and not the flipped."""
    clean = np.tile(np.arange(10), 2000)
    draw = Symmetric(0.5, inclusive=True)(toy(clean, 10), seed=0, mode="exact")
    assert draw.selected is not None
    assert draw.rate_definition == "inclusive"
    assert draw.selected.sum() == 10_000
    flipped = int((draw.labels != clean).sum())
    assert stats.binomtest(flipped, 10_000, 0.9).pvalue > 1e-6
    assert not (draw.labels != clean)[~draw.selected].any()


def test_as_found_keeps_the_labels() -> None:
    """Given and clean labels are the source's own; nobody is selected, nothing has a law."""
    clean = np.array([0, 1, UNKNOWN, 2])
    source = source_from_arrays("found", np.zeros((4, 2)), [0, 2, 1, 2], clean=clean)
    variant = build_variant(source, AsFound())
    assert variant.labels.tolist() == [0, 2, 1, 2]
    assert variant.mislabeled.tolist() == [False, True, False, False]
    assert [variant.flip_probability, variant.transition, variant.selected] == [None] * 3
    assert variant.provenance.rate_definition == "none"


@pytest.mark.parametrize("noise", [Symmetric, PairFlip, Instance, Asymmetric])
def test_impossible_rates_are_refused(noise: Any) -> None:  # noqa: ANN401 - a noise with a rate
    """At construction, before any data is read."""
    with pytest.raises(BadUsage, match=r"rate must lie in \[0, 1\] \(0.2 is 20 %\), got 20"):
        noise(rate=20)
