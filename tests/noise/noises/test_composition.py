"""Noises one after another, against both draws made by hand and against the product of their laws."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from shell import shell

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.random_streams import bits, derive
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.composed import Composed
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant
from noisybench.variants.transitions import all_entries, count_transitions
from noisybench.variants.variant import read_variant

K = 10


@pytest.fixture(scope="module")
def images() -> Source:
    """Five hundred small images, of which seven have no known label."""
    pixels = (bits(0, "images", 500 * 27) % np.uint64(256)).astype(np.uint8).reshape(-1, 3, 3, 3)
    clean = np.where(np.arange(500) % 77 == 5, UNKNOWN, np.arange(500) % K)
    return source_from_arrays("toy", pixels, np.where(clean == UNKNOWN, 1, clean), clean=clean)


def test_steps_are_drawn_one_after_another(images: Source) -> None:
    """By hand: the first with the seed itself, the second from the first's labels with a seed of its own."""
    draw = Composed("pair_flip(rate=0.4); symmetric(rate=0.3)")(images, seed=5, mode="bernoulli")
    first = PairFlip(0.4)(images, seed=5, mode="bernoulli").labels
    left = np.where(images.clean == UNKNOWN, UNKNOWN, first)
    between = source_from_arrays("toy", images.inputs, first, clean=left)
    second = Symmetric(0.3)(between, seed=derive(5, "step", 1) % 2**32, mode="bernoulli")
    assert np.array_equal(draw.labels, second.labels)
    assert (draw.labels[images.clean == UNKNOWN] == 1).all()
    assert draw.selected is not None
    assert not (draw.labels != first)[~draw.selected].any()


def test_the_matrix_is_the_product(images: Source) -> None:
    """Three class-conditional steps: T1 T2 T3 written out, and chi-square (scipy) of 60 seeds against it, alpha 1e-6."""
    noise = Composed("asymmetric(rate=0.4, map=cifar10); pair_flip(rate=0.3); symmetric(rate=0.2, inclusive=true)")
    maps = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    one = np.array(
        [[0.4 * (maps.get(i) == j) + (1 - 0.4 * (i in maps)) * (i == j) for j in range(K)] for i in range(K)]
    )
    two = 0.7 * np.eye(K) + 0.3 * np.roll(np.eye(K), 1, axis=1)
    law = one @ two @ (0.8 * np.eye(K) + 0.02)
    known = images.clean != UNKNOWN
    counts = np.zeros((K, K))
    for seed in range(60):
        draw = noise(images, seed=seed, mode="bernoulli")
        counts += count_transitions(draw.labels[known], images.clean[known], K)
    assert draw.transition is not None
    assert draw.flip_probability is not None
    np.testing.assert_allclose(all_entries(draw.transition), all_entries(law), atol=1e-12)
    np.testing.assert_allclose(draw.flip_probability[known], 1 - law.diagonal()[images.clean[known]], atol=1e-12)
    assert np.isnan(draw.flip_probability[~known]).all()
    expected = counts.sum(1, keepdims=True) * law
    assert stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), K * (K - 1)) > 1e-6


def test_a_hybrid_has_an_exact_law(images: Source) -> None:
    """Instance noise and then symmetric: P(wrong) by hand, and chi-square of 60 seeds sample by sample, alpha 1e-6.

    The first law is drawn with the seed, so that each seed is held to its own.
    """
    noise = Composed("instance(rate=0.35); symmetric(rate=0.3)")
    known = images.clean != UNKNOWN
    surplus, variance = np.zeros(known.sum()), np.zeros(known.sum())
    for seed in range(60):
        draw = noise(images, seed=seed, mode="bernoulli")
        alone = Instance(0.35)(images, seed=seed, mode="bernoulli").flip_probability
        assert alone is not None
        assert draw.transition is None
        assert draw.flip_probability is not None
        p = alone[known]
        right = [(1 - q) * 0.7 + q * 0.3 / 9 for q in p]
        np.testing.assert_allclose(draw.flip_probability[known], 1 - np.array(right), atol=1e-12)
        surplus += (draw.labels != images.clean)[known] - draw.flip_probability[known]
        variance += draw.flip_probability[known] * (1 - draw.flip_probability[known])
    assert 1e-6 < stats.chi2.sf((surplus**2 / variance).sum(), len(surplus)) < 1 - 1e-6


def test_a_law_that_the_steps_do_not_tell_is_none(images: Source) -> None:
    """An uneven matrix after an input's own law, an input's own law second, or labels as found: no chance is claimed."""
    for steps in (
        "instance(rate=0.2); asymmetric(rate=0.2, map=cifar10)",
        "symmetric(rate=0.2); instance(rate=0.2)",
        "as_found; symmetric(rate=0.2)",
    ):
        variant = build_variant(images, Composed(steps), mode="bernoulli")
        assert variant.flip_probability is None
        assert variant.transition is None
        assert variant.mislabeled.any()
    mapped = Composed("asymmetric(rate=0.2, map=cifar10); symmetric(rate=0.1)")(images, seed=0, mode="bernoulli")
    assert mapped.transition is not None
    # A legacy stream of 32-bit seeds may follow any seed.
    Composed("pair_flip(rate=0.1); loss_correction(rate=0.2)")(images, seed=2**60, mode="bernoulli")


