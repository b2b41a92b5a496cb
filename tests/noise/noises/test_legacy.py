"""Published generators, written out here as their code does it, label by label, against the legacy noises."""

import random
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import bits
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises import asymmetric
from noisybench.noise.noises.block_of_five import BlockOfFive
from noisybench.noise.noises.cifar_n_counterpart import CifarNCounterpart
from noisybench.noise.noises.coteaching import CoTeaching
from noisybench.noise.noises.counterpart import Counterpart
from noisybench.noise.noises.dividemix_symmetric import DivideMixSymmetric
from noisybench.noise.noises.loss_correction import LossCorrection
from noisybench.noise.noises.xia_raw import XiaRaw
from noisybench.variants.building import build_variant
from noisybench.variants.transitions import all_entries, count_transitions
from noisybench.variants.variant import write_variant


def toy(clean: Any, k: int, inputs: NDArray[Any] | None = None) -> Source:  # noqa: ANN401 - labels
    """A source of those labels."""
    features = np.zeros((len(clean), 1)) if inputs is None else inputs
    return source_from_arrays("toy", features, np.abs(clean), clean=clean, class_names=[str(j) for j in range(k)])


def shuffled(n: int, k: int) -> Labels:
    return (bits(5, "labels", n) % np.uint64(k)).astype(np.int64)


def published_stream(clean: Labels, rows: Floats, seed: int) -> list[int]:
    """One multinomial of NumPy's old generator for each label, of the row of its class."""
    flipper = np.random.RandomState(seed)
    return [int(np.where(flipper.multinomial(1, rows[k], 1)[0] == 1)[0][0]) for k in clean]


def law(kind: str, k: int, rate: float) -> Floats:
    """The matrices of the two programs, cell by cell."""
    rows = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            match kind:
                case "symmetric":
                    rows[i, j] = 1.0 - rate if i == j else rate / (k - 1)
                case "pair_flip":
                    rows[i, j] = 1.0 - rate if i == j else rate * (j == (i + 1) % k)
                case "block_of_five":
                    after = i + 1 if (i + 1) % 5 else i - 4
                    rows[i, j] = 1.0 - rate if i == j else rate * (j == after)
                case _:
                    goal = asymmetric.MAPS[kind][1].get(i, i)
                    rows[i, j] = (1.0 if goal == i else 1.0 - rate) if i == j else rate * (j == goal)
    return rows


STREAMS: list[tuple[Any, str, int]] = [
    (LossCorrection(0.4), "symmetric", 10),
    (LossCorrection(0.4, "cifar10"), "cifar10", 10),
    (LossCorrection(0.2, "mnist"), "mnist", 10),
    (CoTeaching(0.5), "symmetric", 7),
    (CoTeaching(0.45, "pair_flip"), "pair_flip", 10),
    (BlockOfFive(0.3), "block_of_five", 100),
]


@pytest.mark.parametrize(("noise", "kind", "k"), STREAMS)
@pytest.mark.parametrize("seed", [0, 17])
def test_streams_are_those_of_the_published_code(noise: Any, kind: str, k: int, seed: int) -> None:  # noqa: ANN401
    """Bit for bit; unknown labels take no random number, and the chances are those of the matrix."""
    clean = shuffled(3000, k)
    rows = law(kind, k, noise.rate)
    draw = noise(toy(clean, k), seed=seed, mode="bernoulli")
    assert draw.labels.tolist() == published_stream(clean, rows, seed)
    np.testing.assert_allclose(draw.transition, rows, atol=1e-15)
    some = np.where(np.arange(3000) % 10 == 3, UNKNOWN, clean)
    partly = noise(toy(some, k), seed=seed, mode="bernoulli").labels
    assert partly[some != UNKNOWN].tolist() == published_stream(clean[some != UNKNOWN], rows, seed)


@pytest.mark.parametrize(("noise", "kind", "k"), STREAMS)
def test_streams_follow_their_matrix(noise: Any, kind: str, k: int) -> None:  # noqa: ANN401
    """Chi-square (scipy) of the counts over 20 seeds against the matrix, alpha 1e-6."""
    clean = np.arange(3000) % k
    counts = sum(
        count_transitions(noise(toy(clean, k), seed=seed, mode="bernoulli").labels, clean, k) for seed in range(20)
    )
    expected = 20 * np.bincount(clean)[:, None] * law(kind, k, noise.rate)
    possible = expected > 0
    assert counts[~possible].sum() == 0  # type: ignore[index]
    excess = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert stats.chi2.sf(excess, possible.sum() - k) > 1e-6


def test_the_two_programs_share_a_stream() -> None:
    """Symmetric noise of Co-teaching, which is always drawn with seed 0, is loss-correction's of seed 0."""
    source = toy(shuffled(2000, 10), 10)
    ours, theirs = (noise(0.2)(source, seed=0, mode="bernoulli").labels for noise in (CoTeaching, LossCorrection))
    assert np.array_equal(ours, theirs)
    assert not np.array_equal(ours, CoTeaching(0.2)(source, seed=1, mode="bernoulli").labels)


