"""Exchanged noise: its counts against those asked for, its place against ``realised``, its chances against many draws."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from noisybench.cards.description import describe
from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.noise.exchange import coordinates_of
from noisybench.noise.noises.exchanged import Exchanged
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.statistics.coherence import Coordinates, realised
from noisybench.variants.building import build_variant
from noisybench.variants.clustered import TOGETHER
from noisybench.variants.variant import write_variant


@pytest.fixture
def hard(tmp_path: Path, digits: Source) -> Path:
    """A difficulty of each digit."""
    place = tmp_path / "hard.npy"
    np.save(place, np.random.default_rng(0).random(len(digits.labels)))
    return place


def place(source: Source, hard: Path) -> Coordinates:
    return coordinates_of(source, difficulty=hard)


def cells(labels: Labels, clean: Labels) -> list[int]:
    return np.bincount(clean * 10 + labels, minlength=100).tolist()


def test_it_lies_where_it_was_asked_to(digits: Source, hard: Path) -> None:
    """Rate, difficulty and coherence at once, with samples of unknown class left as they are; ``describe`` warns."""
    source = replace(digits, clean=np.where(np.arange(len(digits.clean)) % 50 == 7, UNKNOWN, digits.clean))
    noise = Exchanged(0.35, 0.62, 0.12, difficulty=hard)
    variant = build_variant(source, noise, seed=1)
    found = realised(place(source, hard), variant.labels, source.clean)
    assert abs(found.difficulty - 0.62) <= 0.01
    assert abs(found.coherence - 0.12) <= 0.01
    assert variant.mislabeled.sum() == round(0.35 * (source.clean >= 0).sum())
    assert np.array_equal(variant.labels[source.clean < 0], source.labels[source.clean < 0])
    assert TOGETHER in describe(variant).warnings
    assert variant.flip_probability is None
    plain = build_variant(source, replace(noise, coherence=0.0), seed=1)
    assert TOGETHER not in describe(plain).warnings
    assert plain.flip_probability is not None


def test_without_a_wish_it_is_symmetric_noise(digits: Source, hard: Path) -> None:
    """At an AUROC of 0.5 and no coherence, neighbours are wrong alike as often as under symmetric noise."""
    coordinates = place(digits, hard)
    ours = [build_variant(digits, Exchanged(0.3, difficulty=hard), seed=seed).labels for seed in range(4)]
    theirs = [build_variant(digits, Symmetric(0.3), seed=seed).labels for seed in range(12)]
    a, b = ([realised(coordinates, labels, digits.clean).agreement for labels in some] for some in (ours, theirs))
    assert abs(np.mean(a) - np.mean(b)) < 4 * np.std(b)
    counts = np.sum([cells(labels, digits.clean) for labels in ours], axis=0).reshape(10, 10)
    wrong = counts[~np.eye(10, dtype=bool)]
    assert chisquare(wrong).pvalue > 1e-4


def test_the_chance_is_that_of_class_and_rank(digits: Source, hard: Path) -> None:
    """Without coherence, the share of 20 draws in which samples of a tenth of the ranks are wrong is the chance told."""
    source = replace(digits, inputs=digits.inputs[:400], labels=digits.labels[:400], clean=digits.clean[:400])
    np.save(hard, np.load(hard)[:400])
    noise, seen = Exchanged(0.3, 0.7, difficulty=hard), np.zeros(400)
    for seed in range(20):
        draw = noise(source, seed=seed, mode="exact")
        seen += draw.labels != source.clean
    assert draw.flip_probability is not None
    bins = coordinates_of(source, difficulty=hard).bins
    told, found = (np.bincount(bins, values) / np.bincount(bins) for values in (draw.flip_probability, seen / 20))
    assert told[9] > 3 * told[0]
    assert np.abs(told - found).max() < 0.08


def test_the_counts_of_another_variant_are_kept(digits: Source, hard: Path, tmp_path: Path) -> None:
    """Cell by cell, in any mode, from the folder of a variant; no rate is recorded but that of the counts."""
    other = build_variant(digits, Symmetric(0.25), seed=5)
    write_variant(other, tmp_path / "other")
    noise = Exchanged(of=tmp_path / "other", auroc=0.6, difficulty=hard)
    for mode in Exchanged.modes:
        variant = build_variant(digits, noise, seed=2, mode=mode)
        assert cells(variant.labels, digits.clean) == cells(other.labels, digits.clean)
        assert not np.array_equal(variant.labels, other.labels)
        assert variant.provenance.rate_definition == "none"
    assert str(variant.provenance.params["of"]).startswith("labels.parquet sha256:")


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        (lambda _: Exchanged(), "needs 'rate', or counts to keep: say --rate 0.2, or --set of=…"),
        (lambda f: Exchanged(0.2, of=f("c.npy")), "brings its own counts, and rate would give others"),
        (lambda f: Exchanged(of=f("c.npy"), structure="pair_flip"), "brings its own counts, and structure would"),
        (lambda f: Exchanged(0.2, file=f("c.npy")), "file is that of a label set of CIFAR-N; name the set"),
        (lambda _: Exchanged(of="worst"), "no label set of CIFAR-N is called 'worst'.*or give the folder of a variant"),
        (lambda _: Exchanged(0.2, auroc=1.5), r"auroc must be a number in \[0, 1\]"),
        (lambda _: Exchanged(0.2, coherence=2), r"coherence must lie in \[-1, 1\]"),
        (lambda _: Exchanged(0.2, neighbours=0), "neighbours must be at least 1, got 0"),
        (lambda _: Exchanged(0.2, lower_is_harder=True), "lower_is_harder is for a file of difficulties"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    noise: Callable[[Callable[[str], Path]], Exchanged], said: str, tmp_path: Path
) -> None:
    """In one sentence, as the noise is made."""

    def file(name: str) -> Path:
        np.save(tmp_path / name, np.eye(10) + 1)
        return tmp_path / name

    with pytest.raises((BadUsage, UnknownName), match=said):
        noise(file)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"coherence": 0.9},
            "auroc 0.5 with coherence 0.9 is out of reach: the exchanges came to 0.(49|50). and 0.[0-5]",
        ),
        ({"auroc": 0.9999}, "auroc 0.9999 is out of reach at rate 0.3: by this difficulty the greatest is 0.99"),
        ({"features": Path("absent.npy")}, "absent.npy"),
    ],
)
def test_what_is_out_of_reach_is_refused(digits: Source, hard: Path, asked: dict[str, Any], said: str) -> None:
    """With what was reached, or what can be."""
    source = replace(digits, inputs=digits.inputs[:300], labels=digits.labels[:300], clean=digits.clean[:300])
    values = np.load(hard)[:300]
    np.save(hard, np.round(values, 2))
    with pytest.raises(ValueError, match=said):
        build_variant(source, Exchanged(0.3, difficulty=hard, **asked))
