"""The difficulty knob: closed forms against scikit-learn and enumerations, draws against the closed forms."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.random_streams import bits
from noisybench.memorization.estimate import Memorization, write_memorization
from noisybench.memorization.learner import Learner
from noisybench.noise.difficulty_law import Within, difficulty_of
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.difficulty import Difficulty
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.noise.noises.transition import Transition
from noisybench.noise.teacher import class_probabilities
from noisybench.statistics.expected_auroc import expected_auroc, expected_auroc_in_groups, mid_ranks
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Noise

MODES: tuple[Mode, ...] = ("exact", "exact_per_class", "bernoulli")
Write = Callable[..., Path]


def toy(clean: NDArray[np.int64], k: int) -> Source:
    names = [str(j) for j in range(k)]
    labels = np.where(clean == UNKNOWN, 1, clean)
    inputs = np.arange(len(clean), dtype=np.float32)[:, None]
    return source_from_arrays("toy", inputs, labels, clean=clean, class_names=names)


def classes(n: int, k: int) -> NDArray[np.int64]:
    """Uneven classes in a random order."""
    return ((bits(0, "classes", n) % np.uint64(k * k)) ** 0.5).astype(np.int64) % k


def numbers(clean: NDArray[np.int64]) -> Floats:
    """Difficulties with ties, higher in higher classes."""
    return (bits(0, "numbers", len(clean)) % np.uint64(300)).astype(np.float64) + 20 * clean


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes one array, or several under names, to a file."""

    def write(values: NDArray[Any] | None = None, **named: NDArray[Any]) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{'npz' if named else 'npy'}"
        np.savez(path, **named) if values is None else np.save(path, values)  # type: ignore[arg-type]
        return path

    return write


def weighted(p: Floats, difficulty: Floats, clean: NDArray[np.int64], within: Within) -> float:
    """Expected AUROC by scikit-learn: each sample once as wrong with weight p and once as right with weight 1 - p."""
    pairs, total = 0.0, 0.0
    for members in [clean == j for j in np.unique(clean)] if within == "class" else [clean >= 0]:
        q, d = p[members], np.tile(difficulty[members], 2)
        weight = q.sum() * (1 - q).sum()
        if weight > 0:
            truth = np.repeat([1, 0], members.sum())
            total += weight * roc_auc_score(truth, d, sample_weight=np.concatenate([q, 1 - q]))
            pairs += weight
    return total / pairs


def in_groups(chances: Floats, difficulty: Floats, group: NDArray[np.int64] | None = None) -> float:
    """The expected AUROC over the pairs of each group, of all pairs where there is none."""
    group = np.zeros(len(chances), dtype=np.int64) if group is None else group
    return expected_auroc_in_groups(chances, mid_ranks(difficulty, group), group)


def test_expected_auroc_is_the_mean_over_every_draw() -> None:
    """All 35 draws of 3 of 7 samples with random chances and tied difficulties, by scipy's U; and as weights, by class."""
    rng = np.random.default_rng(0)
    difficulty = np.array([3.0, 1, 2, 2, 5, 1, 2])
    draws = [np.isin(np.arange(7), chosen) for chosen in combinations(range(7), 3)]
    chances = rng.dirichlet(np.ones(len(draws)))
    inclusion = np.asarray(sum(q * wrong for q, wrong in zip(chances, draws, strict=True)))
    found = [stats.mannwhitneyu(difficulty[wrong], difficulty[~wrong]).statistic / 12 for wrong in draws]
    mean = pytest.approx(chances @ np.array(found), abs=1e-12)
    assert expected_auroc(difficulty, inclusion, 1 - inclusion) == mean
    assert in_groups(inclusion, difficulty) == mean
    clean = classes(300, 5)
    p = np.where(rng.random(300) < 0.2, rng.integers(0, 2, 300), rng.random(300))
    group: dict[Within, NDArray[np.int64] | None] = {"class": clean, "all": None}
    for within, of in group.items():
        assert in_groups(p, numbers(clean), of) == pytest.approx(weighted(p, numbers(clean), clean, within), abs=1e-12)
    assert np.isnan(in_groups(np.zeros(5), np.arange(5.0)))