def test_the_text_is_spelled_out() -> None:
    """Alike steps have one text, which makes the same noise again; rates of the published hybrids are as the docstring says."""
    noise = Composed(" pair_flip( rate = 0.20 ) ;symmetric(rate=.1,inclusive=YES); ")
    assert noise.steps == "pair_flip(rate=0.2); symmetric(rate=0.1, inclusive=true)"
    assert Composed(noise.steps) == noise
    ten = source_from_arrays("toy", np.zeros((10, 1)), np.arange(10), clean=np.arange(10))
    twice = Composed("symmetric(rate=0.35); symmetric(rate=0.3)")(ten, seed=0, mode="bernoulli")
    assert twice.flip_probability is not None
    assert round(float(twice.flip_probability[0]), 2) == 0.53


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        ("", BadUsage, "steps must name at least two noises, as 'pair_flip.*got ''"),
        ("symmetric(rate=0.2);", BadUsage, "at least two noises"),
        (
            "symmetric(rate=0.2); as_found",
            BadUsage,
            "step 1 'as_found' takes labels as they came, so it can only be the",
        ),
        (
            "symmetric(rate=0.2); composed(steps=x)",
            BadUsage,
            "step 'composed' must be a noise of noisybench other than",
        ),
        ("symmetric(rate=0.2); symetric(rate=0.2)", UnknownName, "no noise is called 'symetric'; did you mean 'symm"),
        ("symmetric(rate=0.2); json:loads", BadUsage, r"a step reads name\(option=value, …\), got 'json:loads'"),
        ("symmetric(rate=0.2); pair_flip(0.2)", BadUsage, "'pair_flip' takes key=value, got '0.2'"),
        ("symmetric(rate=0.2); pair_flip()", BadUsage, "step 'pair_flip' needs 'rate'"),
        ("symmetric(rate=0.2); pair_flip(rate=2)", BadUsage, r"rate must lie in \[0, 1\]"),
        (
            "symmetric(rate=0.2); transition(matrix=T.npy)",
            BadData,
            "T.npy, matrix of step 'transition', is not in the wor",
        ),
        (
            "symmetric(rate=0.2); transition(matrix=a/T.npy)",
            BadUsage,
            "must be named without its folder, got 'a/T.npy'",
        ),
        (
            f"as_found; transition(matrix=../T.npy sha256:{'a' * 64})",
            BadData,
            "../T.npy, matrix .* is not in the working",
        ),
    ],
)
def test_steps_that_cannot_be_are_refused(
    steps: str, error: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in one sentence that names the step."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        Composed(steps)


def test_exact_modes_are_refused(images: Source) -> None:
    """Also those of a step that has no mode ``bernoulli``."""
    with pytest.raises(
        BadUsage, match="noise 'composed' is drawn in mode bernoulli only, got 'exact': say --mode bernoulli"
    ):
        build_variant(images, Composed("pair_flip(rate=0.1); symmetric(rate=0.1)"), mode="exact")
    assert build_variant(images, Composed("pair_flip(rate=0.1); symmetric(rate=0.1)")).provenance.mode == "bernoulli"
    with pytest.raises(BadUsage, match="step 1 'dividemix_symmetric' is drawn in mode exact only, noises one after"):
        Composed("pair_flip(rate=0.1); dividemix_symmetric(rate=0.1)")


def test_a_composed_variant_is_built_described_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line, with a file by name and digest; with another file of that name it is not drawn again."""
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", inputs=np.eye(60), labels=np.arange(60) % 3, clean=np.arange(60) % 3)
    np.save("T.npy", 0.7 * np.eye(3) + 0.1)
    steps = "transition(matrix=T.npy); pair_flip(rate=0.2)"
    words = ("--noise", "composed", "--set", f"steps={steps}", "--mode", "bernoulli", "--data", "data.npz")
    built = shell("build", "npz", *words, "--out", "out")
    assert built.code == 0, built.err
    folder = Path(built.out.splitlines()[-1])
    told = read_variant(folder).provenance
    assert str(told.params["steps"]).startswith("transition(matrix=T.npy sha256:")
    assert str(tmp_path) not in (folder / "variant.json").read_text(encoding="utf-8")
    described = json.loads(shell("describe", folder, "--json").out)
    product = (0.7 * np.eye(3) + 0.1) @ (0.8 * np.eye(3) + 0.2 * np.roll(np.eye(3), 1, axis=1))
    np.testing.assert_allclose(described["nominal_transition"], product, atol=1e-12)
    verified = shell("verify", folder)
    assert verified.code == 0
    assert "drawn again, gives these labels" in verified.out
    np.save("T.npy", np.eye(3))
    verified = shell("verify", folder)
    assert (
        "composed was not drawn again: T.npy, the file of its 'steps', is not at hand; verify in the folder"
        in verified.out
    )
    assert verified.code == 0


def test_one_map_file_may_be_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Source) -> None:
    """An option that is a text or a path, such as the map of asymmetric noise, is put on record by its digest."""
    monkeypatch.chdir(tmp_path)
    Path("map.json").write_text('{"0": 1}', encoding="utf-8")
    noise = Composed("asymmetric(rate=1, map=map.json); symmetric(rate=0)")
    assert "map=map.json sha256:" in noise.steps
    labels = noise(images, seed=0, mode="bernoulli").labels
    assert np.array_equal(labels, Asymmetric(1.0, "map.json")(images, seed=0, mode="bernoulli").labels)


def test_what_people_left_in_doubt_stays_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After CIFAR-10N the marks of its annotators are there, and the contested samples are of unknown class."""
    monkeypatch.chdir(data / "cifar_n")
    clean = np.asarray(read_annotations(Path("CIFAR-10_human.pt"))["clean_label"], dtype=np.int64)
    source = source_from_arrays("cifar10", np.zeros((len(clean), 1)), clean, clean=clean)
    step = "cifar_n(labels=aggre, file=CIFAR-10_human.pt, contested=unknown)"
    variant = build_variant(source, Composed(f"{step}; symmetric(rate=0.1)"))
    assert set(variant.marks) == {"votes", "split", "contested"}
    np.testing.assert_array_equal(variant.known, ~variant.marks["contested"])
    assert (~variant.known).sum() == 282
