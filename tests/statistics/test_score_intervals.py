"""Intervals by inverted score tests, against a minimiser, moments of SciPy, Wilson's, and a grid."""

from typing import Any, cast

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import hypergeom

from noisybench.statistics.intervals import Z95, wilson
from noisybench.statistics.score_intervals import _likeliest_shares, rate_interval, recall_interval, score_statistic


@pytest.mark.parametrize("seed", range(6))
def test_likeliest_shares_are_those_of_a_minimiser(seed: int) -> None:
    """SLSQP on the likelihood under the same equation, with a ratio's factors of both signs too."""
    rng = np.random.default_rng(seed)
    h = int(rng.integers(1, 5))
    seen = rng.integers(3, 40, h).astype(float)
    wrong = np.minimum(rng.integers(0, 12, h), seen).astype(float)
    factors = rng.normal(size=h) if seed % 2 else rng.random(h) / h
    value = float(factors @ rng.uniform(0.1, 0.9, h))
    ours = _likeliest_shares(wrong[None], seen, factors[None], np.array([value]))[0]
    assert factors @ ours == pytest.approx(value, abs=1e-8)

    def against(p: np.ndarray[Any, Any]) -> float:
        return -float(wrong @ np.log(p) + (seen - wrong) @ np.log1p(-p))

    bounds, equation = [(1e-9, 1 - 1e-9)] * h, {"type": "eq", "fun": lambda p: factors @ p - value}
    solve = cast("Any", minimize)
    found = [
        solve(against, start, bounds=bounds, constraints=equation, method="SLSQP", options={"ftol": 1e-13})
        for start in rng.uniform(0.2, 0.8, (4, h))
    ]
    assert against(np.clip(ours, 1e-9, 1 - 1e-9)) <= min(one.fun for one in found if one.success) + 1e-5


@pytest.mark.parametrize(
    ("wrong", "seen", "size", "share"), [(7, 40, 100, 0.11), (1, 60, 5_000, 0.004), (3, 9, 12, 0.4)]
)
def test_one_stratum_is_the_hypergeometric_law(wrong: int, seen: int, size: int, share: float) -> None:
    """Mean, variance and skewness of the count are those that SciPy has."""
    right, law = round(share * size), cast("Any", hypergeom)
    mean, variance, skewness = (float(x) for x in law.stats(size, right, seen, moments="mvs"))
    expected = (wrong - mean) / variance**0.5 - skewness * (Z95**2 - 1) / 6
    ours = score_statistic(
        np.array([wrong]), np.array([seen]), np.array([size]), np.ones((1, 1)), np.array([right / size])
    )
    assert ours[0] == pytest.approx(expected, rel=1e-6)


def test_a_single_large_stratum_is_near_wilson() -> None:
    """But for the correction for skewness, which is zero at one half."""
    ours = rate_interval(np.array([500]), np.array([1_000]), np.array([10**9]))
    assert ours == pytest.approx(wilson(0.5, 1_000), abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_an_interval_holds_what_the_test_does_not_reject(seed: int) -> None:
    """On a fine grid of values, so that coverage may be simulated with the test alone."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(50, 3_000, 5)
    seen = np.minimum(rng.integers(5, 60, 5), sizes)
    wrong = rng.binomial(seen, rng.choice([0.01, 0.1, 0.5], 5))
    wrong[rng.integers(5)] += 1
    flags = np.arange(5) < 2
    grid = np.linspace(0.002, 0.998, 499)
    whole = np.tile(sizes / sizes.sum(), (499, 1))
    for found, factors, value in (
        (rate_interval(wrong, seen, sizes), whole, grid),
        (recall_interval(wrong, seen, sizes, flags), sizes * (flags - grid[:, None]), 0 * grid),
    ):
        statistic = score_statistic(wrong, seen, sizes, factors, value)
        above = (factors * wrong / seen).sum(1) - value
        held = ~(np.sign(above) * statistic > Z95)
        np.testing.assert_array_equal(held, (grid >= found.low) & (grid <= found.high))


def test_a_stratum_without_an_answer_may_hold_anything() -> None:
    """Its whole share is added to the interval."""
    sizes, seen, wrong = np.array([100, 400, 500]), np.array([20, 0, 30]), np.array([10, 0, 1])
    found = rate_interval(wrong, seen, sizes)
    none, all_ = (rate_interval(np.array([10, x, 1]), np.array([20, 400, 30]), sizes) for x in (0, 400))
    assert found.low == pytest.approx(none.low)
    assert found.high == pytest.approx(all_.high)
    flags = np.array([True, False, False])
    recall = recall_interval(wrong, seen, sizes, flags)
    assert recall.low < 50 / (50 + 400)
    assert recall.high > 0.9
    assert recall_interval(wrong, np.array([20, 0, 0]), sizes, flags)[1:] == (0, 1)
    assert rate_interval(0 * wrong, 0 * seen, sizes)[1:] == (0, 1)
