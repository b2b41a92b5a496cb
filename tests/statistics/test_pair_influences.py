"""Influences of pairs: against loops over pairs and models, SciPy's hypergeometric law and q-values, and permutations."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, hypergeom

from noisybench.statistics import pair_influences
from noisybench.statistics.pair_influences import large_pairs, q_values, tail

M, N, T = 40, 30, 25


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Who saw what, and who is right where; one test sample that all get right, one that none does, one that sample 3 decides."""
    generator = np.random.default_rng(0)
    included, correct = generator.random((M, N)) < 0.7, generator.random((M, T)) < 0.6
    correct[:, 0], correct[:, 1], correct[:, 2] = True, False, included[:, 3]
    return included, correct


@pytest.mark.parametrize("cells", [1 << 21, 60])
def test_against_loops(drawn: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    """Influence, error, p-value and counts of each pair, however many are looked at together; the largest first."""
    monkeypatch.setattr(pair_influences, "CELLS", cells)
    included, correct = drawn
    candidates = np.array([0, 3, 4, 7, 12, 29])
    found = large_pairs(included, correct, candidates, least=0.15, most=1000, most_q=1.0)
    told = {(i, j): row for row, (i, j) in enumerate(zip(found.train.tolist(), found.test.tolist(), strict=True))}
    helps = harms = 0
    by_chance = [0.0, 0.0]
    for i in candidates.tolist():
        saw = included[:, i]
        for j in range(T):
            right = correct[:, j]
            influence = right[saw].mean() - right[~saw].mean()
            helps += influence >= 0.15 - 1e-12
            harms += influence <= -0.15 + 1e-12
            counts = np.arange(M + 1)
            chance = hypergeom.pmf(counts, M, right.sum(), saw.sum())
            moved = counts / saw.sum() - (right.sum() - counts) / (~saw).sum()
            by_chance[0] += chance[moved >= 0.15 - 1e-12].sum()
            by_chance[1] += chance[moved <= -0.15 + 1e-12].sum()
            assert ((i, j) in told) == (abs(influence) >= 0.15 - 1e-12)
            if (i, j) in told:
                row, hits = told[i, j], right[saw].sum()
                variance = 0.0
                for count, models in ((hits, saw.sum()), (right.sum() - hits, (~saw).sum())):
                    p = (count + 0.5) / (models + 1)
                    variance += p * (1 - p) / models
                law = hypergeom(M, right.sum(), saw.sum())
                p_value = law.sf(hits - 1) if influence > 0 else law.cdf(hits)
                assert found.influence[row] == pytest.approx(influence, abs=1e-12)
                assert found.stderr[row] == pytest.approx(np.sqrt(variance), rel=1e-12)
                assert found.p_value[row] == pytest.approx(p_value, rel=1e-9)
    assert (found.helps, found.harms, found.compared) == (helps, harms, len(candidates) * T)
    assert (found.helps_by_chance, found.harms_by_chance) == pytest.approx(tuple(by_chance), rel=1e-9)
    assert (np.diff(np.abs(found.influence)) <= 1e-9).all()
    assert (found.train[0], found.test[0], found.influence[0]) == (3, 2, 1.0)


def test_which_are_kept(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """As many as are asked for, the largest; and of those the ones whose q-value is small: here the planted pair alone."""
    included, correct = drawn
    every = large_pairs(included, correct, np.arange(N), least=0.15, most=1000, most_q=1.0)
    some = large_pairs(included, correct, np.arange(N), least=0.15, most=17, most_q=1.0)
    np.testing.assert_array_equal(some.train, every.train[:17])
    np.testing.assert_array_equal(some.test, every.test[:17])
    assert (some.helps, some.harms) == (every.helps, every.harms)
    sure = large_pairs(included, correct, np.arange(N), least=0.15, most=1000, most_q=0.05)
    assert list(zip(sure.train.tolist(), sure.test.tolist(), strict=True)) == [(3, 2)]
    none = large_pairs(included, correct, np.zeros(0, dtype=np.int64), least=0.15, most=10, most_q=0.05)
    assert (len(none.train), none.helps, none.harms_by_chance, none.compared) == (0, 0, 0.0, 0)


def test_by_chance_is_what_permutations_give(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Numbers expected by chance are the mean over permutations of the models' answers, within its error."""
    included, correct = drawn
    found = large_pairs(included, correct, np.arange(N), least=0.15, most=1, most_q=1.0)
    generator, counts = np.random.default_rng(1), []
    for _ in range(300):
        shuffled = correct[generator.permutation(M)].astype(float)
        saw, missed = included.T.astype(float), 1.0 - included.T
        influence = saw @ shuffled / saw.sum(1)[:, None] - missed @ shuffled / missed.sum(1)[:, None]
        counts.append([(influence >= 0.15 - 1e-9).sum(), (influence <= -0.15 + 1e-9).sum()])
    error = np.std(counts, 0) / np.sqrt(300)
    assert (np.abs(np.mean(counts, 0) - [found.helps_by_chance, found.harms_by_chance]) <= 4 * error).all()


def test_tail_is_scipys() -> None:
    """Of few and of thousands of models, at both ends of the law and beyond them, to a relative 1e-9 down to 1e-250."""
    generator = np.random.default_rng(0)
    for m, spread in ((60, 15), (4000, 200)):
        right, drawn = generator.integers(0, m + 1, 500), generator.integers(1, m, 500)
        hits = (right * drawn / m + spread * generator.normal(size=500)).astype(np.int64)
        expected = np.asarray(hypergeom.sf(hits - 1, m, right, drawn), dtype=np.float64)
        found = tail(hits, m, right, drawn)
        likely = expected > 1e-250
        np.testing.assert_allclose(found[likely], expected[likely], rtol=1e-9)
        assert (found[~likely] <= 1e-240).all()


def test_q_values_are_scipys() -> None:
    """With all p-values, ties among them, SciPy's; with the smallest alone, the same or larger."""
    p = np.round(np.random.default_rng(0).random(50) ** 3, 2)
    np.testing.assert_allclose(q_values(p, 50), false_discovery_control(p))
    smallest = np.sort(p)[:10]
    assert (q_values(smallest, 50) >= np.asarray(false_discovery_control(np.sort(p)))[:10] - 1e-12).all()
    assert q_values(np.zeros(0), 50).size == 0
