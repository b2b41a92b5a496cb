"""Means over families and their uncertainty, against closed forms and simulated coverage."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp, ttest_rel

from noisybench.ground.arrays import Floats
from noisybench.statistics.resampling import Cells, LabelColumn, _resampling, estimate, mean, rank_sets

UNBOUNDED = (-np.inf, np.inf)


def column(draw: int, setting: str = "rate=0.2", noise: str = "symmetric") -> LabelColumn:
    return LabelColumn("digits", noise, setting, f"{noise} {setting} {draw}")


def one_setting(draws: Floats) -> Cells:
    """One family with one setting: a run for each draw."""
    return {column(d): [float(value)] for d, value in enumerate(draws)}


def test_families_count_once_each() -> None:
    """Seeds are averaged within a draw, draws within a setting, settings within a family, whatever their numbers."""
    cells = {
        column(0, "rate=0.2"): [0.1, 0.3],  # a draw of .2, beside one of .6: a setting of .4
        column(1, "rate=0.2"): [0.6],
        column(0, "rate=0.4"): [0.8],  # a family of (.4 + .8) / 2 = .6
        column(0, noise="instance"): [0.9, 1.0, 1.1],
    }
    assert mean(cells) == pytest.approx((0.6 + 1.0) / 2)
    assert np.isnan(mean({}))


@pytest.mark.parametrize("u", [2, 3, 12])
def test_resampled_variance_is_unbiased(u: int) -> None:
    """Drawing u − 1 of u gives the mean the variance s² / u, where drawing u of u would give (u − 1) / u of it."""
    values = np.random.default_rng(0).normal(size=u)
    weights = _resampling(u)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights @ values).var() == pytest.approx(values.var(ddof=1) / u, rel=0.1)  # 2,000 resamples: ± 3 % a sigma


def test_interval_of_one_setting_is_that_of_student() -> None:
    """With one setting the interval is SciPy's t interval over draws, but for the resampling's own three per cent."""
    draws = np.array([0.70, 0.74, 0.71, 0.78])
    middle, low, high, interval = estimate(one_setting(draws), (0, 1))
    expected = ttest_1samp(draws, 0).confidence_interval()
    assert interval == "draws"
    assert middle == pytest.approx(draws.mean())
    assert [low - middle, high - middle] == pytest.approx([expected.low - middle, expected.high - middle], rel=0.05)
    assert estimate(one_setting(draws), (0, 0.78))[2] == 0.78  # a metric's bound ends its interval


def test_many_seeds_of_one_draw_say_nothing_of_draws() -> None:
    """More seeds of each draw leave the interval as it is; a single draw has its seeds to resample, and says so."""
    draws = np.array([0.6, 0.7, 0.9])
    few = estimate(one_setting(draws), UNBOUNDED)
    many = estimate({column(d): [value] * 20 for d, value in enumerate(draws)}, UNBOUNDED)
    assert many[3] == few[3] == "draws"
    assert many[:3] == pytest.approx(few[:3])
    assert estimate({column(0): [0.6, 0.7, 0.9]}, UNBOUNDED) == (*few[:3], "seeds")
    assert np.isnan(estimate({column(0): [0.6]}, UNBOUNDED)[1:3]).all()
    mixed = {column(0): [0.6], column(1): [0.7], column(0, noise="instance"): [0.6, 0.9]}
    assert estimate(mixed, UNBOUNDED)[3] == "seeds"
    assert estimate({**mixed, column(0, noise="asymmetric"): [0.5]}, UNBOUNDED)[3] == "none"


def test_interval_of_two_families_is_that_of_welch() -> None:
    """Parts of unequal variance add up, with the degrees of freedom of Welch and Satterthwaite."""
    first, second = np.array([0.5, 0.6, 0.7, 0.65]), np.array([0.3, 0.9])
    cells = {**one_setting(first), **{column(d, noise="instance"): [float(v)] for d, v in enumerate(second)}}
    parts = np.array([part.var(ddof=1) / len(part) / 4 for part in (first, second)])
    freedom = parts.sum() ** 2 / (parts**2 / [3, 1]).sum()
    middle, low, high, _ = estimate(cells, UNBOUNDED)
    assert middle == pytest.approx((first.mean() + second.mean()) / 2)
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(parts.sum()), rel=0.1)


@pytest.mark.parametrize("draws", [3, 8])
def test_interval_covers(draws: int) -> None:
    """In 400 benchmarks of normal draws the interval holds the true mean in about 95 % (three sigmas: ± 3.3)."""
    rng = np.random.default_rng(draws)
    found = [estimate(one_setting(rng.normal(size=draws)), UNBOUNDED) for _ in range(400)]
    assert np.mean([low <= 0 <= high for _, low, high, _ in found]) == pytest.approx(0.95, abs=0.033)


def test_ranks_follow_paired_differences() -> None:
    """What draws have in common cancels: detectors are told apart by their differences though their intervals overlap."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(0, 0.1, 6), rng.normal(0, 1e-3, (3, 6))
    values = np.stack([0.8 + common, 0.8 + common, 0.75 + common]) + own
    rows = [one_setting(row) for row in values]
    first, second, third = rank_sets(rows, higher_is_better=True)
    assert {first[0], second[0]} == {1, 2}
    assert first[1:] == second[1:] == (1, 2)
    assert third == (3, 3, 3)
    # The reference: SciPy's paired t tests, three of them.
    sure = [ttest_rel(values[i], values[j]).pvalue < 0.05 / 3 for i, j in ((0, 1), (0, 2), (1, 2))]
    assert sure == [False, True, True]
    assert estimate(rows[2], UNBOUNDED)[2] > estimate(rows[0], UNBOUNDED)[1]  # their intervals overlap
    worst, _, best = rank_sets(rows, higher_is_better=False)
    assert best == (1, 1, 1)
    assert worst[1:] == (2, 3)


def test_ranks_without_interval_are_open() -> None:
    """Single runs order the detectors and rule out no rank; equal means share one; a lone or no detector is no error."""
    rows = [{column(0): [value]} for value in (0.9, 0.8, 0.9)]
    assert rank_sets(rows, higher_is_better=True) == [(1, 1, 3), (3, 1, 3), (1, 1, 3)]
    assert rank_sets(rows[:1], higher_is_better=True) == [(1, 1, 1)]
    assert rank_sets([], higher_is_better=True) == []


def test_a_difference_that_never_varied_is_not_sure() -> None:
    """Two draws that happen to differ by the same amount have no measured spread, so neither is surely better."""
    rows = [one_setting(np.array([0.5, 0.7]) + step) for step in (0.0, 0.1)]
    assert rank_sets(rows, higher_is_better=True) == [(2, 1, 2), (1, 1, 2)]


def test_equal_detectors_are_seldom_told_apart() -> None:
    """Among eight equal detectors with four draws, a false difference is found in at most 5 % of 200 benchmarks (+ 4.6)."""
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(200):
        values = rng.normal(size=4) + rng.normal(size=(8, 4)) * rng.uniform(0.5, 2, (8, 1))
        sets = rank_sets([one_setting(row) for row in values], higher_is_better=True)
        false += any((low, high) != (1, 8) for _, low, high in sets)
    assert false / 200 <= 0.096
