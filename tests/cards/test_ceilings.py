from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from noisybench.cards.ceilings import Ceilings, ceilings_of
from noisybench.cards.description import describe
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import UNKNOWN
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.noise.noises.transition import Transition
from noisybench.statistics.expected_auroc import expected_auroc
from noisybench.variants.building import build_variant
from noisybench.variants.noise import Noise


def toy(k: int, n: int = 600) -> Source:
    labels = np.arange(n) % k
    return source_from_arrays("toy", np.arange(n * 4.0).reshape(n, 4) % 23, labels, clean=labels)


def ceilings(source: Source, noise: Noise) -> Ceilings:
    return describe(build_variant(source, noise)).ceilings


@pytest.mark.parametrize("k", [2, 3, 10])
def test_symmetric_noise_is_identifiable_below_its_threshold(k: int) -> None:
    """Up to (K - 1) / K, where it is a tie of all classes; beyond, the clean class is the least likely label."""
    edge = (k - 1) / k
    for rate, share in ((0.9 * edge, 1.0), (edge, 0.5), (min(1.05 * edge, 1.0), 0.0)):
        found = ceilings(toy(k), Symmetric(rate))
        other = rate / (k - 1)
        assert found.basis == found.matrix_basis == "nominal matrix"
        assert found.identifiable == pytest.approx((share, share))
        assert len(found.lost) == (0 if share == 1 else k)
        assert found.oracle_accuracy == pytest.approx(1 - rate)
        assert found.bayes_accuracy == pytest.approx((max(1 - rate, other),) * 2)
        assert found.lead == pytest.approx(1 - rate - other)
        assert [found.flip_probability_auroc, found.given_label_auroc] == pytest.approx([0.5, 0.5])
    # Eigenvalues 1 and 1 - r K / (K - 1), of a symmetric matrix.
    assert ceilings(toy(k), Symmetric(0.4 * edge)).condition == pytest.approx(1 / 0.6)
    assert ceilings(toy(k), Symmetric(edge)).condition == np.inf


def test_pair_flip_is_identifiable_below_one_half() -> None:
    """And each class is named with the one that takes its place."""
    for rate, share in ((0.49, 1.0), (0.5, 0.5), (0.51, 0.0)):
        found = ceilings(toy(5), PairFlip(rate))
        assert found.identifiable == pytest.approx((share, share))
        assert found.lost == (() if share == 1 else ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0)))


def test_a_class_conditional_law_by_hand(tmp_path: Path) -> None:
    """Unequal classes of 300, 200 and 100: every number against sums written out, AUROC by a loop over all pairs."""
    law = np.array([[0.6, 0.3, 0.1], [0.55, 0.45, 0.0], [0.0, 0.5, 0.5]])
    np.save(tmp_path / "law.npy", law)
    clean = np.repeat([0, 1, 2], [300, 200, 100])
    source = source_from_arrays("toy", np.zeros((600, 1)), clean, clean=clean)
    found = ceilings(source, Transition(tmp_path / "law.npy"))
    assert found.oracle_accuracy == pytest.approx((300 * 0.6 + 200 * 0.45 + 100 * 0.5) / 600)
    assert found.bayes_accuracy == pytest.approx(((300 * 0.6 + 200 * 0.55 + 100 * 0.5) / 600,) * 2)
    assert found.identifiable == pytest.approx(((300 + 100 / 2) / 600,) * 2)
    assert found.lost == ((1, 0), (2, 1))
    assert found.lead == pytest.approx(-0.1)
    assert found.condition == pytest.approx(np.linalg.norm(law, 2) * np.linalg.norm(np.linalg.inv(law), 2))
    cells = [(i, j, float(n * law[i, j])) for i, n in enumerate((300, 200, 100)) for j in range(3)]
    given = [sum(weight for _, j, weight in cells if j == column) for column in range(3)]
    wrong = [sum(weight for i, j, weight in cells if j == column != i) for column in range(3)]
    parts = [w * (i != j) for i, j, w in cells], [w * (i == j) for i, j, w in cells]
    by_class = pairs([float(1 - law[i, i]) for i, _, _ in cells], *parts)
    by_given = pairs([wrong[j] / given[j] for _, j, _ in cells], *parts)
    assert found.flip_probability_auroc == pytest.approx(by_class)
    assert found.given_label_auroc == pytest.approx(by_given)


