"""Noises from what annotators said, against their definitions by loops over samples."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Labels
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.random_streams import bits
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises.cifar10h_sampling import Cifar10hSampling
from noisybench.noise.noises.dissenting_label import DissentingLabel
from noisybench.noise.noises.dissenting_worker import DissentingWorker
from noisybench.variants.building import build_variant


def source_of(clean: Labels, k: int = 10) -> Source:
    return source_from_arrays(
        "toy", np.zeros((len(clean), 1)), clean, clean=clean, class_names=[str(j) for j in range(k)]
    )


def random_answers(n: int, k: int = 5, workers: int = 4) -> tuple[Labels, Labels]:
    """Clean labels, and answers of which a quarter are wrong and a tenth missing."""
    numbers = bits(3, "answers", n * (workers + 1)).reshape(workers + 1, n)
    clean = (numbers[0] % np.uint64(k)).astype(np.int64)
    roll = (numbers[1:] >> np.uint64(8)) % np.uint64(40)
    other = (clean + 1 + (numbers[1:] >> np.uint64(32)).astype(np.int64) % (k - 1)) % k
    return clean, np.where(roll < 10, other, np.where(roll < 14, UNKNOWN, clean))


@pytest.fixture
def answers(tmp_path: Path) -> tuple[Source, Labels, Path]:
    clean, given = random_answers(600)
    np.save(tmp_path / "annotators.npy", given)
    return source_of(clean, 5), given, tmp_path / "annotators.npy"


@pytest.fixture(scope="module")
def people(data: Path) -> tuple[Source, Labels, Path]:
    """CIFAR-10's labels, three people's answers, and their file."""
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    columns = read_annotations(file)
    return source_of(columns["clean_label"]), np.stack([columns[f"random_label{j}"] for j in (1, 2, 3)]), file


def test_a_dissenting_label_is_one_that_somebody_gave(answers: tuple[Source, Labels, Path]) -> None:
    """Chi-square (scipy) over 300 seeds: disputed samples alike, and of each its distinct wrong classes alike."""
    source, given, file = answers
    clean = source.clean
    wrong_classes = [sorted({int(a) for a in given[:, i]} - {UNKNOWN, int(clean[i])}) for i in range(600)]
    disputed = np.array([bool(classes) for classes in wrong_classes])
    rate, seeds = 0.25, 300
    noise = DissentingLabel(rate, file)
    wrong, firsts, pairs = np.zeros(600), 0, 0
    for seed in range(seeds):
        draw = noise(source, seed=seed, mode="exact")
        flips = np.flatnonzero(draw.labels != clean)
        assert len(flips) == 150
        assert all(int(draw.labels[i]) in wrong_classes[i] for i in flips)
        wrong[flips] += 1
        twos = [i for i in flips if len(wrong_classes[i]) == 2]
        pairs += len(twos)
        firsts += sum(int(draw.labels[i]) == wrong_classes[i][0] for i in twos)
    chance = 150 / disputed.sum()
    assert draw.flip_probability is not None
    np.testing.assert_allclose(draw.flip_probability, np.where(disputed, chance, 0.0))
    z2 = ((wrong[disputed] - seeds * chance) ** 2 / (seeds * chance * (1 - chance))).sum()
    assert stats.chi2.sf(z2, disputed.sum()) > 1e-6
    assert stats.binomtest(firsts, pairs, 0.5).pvalue > 1e-6


def test_a_dissenting_worker_comes_after_the_other(answers: tuple[Source, Labels, Path]) -> None:
    """By a loop: some order of the annotators explains every label, and the first ones are used up; all orders occur."""
    source, given, file = answers
    clean = source.clean
    noise = DissentingWorker(0.4, file)
    firsts: list[int] = []
    for seed in range(40):
        draw = noise(source, seed=seed, mode="exact")
        p = draw.flip_probability
        assert p is not None
        assert (draw.labels != clean).sum() == 240
        assert abs(p.sum() - 240) < 1e-9
        full = [w for w in range(4) if all(p[i] == 1 for i in range(600) if given[w, i] not in (UNKNOWN, clean[i]))]
        assert full
        explained = [
            w for w in full if all(draw.labels[i] == given[w, i] for i in range(600) if wrong_at(given, clean, w, i))
        ]
        assert explained, "the first annotator's wrong labels are all there"
        firsts += explained
        assert all(draw.labels[i] in given[:, i] for i in np.flatnonzero(draw.labels != clean))
        assert len(set(np.round(p[(p > 0) & (p < 1)], 12))) <= 1
    assert set(firsts) == {0, 1, 2, 3}


def wrong_at(given: Labels, clean: Labels, worker: int, sample: int) -> bool:
    return bool(given[worker, sample] not in (UNKNOWN, clean[sample]))


@pytest.mark.parametrize("kind", [DissentingLabel, DissentingWorker])
def test_people_reach_their_union(kind: Any, people: tuple[Source, Labels, Path]) -> None:  # noqa: ANN401 - a noise
    """On CIFAR-10N 30 % and 40.208 % (20,104 disputed images) are met exactly; beyond that the limit is said."""
    source, given, file = people
    clean = source.clean
    for rate, count in ((0.3, 15_000), (0.40208, 20_104)):
        variant = build_variant(source, kind(rate, file), seed=1)
        assert variant.mislabeled.sum() == count
        assert (variant.labels[None] == given).any(0)[variant.mislabeled].all()
        assert str(file.parent) not in str(variant.provenance)
    assert np.array_equal(variant.mislabeled, (given != clean).any(0))
    message = (
        "^rate must be at most 0.40208 here, as some annotator dissents .* of 20104 of 50000 samples only, got 0.41$"
    )
    with pytest.raises(BadUsage, match=message):
        build_variant(source, kind(0.41, file))
    swapped = clean.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    with pytest.raises(Mismatch, match="in no known order"):
        kind(0.1, file)(source_of(swapped), seed=0, mode="exact")


def test_a_prefix_of_people_is_enough(people: tuple[Source, Labels, Path]) -> None:
    """The first 500 images take the first 500 annotations."""
    source, given, file = people
    part = source_of(source.clean[:500])
    labels = DissentingLabel(0.2, file)(part, seed=0, mode="exact_per_class").labels
    assert (labels[None] == given[:, :500]).any(0)[labels != part.clean].all()
    assert 90 <= (labels != part.clean).sum() <= 110


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.zeros((3, 11), int),
            r"integers of shape \(annotators, n\) with n at least 12, .* got int64 of shape \(3, 11\)",
        ),
        (np.zeros((3, 12)), "got float64"),
        (np.zeros(12, int), r"of shape \(12,\)"),
        (np.zeros((0, 12), int), r"of shape \(0, 12\)"),
        (np.full((2, 12), 3), r"annotator 0 of a.npy\[0\] = 3 is not a class of 0..2"),
        (np.full((2, 12), -2), "annotator 0 of a.npy answers -2, expected a class, or -1 where"),
    ],
)
def test_what_are_no_answers_is_refused(values: Any, message: str, tmp_path: Path) -> None:  # noqa: ANN401
    """Too few, of another type or shape, or of no class."""
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(BadData, match=message):
        DissentingWorker(0.1, tmp_path / "a.npy")(source_of(np.arange(12) % 3, 3), seed=0, mode="exact")


def test_answers_of_other_samples_are_refused(answers: tuple[Source, Labels, Path], tmp_path: Path) -> None:
    """Reversed answers agree with the labels as often as chance would have it; so do reversed judgements."""
    source, given, _ = answers
    np.savez(tmp_path / "a.npz", answers=given[:, ::-1], names=np.array(["x"]))
    with pytest.raises(
        Mismatch, match=r"a.npz agrees with the clean labels of source 'toy' in \d\d.\d% of \d+ samples, by"
    ):
        DissentingLabel(0.1, tmp_path / "a.npz")(source, seed=0, mode="exact")
    judgements = np.eye(5, dtype=int)[source.clean] * 3 + 1
    np.save(tmp_path / "j.npy", judgements[::-1])
    with pytest.raises(Mismatch, match="give it in the order of the source"):
        Cifar10hSampling(tmp_path / "j.npy")(source, seed=0, mode="exact")
    np.savez(tmp_path / "two.npz", a=given, b=given)
    with pytest.raises(BadData, match="must hold one array of two dimensions, it holds 2"):
        DissentingLabel(0.1, tmp_path / "two.npz")(source, seed=0, mode="exact")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(BadData, match="broken.npz cannot be read as NumPy arrays"):
        DissentingLabel(0.1, tmp_path / "broken.npz")(source, seed=0, mode="exact")


@pytest.fixture(scope="module")
def ten_h(data: Path) -> tuple[Source, Any, Path]:
    """The test labels of CIFAR-10, human judgements of them, and their file."""
    file = data / "cifar10h" / "cifar10h_counts.npz"
    arrays = np.load(file)
    return source_of(arrays["test_labels"].astype(np.int64)), arrays["counts"].astype(np.int64), file


def test_people_err_in_477_of_ten_thousand_judgements(ten_h: tuple[Source, Any, Path]) -> None:
    """At temperature 1: the published 4.77 %, each sample's own share of wrong judgements, and exactly that many flips."""
    source, counts, file = ten_h
    draw = Cifar10hSampling(file)(source, seed=0, mode="exact")
    share = [1 - counts[i, source.clean[i]] / counts[i].sum() for i in range(10_000)]
    assert draw.flip_probability is not None
    np.testing.assert_allclose(draw.flip_probability, share, atol=1e-12)
    assert round(float(np.mean(share)), 4) == 0.0477
    assert abs((draw.labels != source.clean).sum() - sum(share)) < 10  # to the nearest in each of ten classes
    assert (counts[np.arange(10_000), draw.labels] > 0).all()