@pytest.mark.parametrize("within", ["class", "all"])
@pytest.mark.parametrize("structure", ["symmetric", "matrix"])
def test_the_auroc_is_met_in_closed_form(within: Within, structure: str, file: Write) -> None:
    """To 1e-6 by scikit-learn's weights; rates to 1e-9; and the chances are a logistic function of the rank."""
    k, n = 4, 600
    clean = classes(n, k)
    difficulty, source = numbers(clean), toy(clean, k)
    matrix = np.array([[1, 0, 0, 0], [0.2, 0.8, 0, 0], [0.1, 0.2, 0.7, 0], [0, 0, 0.1, 0.9]])
    place, rows = file(difficulty), file(matrix)
    for rate, auroc in ((0.05, 0.65), (0.3, 0.55), (0.3, 0.65), (0.3, 0.8), (0.3, 0.4), (0.6, 0.7), (0.2, 0.9)):
        noise = Difficulty(rate, auroc, within=within, difficulty=place, matrix=rows if structure == "matrix" else None)
        p = noise(source, seed=0, mode="exact").flip_probability
        assert p is not None
        assert weighted(p, difficulty, clean, within) == pytest.approx(auroc, abs=1e-6)
        assert p.mean() == pytest.approx(rate, abs=1e-9)
        of_classes = within == "class" or structure == "matrix"
        weights = 1 - matrix.diagonal() if structure == "matrix" else np.ones(k)
        low, high = 0.0, 100.0  # of the number that multiplies the rates of the classes
        for _ in range(100):
            c = (low + high) / 2
            low, high = (c, high) if np.minimum(c * weights, 1)[clean].mean() < rate else (low, c)
        for members, wanted in zip(
            [clean == j for j in range(k)] if of_classes else [clean >= 0],
            np.minimum(high * weights, 1) if of_classes else [rate],
            strict=True,
        ):
            assert p[members].mean() == pytest.approx(wanted, abs=1e-9)
            if 1e-9 < wanted < 1 - 1e-9:
                rank = stats.rankdata(difficulty[members if within == "class" else clean >= 0])
                rank = rank if within == "class" else rank[members]
                logit = np.log(p[members] / (1 - p[members]))
                line = np.polynomial.Polynomial.fit(rank, logit, 1)
                np.testing.assert_allclose(line(rank), logit, atol=1e-6)
                assert structure == "matrix" or (line.convert().coef[1] > 0) == (auroc > 0.5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("within", ["class", "all"])
def test_draws_have_the_auroc_and_the_law(mode: Mode, within: Within, file: Write) -> None:
    """Mean AUROC of 40 seeds within five standard errors of the asked one; errors of a sample by chi-square (scipy)."""
    clean, seeds = classes(500, 5), 40
    difficulty, source = numbers(clean), toy(clean, 5)
    noise = Difficulty(0.25, 0.7, within=within, difficulty=file(difficulty), structure="pair_flip")
    found, counts = [], np.zeros(500)
    for seed in range(seeds):
        draw = noise(source, seed=seed, mode=mode)
        wrong = draw.labels != clean
        np.testing.assert_array_equal(draw.labels[wrong], (clean[wrong] + 1) % 5)
        found.append(in_groups(wrong.astype(np.float64), difficulty, clean if within == "class" else None))
        counts += wrong
    error = np.std(found) / np.sqrt(seeds)
    assert abs(np.mean(found) - 0.7) < 5 * error < 0.03
    p = draw.flip_probability
    assert p is not None
    z2 = (counts - seeds * p) ** 2 / (seeds * p * (1 - p))
    assert 1e-6 < stats.chi2.sf(z2.sum(), 500) < 1 - 1e-6


def test_one_half_is_plain_class_conditional_noise(file: Write) -> None:
    """The very labels of symmetric, pair-flip and transition noise, of the same seed."""
    clean = classes(900, 5)
    source, place = toy(clean, 5), file(numbers(clean))
    matrix = 0.6 * np.eye(5) + 0.1 * np.roll(np.eye(5), 1, axis=1) + np.diag([0.3, 0.1, 0.2, 0, 0.25])
    matrix[:, 0] += 1 - matrix.sum(1)
    rows = file(matrix)
    own = float(1 - matrix.diagonal()[clean].mean())
    pairs: list[tuple[Noise, Noise]] = [
        (Difficulty(0.3, 0.5, within="all", difficulty=place), Symmetric(0.3)),
        (Difficulty(0.3, 0.5, structure="pair_flip", within="all", difficulty=place), PairFlip(0.3)),
        (Difficulty(own, 0.5, matrix=rows, difficulty=place), Transition(rows)),
    ]
    for ours, plain in pairs:
        for mode in MODES:
            if mode == "exact_per_class" and isinstance(plain, Transition):
                continue  # cells of the selected, not of the class
            mine, other = (build_variant(source, noise, seed=2, mode=mode) for noise in (ours, plain))
            np.testing.assert_array_equal(mine.labels, other.labels)
            assert mine.flip_probability is not None
            np.testing.assert_allclose(mine.flip_probability, np.asarray(other.flip_probability), atol=1e-9)


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_the_rate_is_met(k: int, file: Write) -> None:
    """Three rates in every mode, in each class within it: exactly where promised, else within four deviations."""
    clean = classes(603, k)
    source, place = toy(clean, k), file(numbers(clean))
    inputs = np.array(source.inputs)
    for rate in (0.05, 0.2, 0.4):
        for mode in MODES:
            variant = build_variant(source, Difficulty(rate, within="all", difficulty=place), seed=1, mode=mode)
            p, wrong = variant.flip_probability, variant.mislabeled
            assert p is not None
            assert p.mean() == pytest.approx(rate, abs=1e-9)
            if mode == "bernoulli":
                assert abs(wrong.sum() - rate * 603) < 4 * np.sqrt((p * (1 - p)).sum())
            else:
                assert wrong.sum() == round(rate * 603)
        by_class = build_variant(source, Difficulty(rate, 0.6, difficulty=place), seed=1).mislabeled
        sizes = np.bincount(clean, minlength=k)
        assert np.abs(np.bincount(clean[by_class], minlength=k) - rate * sizes).max() < 1
    np.testing.assert_array_equal(source.inputs, inputs)


def test_a_bernoulli_label_depends_on_its_own_sample_and_its_rank(file: Write) -> None:
    """The rest may be permuted: the first labels stay; the same number is wrong wherever ranks are the same."""
    clean = classes(300, 5)
    difficulty = numbers(clean)
    noise = Difficulty(0.3, 0.7, difficulty=file(difficulty))
    labels = noise(toy(clean, 5), seed=4, mode="bernoulli").labels
    order = np.concatenate([np.arange(150), 150 + np.argsort(bits(3, "order", 150))])
    permuted = Difficulty(0.3, 0.7, difficulty=file(difficulty[order]))
    np.testing.assert_array_equal(permuted(toy(clean[order], 5), seed=4, mode="bernoulli").labels[:150], labels[:150])
    rescaled = Difficulty(0.3, 0.7, difficulty=file(np.exp(difficulty / 100)))
    np.testing.assert_array_equal(rescaled(toy(clean, 5), seed=4, mode="bernoulli").labels, labels)


# --- where difficulty comes from ---------------------------------------------------------------------------------------


def test_difficulty_is_read_from_many_files(file: Write, tmp_path: Path) -> None:
    """C-scores, a table in any order, a memorization of the clean labels and probabilities give the same draw."""
    clean = np.where(np.arange(200) % 50 == 7, UNKNOWN, np.arange(200) % 4)
    source, known = toy(clean, 4), clean != UNKNOWN
    difficulty = (bits(0, "difficulty", 200) >> np.uint64(11)) / 2.0**53
    table, order = tmp_path / "table.csv", np.argsort(bits(1, "rows", 200))
    table.write_text(
        "sample,difficulty\n" + "".join(f"{i},{float(difficulty[i])!r}\n" for i in order), encoding="utf-8"
    )
    learnt = build_variant(source, AsFound()).provenance.variant_id
    column = np.where(known, 0.5, np.nan)
    models_in = np.where(known, 4, 0)
    measured = Memorization(
        values=np.where(known, column + difficulty / 2 - column, np.nan),
        stderr=column,
        p_in=column + difficulty / 2,
        p_out=column,
        margin=column,
        clean_damage=column,
        n_in=models_in,
        n_out=8 - models_in,
        models=8,
        learner=Learner("toy", "none", 0, ""),
        variant_id=learnt,
    )
    write_memorization(measured, tmp_path / "memorization.parquet")
    soft = np.repeat(difficulty[:, None] / 3, 4, axis=1)
    soft[np.arange(200), clean] = 1 - difficulty
    noises = [
        Difficulty(0.3, 0.7, difficulty=file(difficulty)),
        Difficulty(0.3, 0.7, difficulty=file(labels=source.labels, scores=1 - difficulty), lower_is_harder=True),
        Difficulty(0.3, 0.7, difficulty=table),
        Difficulty(0.3, 0.7, difficulty=tmp_path / "memorization.parquet"),
        Difficulty(0.3, 0.7, probabilities=file(soft / soft.sum(1, keepdims=True))),
    ]
    drawn = [noise(source, seed=0, mode="exact").labels for noise in noises]
    for labels in drawn:
        np.testing.assert_array_equal(labels, drawn[0])
    with pytest.raises(Mismatch, match="other"):
        shuffled = file(labels=np.roll(source.labels, 1), scores=difficulty)
        Difficulty(0.3, difficulty=shuffled)(source, seed=0, mode="exact")
    other = toy(np.roll(clean, 1), 4)
    with pytest.raises(Mismatch, match="memorization.parquet is of variant"):
        noises[3](other, seed=0, mode="exact")


def test_a_model_says_what_is_difficult_once(digits: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """One minus the cross-fitted probability of the clean class; the same for every seed, and trained once for all."""
    digits = replace(digits, inputs=digits.inputs[:200], labels=digits.labels[:200], clean=digits.clean[:200])
    found = difficulty_of(digits, file=None, epochs=2)
    p = class_probabilities(digits, file=None, model=None, epochs=2, how="cross_fitted", seed=0)
    np.testing.assert_array_equal(found, 1 - p[np.arange(len(p)), digits.clean])
    monkeypatch.setattr("noisybench.noise.difficulty_law.class_probabilities", None)
    first, second = (Difficulty(0.2, 0.65, epochs=2)(digits, seed=seed, mode="exact") for seed in (0, 1))
    assert (first.labels != second.labels).any()
    np.testing.assert_array_equal(first.flip_probability, second.flip_probability)
    assert first.flip_probability is not None
    assert weighted(first.flip_probability, found, digits.clean, "class") == pytest.approx(0.65, abs=1e-6)


def test_cifar10_gets_the_dependence_of_people(data: Path) -> None:
    """By C-scores: the AUROC of CIFAR-10N's worst labels, 0.604 within classes, at their rate, and the realised one."""
    clean = pq.read_table(data / "cifar10" / "train.parquet", columns=["label"])["label"].to_numpy()
    scores = data / "cscores" / "cifar10-cscores-orig-order.npz"
    noise = Difficulty(0.4021, 0.604, difficulty=scores, lower_is_harder=True)
    variant = build_variant(toy(clean, 10), noise, seed=1)
    difficulty = -np.load(scores)["scores"]
    assert variant.mislabeled.sum() == 20_105
    assert weighted(np.asarray(variant.flip_probability), difficulty, clean, "class") == pytest.approx(0.604, abs=1e-6)
    realised = weighted(variant.mislabeled.astype(np.float64), difficulty, clean, "class")
    assert realised == pytest.approx(0.604, abs=0.012)


# --- what is refused ---------------------------------------------------------------------------------------------------


def test_what_cannot_be_had_is_refused_with_the_greatest_that_can(file: Write) -> None:
    """Of ten samples six are equally hard: at rate 0.2 the greatest AUROC is counted by hand, and that is drawn."""
    source = toy(np.zeros(10, dtype=np.int64), 3)
    place = file(np.array([0.0, 0, 0, 0, 1, 1, 1, 1, 1, 1]))
    # Two of the six hard ones: each wrong one beats four easy ones and ties with four (in chances 16 / 3 with itself).
    greatest = (4 + 0.5 * 4) / 8
    with pytest.raises(
        BadUsage, match=rf"^auroc 0.8 is out of reach at rate 0.2: .* the greatest is {greatest:.6f}; .*"
    ):
        Difficulty(0.2, 0.8, difficulty=place)(source, seed=0, mode="exact")
    with pytest.raises(BadUsage, match=r"^auroc 0.1 is out of reach at rate 0.2: .* the least is 0.1\d+"):
        Difficulty(0.2, 0.1, difficulty=place)(source, seed=0, mode="exact")
    draw = Difficulty(0.2, greatest - 1e-6, difficulty=place)(source, seed=0, mode="exact")
    assert (draw.labels[4:] != 0).sum() == 2
    with pytest.raises(BadUsage, match=r"the greatest is 0.500000; samples of equal difficulty cannot be told apart"):
        Difficulty(0.2, 0.51, difficulty=file(np.ones(10)))(source, seed=0, mode="exact")


def test_what_cannot_be_meant_is_refused(file: Write) -> None:
    """When the noise is made, or when it draws; one sentence each."""
    place, rows = file(np.arange(6.0)), file(np.array([[1.0, 0], [0.2, 0.8]]))
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: Difficulty(0.2, 1.5), r"auroc must be a number in \[0, 1\] .*, got 1.5"),
        (lambda: Difficulty(0.2, float("nan")), "auroc must be a number .*, got nan"),
        (lambda: Difficulty(0.2, structure="uniform"), "structure must be one of symmetric, pair_flip, asymmetric"),  # type: ignore[arg-type]
        (lambda: Difficulty(0.2, within="group"), "within must be one of class, all, got 'group'"),  # type: ignore[arg-type]
        (lambda: Difficulty(0.2, matrix=rows, structure="pair_flip"), "given twice, by .* and as 'pair_flip'"),
        (lambda: Difficulty(0.2, difficulty=place, model="mlp"), "difficulty and model both tell what is difficult"),
        (lambda: Difficulty(0.2, lower_is_harder=True), "lower_is_harder is for a file of difficulties"),
    ]
    for make, words in refused:
        with pytest.raises(BadUsage, match=words):
            make()
    source = toy(np.array([0, 0, 0, 0, 1, 1]), 2)
    with pytest.raises(BadUsage, match="rate 0.4 is out of reach: 2 of 6 samples are of a class that can be wrong"):
        Difficulty(0.4, difficulty=place, matrix=rows)(source, seed=0, mode="exact")
    with pytest.raises(BadData, match=r"has shape \(4,\), expected 6 rows"):
        Difficulty(0.4, difficulty=file(np.arange(4.0)))(source, seed=0, mode="exact")