def pairs(scores: list[float], wrong: list[float], right: list[float]) -> float:
    """AUROC over all pairs of a wrong and a right one, each with its weight; a tie is a half."""
    total = sum(wrong) * sum(right)
    won = 0.0
    for a, x in zip(scores, wrong, strict=True):
        for b, y in zip(scores, right, strict=True):
            won += x * y * (0.5 if abs(a - b) < 1e-9 else float(a > b))
    return won / total


def test_the_expected_auroc_is_that_of_all_pairs() -> None:
    """With ties, weights of zero, and nothing of one kind."""
    rng = np.random.default_rng(0)
    scores, wrong, right = rng.integers(0, 6, 40) / 7, rng.random(40), rng.random(40)
    wrong[:5] = 0
    assert expected_auroc(scores, wrong, right) == pytest.approx(pairs(list(scores), list(wrong), list(right)))
    assert np.isnan(expected_auroc(scores, np.zeros(40), right))


def test_chances_without_classes_give_bounds() -> None:
    """Of a sample with chance q the flips go to one class, or evenly to all: both ends, sample by sample."""
    source = toy(4)
    variant = build_variant(source, Instance(0.4))
    q = variant.flip_probability
    assert q is not None
    found = describe(variant).ceilings
    assert (found.basis, found.matrix_basis) == ("flip probabilities", "realised matrix")
    assert found.oracle_accuracy == pytest.approx(1 - q.mean())
    ends = [[max(1 - p, p / 3) for p in q], [max(1 - p, p) for p in q]]
    assert found.bayes_accuracy == pytest.approx(tuple(np.mean(end) for end in ends))
    assert found.identifiable == pytest.approx((np.mean(q < 0.5), np.mean(1 - q > q / 3)))
    assert found.identifiable[0] < found.identifiable[1]
    assert found.flip_probability_auroc == pytest.approx(pairs(list(q), list(q), list(1 - q)), abs=1e-9)


def test_where_nothing_is_known_nothing_is_told() -> None:
    """NaN for a variant without clean labels; an empty class has no condition number, and is not lost."""
    labels = np.array([0, 1, 1, 2, 0, 0])
    wild = ceilings(source_from_arrays("wild", np.zeros((6, 1)), labels), AsFound())
    numbers = [wild.oracle_accuracy, *wild.bayes_accuracy, *wild.identifiable, wild.lead, wild.condition]
    assert np.isnan([*numbers, wild.flip_probability_auroc, wild.given_label_auroc]).all()
    clean = np.array([0, 0, 1, 1, UNKNOWN, UNKNOWN])
    found = ceilings(source_from_arrays("some", np.zeros((6, 1)), labels, clean=clean), AsFound())
    assert (found.basis, found.oracle_accuracy) == ("realised matrix", 0.5)
    assert [i for i, _ in found.lost] == [0, 1]
    assert np.isnan(found.condition)


def test_a_law_that_differs_from_its_matrix_goes_first() -> None:
    """Chances of their own for each sample stand above the mean of their class."""
    variant = build_variant(toy(4), Symmetric(0.3))
    law: NDArray[np.float64] = np.where(np.arange(600) < 300, 0.1, 0.5)
    found = ceilings_of(replace(variant, flip_probability=law), np.eye(4))
    assert (found.basis, found.matrix_basis) == ("flip probabilities", "nominal matrix")
    assert found.identifiable == pytest.approx((0.75, 1.0))