def test_judgements_are_drawn_as_often_as_they_were_given(ten_h: tuple[Source, Any, Path]) -> None:
    """Chi-square (scipy) over 150 seeds of 300 disputed images, at temperature 2, against the law by a loop, alpha 1e-6."""
    source, counts, file = ten_h
    noise = Cifar10hSampling(file, temperature=2.0)
    part = source_of(source.clean[:300])
    seen = np.zeros((300, 10))
    for seed in range(150):
        labels = noise(part, seed=seed, mode="bernoulli").labels
        seen[np.arange(300), labels] += 1
    excess, freedom = 0.0, 0
    for i in range(300):
        weights = [float(c) ** 0.5 for c in counts[i]]
        expected = 150 * np.array(weights) / sum(weights)
        if (expected > 0).sum() > 1:
            possible = expected > 0
            excess += float(((seen[i] - expected)[possible] ** 2 / expected[possible]).sum())
            freedom += int(possible.sum()) - 1
        assert not seen[i][expected == 0].any()
    assert stats.chi2.sf(excess, freedom) > 1e-6


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("mode", ["exact", "exact_per_class"])
def test_a_rate_is_met_by_a_temperature(rate: float, mode: Any, ten_h: tuple[Source, Any, Path]) -> None:  # noqa: ANN401
    """Mean chance to nine digits, flips to the sample; sharper than people below 4.77 %, blunter above."""
    source, counts, file = ten_h
    draw = Cifar10hSampling(file, rate=rate)(source, seed=0, mode=mode)
    assert draw.flip_probability is not None
    assert abs(draw.flip_probability.mean() - rate) < 1e-9
    assert (draw.labels != source.clean).sum() == round(rate * 10_000)
    human = 1 - counts[np.arange(10_000), source.clean] / counts.sum(1)
    split = (human > 0.05) & (human < 0.45)
    assert (draw.flip_probability[split].mean() > human[split].mean()) == (rate > 0.0477)