@pytest.mark.parametrize(("rate", "k", "n"), [(0.5, 10, 5000), (0.29, 100, 50_000), (0.9, 3, 777), (0.0, 4, 9)])
def test_dividemix_is_that_of_the_published_code(rate: float, k: int, n: int) -> None:
    """Bit for bit: shuffled ids, the first int(rate * n) of them, and a class for each in the order of the ids."""
    clean = shuffled(n, k)
    random.seed(123)
    ids = list(range(n))
    random.shuffle(ids)
    chosen = set(ids[: int(rate * n)])
    expected = [random.randint(0, k - 1) if i in chosen else int(clean[i]) for i in range(n)]
    draw = DivideMixSymmetric(rate)(toy(clean, k), seed=123, mode="exact")
    assert draw.labels.tolist() == expected
    assert draw.selected is not None
    assert set(np.flatnonzero(draw.selected).tolist()) == chosen
    if rate == 0.29:
        assert len(chosen) == int(0.29 * n) == 14_499  # cut, not rounded


def test_dividemix_gives_one_in_k_back() -> None:
    """Of 40 % of 10,000 labels one in ten stays right: binomial over 30 seeds (scipy), alpha 1e-6."""
    source = toy(np.arange(10_000) % 10, 10)
    wrong = sum(
        int((DivideMixSymmetric(0.4)(source, seed=seed, mode="exact").labels != source.clean).sum())
        for seed in range(30)
    )
    assert stats.binomtest(wrong, 30 * 4000, 0.9).pvalue > 1e-6


def test_raw_pixels_make_one_wrong_class_take_all() -> None:
    """Against algorithm 2 sample by sample: chi-square of the centre's law, and a mean share of the modal class near 1."""
    clean = np.arange(4000) % 10
    images = (60 + bits(2, "images", 4000 * 48) % np.uint64(120)).astype(np.uint8).reshape(4000, 4, 4, 3)
    noise = XiaRaw(0.1)
    source = toy(clean, 10, images)
    chances = []
    wrong: list[tuple[int, int]] = []
    for seed in range(5):
        draw = noise(source, seed=seed, mode="bernoulli")
        assert draw.flip_probability is not None
        chances.append(draw.flip_probability)
        pairs = zip(clean.tolist(), draw.labels.tolist(), strict=True)
        wrong += [(seed * 10 + i, j) for i, j in pairs if i != j]
    published = stats.truncnorm(-1, 9, loc=0.1, scale=0.1)
    assert stats.kstest(np.concatenate(chances), published.cdf).pvalue > 1e-6
    assert abs(np.concatenate(chances).mean() - 0.1288) < 0.002
    assert abs(len(wrong) - sum(p.sum() for p in chances)) < 5 * np.sqrt(len(wrong))
    groups, targets = np.array(wrong).T
    shares = [np.bincount(targets[groups == g]).max() / (groups == g).sum() for g in np.unique(groups)]
    assert np.mean(shares) > 0.6
    with pytest.raises(BadUsage, match=r"centre must lie in \[0, 1\], got -1"):
        XiaRaw(-1)


def test_raw_laws_are_softmaxes_of_the_input() -> None:
    """Small features, so that no softmax saturates: 400 seeds of one class against the mean of the laws (chi-square)."""
    from noisybench.ground.random_streams import normals
    from noisybench.noise.noises.xia_raw import raw_laws

    inputs = np.array([[0.3, -0.2], [1.0, 0.5], [0.0, 0.0]], dtype=np.float32)
    clean = np.array([2, 0, 2])
    for members, weights in raw_laws(inputs, clean, np.ones(3, dtype=bool), 4, seed=9):
        for i, row in zip(members, weights, strict=True):
            parts = normals(9, f"parts-{clean[i]}", 8).reshape(4, 2)
            logits = [float(np.dot(parts[j], inputs[i].astype(float))) for j in range(4)]
            total = sum(np.exp(logits[j]) for j in range(4) if j != clean[i])
            expected = [0.0 if j == clean[i] else np.exp(logits[j]) / total for j in range(4)]
            np.testing.assert_allclose(row / row.sum(), expected, rtol=1e-12)


@pytest.fixture(scope="module")
def official(data: Path) -> Labels:
    """Labels of CIFAR-10 in the order of the official batches."""
    clean: Labels = read_annotations(data / "cifar_n" / "CIFAR-10_human.pt")["clean_label"]
    return clean


