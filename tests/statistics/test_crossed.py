"""Parts of the variance of rows' means, against definitions in loops and simulated boards whose truth is known."""

import numpy as np
import pytest
from scipy.stats import ttest_rel
from simulated_boards import Design, drawn_board

from noisybench.ground.arrays import Floats
from noisybench.statistics.column_means import LabelColumn
from noisybench.statistics.comparisons import compare, rank_sets
from noisybench.statistics.crossed import (
    RowValues,
    SampleParts,
    SampleSums,
    coverage,
    of_differences,
    of_means,
    variance_parts,
)

NO_SIZES = (np.ones(1),) * 3


def column(draw: int, setting: str = "rate=0.2") -> LabelColumn:
    return LabelColumn("digits", "symmetric", setting, f"{setting} {draw}")


def one_column(values: Floats) -> list[RowValues]:
    """Rows of one label column: (r, s), NaN where a row lacks the seed."""
    return [{column(0): {s: v for s, v in enumerate(row.tolist()) if np.isfinite(v)}} for row in values]


def test_sums_are_the_products_of_their_definition() -> None:
    """Two settings of two and three draws and one of a single draw, on the same samples, against loops over columns."""
    rng = np.random.default_rng(0)
    draws = {"a": 2, "b": 3, "c": 1}
    influences = {
        (s, d): rng.normal(size=(50, 4)) + rng.normal(size=(50, 1)) for s, n in draws.items() for d in range(n)
    }
    sums = SampleSums(50, 4)
    for setting, count in draws.items():
        for d in range(count):
            sums.add(influences[setting, d].astype(np.float32), 1 / 3 / count, count)
        sums.close_setting(count)
    sums.close()
    expected = np.zeros((4, 4))
    for (s, d), one in influences.items():
        for (other, e), two in influences.items():
            weight = 1 / 9 / draws[s] / draws[other]
            if s != other or draws[s] == 1:
                expected += weight * one.T @ two
            elif d != e:
                expected += weight * draws[s] / (draws[s] - 1) * one.T @ two
    np.testing.assert_allclose(sums.measured - sums.elsewhere, expected, rtol=1e-4, atol=1e-4)


def test_products_of_samples_are_unbiased_in_draws() -> None:
    """What samples do in every draw alike is found whatever they do in single draws, on average over 300 repeats."""
    rng = np.random.default_rng(1)
    alike = rng.normal(size=(400, 2))
    found = []
    for _ in range(300):
        sums = SampleSums(400, 2)
        for _ in range(2):
            sums.add((alike + 2 * rng.normal(size=(400, 2))).astype(np.float32), 1 / 2, 2)
        sums.close_setting(2)
        sums.close()
        found.append(sums.measured - sums.elsewhere)
    expected = alike.T @ alike
    assert np.mean(found, axis=0) == pytest.approx(expected, abs=3 * np.std(found, axis=0).max() / 300**0.5)