def test_temperatures_that_cannot_be_are_refused(ten_h: tuple[Source, Any, Path], tmp_path: Path) -> None:
    """A rate beyond what the judgements reach, two knobs at once, no positive number, and files that hold no counts."""
    source, _, file = ten_h
    for rate in (0.0, 0.9):
        with pytest.raises(
            BadUsage, match=rf"^rate must lie in \[0.00\d+, 0.\d+\], which these judgements .*, got {rate:g}$"
        ):
            Cifar10hSampling(file, rate=rate)(source, seed=0, mode="exact")
    with pytest.raises(BadUsage, match="temperature=2 and rate=0.1 exclude each other: say one of them"):
        Cifar10hSampling(file, temperature=2, rate=0.1)
    with pytest.raises(BadUsage, match="temperature must lie in .*, got 0"):
        Cifar10hSampling(file, temperature=0)
    small = source_of(np.arange(3), 3)
    for values, message in [
        (np.zeros((3, 4)), r"must hold counts of shape \(n, 3\) with n at least 3, .*, got float64 of shape \(3, 4\)"),
        (
            np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]]),
            r"row 1 holds no counts of judgements: \[0.0, 0.0, 0.0\] \(1 such",
        ),
        (-np.eye(3), r"row 0 holds no counts of judgements: .*\(3 such rows\)"),
    ]:
        np.save(tmp_path / "j.npy", values)
        with pytest.raises(BadData, match=message):
            Cifar10hSampling(tmp_path / "j.npy")(small, seed=0, mode="exact")