def test_the_synthetic_counterpart_is_that_of_the_authors_code(data: Path, official: Labels) -> None:
    """Seed 0 on the whole of CIFAR-10, bit for bit; on the first 1,000 it is the beginning of it."""
    file = data / "cifar_n" / "CIFAR-10_human.pt"
    counts = np.load(data / "cifar_n" / "transition_counts.npz")["worse_label"]
    expected = published_stream(official, counts / np.sum(counts, axis=1), 0)
    noise = CifarNCounterpart("worse", file)
    assert noise(toy(official, 10), seed=0, mode="bernoulli").labels.tolist() == expected
    assert noise(toy(official[:1000], 10), seed=0, mode="bernoulli").labels.tolist() == expected[:1000]
    with pytest.raises(BadUsage, match="'worse' are of cifar10 with 10 classes, source 'toy' has 3"):
        noise(toy(np.arange(3), 3), seed=0, mode="bernoulli")
    with pytest.raises(BadUsage, match="labels must be one of aggre, worse, .*, got 'worst'"):
        CifarNCounterpart("worst")  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", ["aggre", "random1", "worse", "fine"])
def test_the_counterpart_has_the_counts_of_people(labels: str, data: Path, official: Labels) -> None:
    """In ``exact_per_class`` every cell is that of the published counts, for two seeds whose labels differ."""
    published = np.load(data / "cifar_n" / "transition_counts.npz")
    names = {"fine": "cifar100_noisy_label", "random1": "random_label1"}
    counts = published[names.get(labels, f"{labels}_label")]
    clean = np.load(data / "cifar100" / "labels.npz")["train_fine"].astype(int) if labels == "fine" else official
    k = len(counts)
    file = data / "cifar_n" / ("CIFAR-100_human.pt" if labels == "fine" else "CIFAR-10_human.pt")
    noise = Counterpart(labels, file)
    drawn = []
    for seed in (0, 1):
        draw = noise(toy(clean, k), seed=seed, mode="exact_per_class")
        np.testing.assert_array_equal(count_transitions(draw.labels, clean, k), counts)
        drawn.append(draw.labels)
    assert (drawn[0] != drawn[1]).mean() > 0.1
    assert draw.transition is not None
    np.testing.assert_allclose(all_entries(draw.transition), counts / counts.sum(1, keepdims=True), atol=1e-12)


def test_the_counterpart_of_a_variant_or_of_counts(tmp_path: Path) -> None:
    """A folder, its table and a file of its counts give one noise; provenance holds name and digest and no place."""
    source = toy(shuffled(900, 4), 4)
    real = build_variant(source, CoTeaching(0.3), seed=2, mode="bernoulli")
    write_variant(real, tmp_path / "real")
    counts = count_transitions(real.labels, real.clean, 4)
    np.save(tmp_path / "counts.npy", counts)
    np.savetxt(tmp_path / "counts.csv", counts, delimiter=",")
    places = ("real", "real/labels.parquet", "counts.npy", "counts.csv")
    made = [build_variant(source, Counterpart(tmp_path / place), mode="exact_per_class") for place in places]
    for variant in made:
        assert np.array_equal(variant.labels, made[0].labels)
        np.testing.assert_array_equal(count_transitions(variant.labels, variant.clean, 4), counts)
        assert str(tmp_path) not in str(variant.provenance)
    assert str(made[0].provenance.params["of"]).startswith("labels.parquet sha256:")
    assert not np.array_equal(made[0].labels, real.labels)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.eye(3), r"has shape \(3, 3\), expected \(4, 4\), a row for each clean class"),
        (-np.eye(4), "must hold counts or probabilities, it has an entry that is negative"),
        (np.full((4, 4), np.nan), "an entry that is negative or no number"),
        (np.diag([1, 1, 0, 1]), "hold no sample of class 2, which source 'toy' has"),
    ],
)
def test_what_are_no_counts_is_refused(values: Any, message: str, tmp_path: Path) -> None:  # noqa: ANN401
    """Another shape, negative or absent numbers, a class that nobody was asked about."""
    np.save(tmp_path / "counts.npy", values)
    with pytest.raises(Exception, match=message):
        Counterpart(tmp_path / "counts.npy")(toy(np.arange(8) % 4, 4), seed=0, mode="exact")


def test_options_that_cannot_be_meant_are_refused() -> None:
    """Kinds, classes, seeds and label sets that do not exist, each in one sentence."""
    source = toy(np.arange(12) % 6, 6)
    other: Literal["symmetric"] = "uniform"  # type: ignore[assignment]
    for make, message in [
        (lambda: LossCorrection(0.1, other), "kind must be one of symmetric, cifar10, mnist, got 'uniform'"),
        (lambda: CoTeaching(0.1, other), "kind must be symmetric or pair_flip, got 'uniform'"),
        (lambda: BlockOfFive(0.1)(source, seed=0, mode="bernoulli"), "needs blocks of five classes.* 'toy' has 6"),
        (
            lambda: LossCorrection(0.1, "mnist")(source, seed=0, mode="bernoulli"),
            "kind=mnist is for 10 classes, .* has 6",
        ),
        (
            lambda: CoTeaching(0.1)(source, seed=1 << 32, mode="bernoulli"),
            r"seed must be below 2\*\*32, .*, got 4294967296",
        ),
        (lambda: Counterpart("worst"), "no label set of CIFAR-N is called 'worst'; did you mean 'worse'.* or give the"),
    ]:
        with pytest.raises(BadUsage, match=message):
            make()  # type: ignore[no-untyped-call]