def test_seeds_are_paired_where_rows_share_them() -> None:
    """The seeds' part of a paired difference is that of its seeds; rows of other seeds are apart, a row of one has none."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 3))
    values[2, 2] = values[3, 1:] = np.nan
    samples = SampleParts(np.zeros((4, 4)), np.zeros((4, 4)), 20.0, *NO_SIZES)
    found = of_differences(variance_parts(one_column(values), None))
    paired = (values[0] - values[1]).var(ddof=1) / 3
    assert found.variance[0, 1] == pytest.approx(paired)
    assert found.freedom[0, 1] == pytest.approx(2)
    apart = values[0].var(ddof=1) / 3, values[2, :2].var(ddof=1) / 2
    assert found.variance[0, 2] == pytest.approx(sum(apart))
    assert found.freedom[0, 2] == pytest.approx(sum(apart) ** 2 / (apart[0] ** 2 / 2 + apart[1] ** 2))
    assert found.variance[0, 3] == pytest.approx(apart[0])
    rows = one_column(values)
    assert [coverage(row, samples=True) for row in rows] == ["samples, seeds"] * 3 + ["samples"]
    assert [coverage(row, samples=False) for row in rows] == ["seeds"] * 3 + ["none"]
    assert of_means(variance_parts(rows, samples)).variance[3] == 0


def test_seeds_of_a_pair_are_no_less_than_in_proportion() -> None:
    """A pair whose seeds hardly differ by chance has the mean share of all pairs, a row without seeds none of it."""
    values = np.array([[0.0, 1, 2], [0, 1, 2.001], [0, 2, 0], [0.5, np.nan, np.nan]])
    samples = SampleParts(np.eye(4), np.zeros((4, 4)), 50.0, *NO_SIZES)
    found = of_differences(variance_parts(one_column(values), samples))
    alone = of_differences(variance_parts(one_column(values), None)).variance
    share = alone.sum() / (2 * (alone > 0)).sum()
    assert found.variance[0, 1] == pytest.approx(2 + 2 * share)
    assert found.variance[0, 2] == pytest.approx(2 + max(alone[0, 2], 2 * share))
    only = of_differences([part for part in variance_parts(one_column(values), samples) if part.of == "samples"])
    assert found.variance[0, 1] > only.variance[0, 1] == pytest.approx(2)


def test_ranks_follow_paired_differences() -> None:
    """What draws have in common cancels: with no influences, sure pairs are those of SciPy's paired t tests."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(0, 0.1, 6), rng.normal(0, 1e-3, (3, 6))
    values = np.stack([0.8 + common, 0.8 + common, 0.75 + common]) + own
    rows: list[RowValues] = [{column(d): {0: v} for d, v in enumerate(row.tolist())} for row in values]
    sets = rank_sets(compare(values.mean(1), variance_parts(rows, None), higher_is_better=True))
    sure = [ttest_rel(values[i], values[j]).pvalue < 0.05 / 3 for i, j in ((0, 1), (0, 2), (1, 2))]
    assert sure == [False, True, True]
    assert {sets[0][0], sets[1][0]} == {1, 2}
    assert [one[1:] for one in sets] == [(1, 2), (1, 2), (3, 3)]
    worst, _, best = rank_sets(compare(values.mean(1), variance_parts(rows, None), higher_is_better=False))
    assert best == (1, 1, 1)
    assert worst[1:] == (2, 3)


def boards_with_a_false_difference(design: Design, boards: int, *, samples: bool) -> tuple[float, float]:
    """Share of boards of equal rows of which one is said to be better, and share of pairs whose 95 % interval holds 0."""
    rng = np.random.default_rng(5)
    false, held = 0, []
    for _ in range(boards):
        rows, of_samples = drawn_board(design, rng)
        means = np.array([np.mean([np.mean([*seeds.values()]) for seeds in row.values()]) for row in rows])
        compared = compare(means, variance_parts(rows, of_samples if samples else None), higher_is_better=True)
        false += any((low, high) != (1, len(rows)) for _, low, high in rank_sets(compared))
        pairs = np.triu_indices(len(rows), 1)
        held.append((np.abs(compared.gain) <= 2.1 * compared.error)[pairs].mean())
    return false / boards, float(np.mean(held))


@pytest.mark.parametrize(
    "design",
    [
        Design((1.5,) * 8, wrong=30, right=90),
        Design((1.5,) * 8, wrong=30, right=90, visible=0.6, ties=0),
        Design((1.5,) * 8, wrong=30, right=90, of_seed=0.5),
        Design((1.5,) * 8, wrong=30, right=90, draws=3, seeds=1, of_draw=0.1),
        Design((2.5,) * 8, wrong=12, right=200, seeds=1, of_seed=0.0),
    ],
    ids=["seeds", "invisible errors and ties", "seeds that vary much", "draws", "few wrong labels"],
)
def test_equal_rows_are_seldom_told_apart(design: Design) -> None:
    """Of 60 boards of eight equal rows at most 5 % + 1.4 sigmas show a false difference."""
    false, held = boards_with_a_false_difference(design, 60, samples=True)
    assert false <= 0.09
    assert held > 0.92


def test_seeds_alone_tell_equal_rows_apart() -> None:
    """The same check finds what was wrong before samples counted: one board in four and more has a false difference."""
    design = Design((1.5,) * 8, wrong=30, right=90, visible=0.6, with_seed=0.2, of_seed=0.02, own=0.9)
    assert boards_with_a_false_difference(design, 60, samples=False)[0] > 0.25
    assert boards_with_a_false_difference(design, 60, samples=True)[0] <= 0.09
