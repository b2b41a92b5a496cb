"""Means over families and their intervals over draws and seeds, against closed forms and simulated coverage."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from noisybench.ground.arrays import Floats
from noisybench.statistics.column_means import Cells, LabelColumn, estimate, mean, weakest

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
def test_the_interval_is_what_resampling_gave(u: int) -> None:
    """Drawing u - 1 of u, 2,000 times, as 0.4.0 did, gives the mean the standard error behind the interval, ± 3 % a sigma."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=u)
    means = values[rng.integers(0, u, (2000, u - 1))].mean(1)
    _, low, high, _ = estimate(one_setting(values), UNBOUNDED)
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, u - 1) * means.std(), rel=0.1)


def test_interval_of_one_setting_is_that_of_student() -> None:
    """With one setting the interval is SciPy's t interval over draws."""
    draws = np.array([0.70, 0.74, 0.71, 0.78])
    middle, low, high, interval = estimate(one_setting(draws), (0, 1))
    expected = ttest_1samp(draws, 0).confidence_interval()
    assert interval == "draws"
    assert middle == pytest.approx(draws.mean())
    assert [low - middle, high - middle] == pytest.approx([expected.low - middle, expected.high - middle])
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
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(parts.sum()))


@pytest.mark.parametrize("draws", [3, 8])
def test_interval_covers(draws: int) -> None:
    """In 400 benchmarks of normal draws the interval holds the true mean in about 95 % (three sigmas: ± 3.3)."""
    rng = np.random.default_rng(draws)
    found = [estimate(one_setting(rng.normal(size=draws)), UNBOUNDED) for _ in range(400)]
    assert np.mean([low <= 0 <= high for _, low, high, _ in found]) == pytest.approx(0.95, abs=0.033)


def test_what_covers_least_is_told() -> None:
    """Of several rows or settings the weakest promise holds for all; samples are more than draws alone."""
    assert weakest({"samples, draws", "samples"}) == "samples"
    assert weakest({"samples", "draws"}) == "draws"
    assert weakest({"seeds", "none"}) == "none"
    assert weakest(set()) == "none"
