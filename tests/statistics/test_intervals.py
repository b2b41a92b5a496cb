"""The interval of one AUROC: against a root finder and the published variance, and how often it holds the truth."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm, t

from noisybench.ground.arrays import Floats
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.intervals import Z95, auroc_ends, auroc_interval
from noisybench.statistics.ranking import rank

NO_CLASS = np.zeros(0, dtype=np.int64)


def hanley_mcneil(theta: float, wrong: float, right: float) -> float:
    """Newcombe's method 5: Hanley and McNeil's variance with the mean of both counts in place of either."""
    star = (wrong + right) / 2 - 1
    return theta * (1 - theta) * (1 + star * (1 - theta) / (2 - theta) + star * theta / (1 + theta)) / (wrong * right)


@pytest.mark.parametrize("further", [0.0, 4e-4])
@pytest.mark.parametrize("quantile", [Z95, 3.2])
@pytest.mark.parametrize(("wrong", "right"), [(1, 1), (1, 5000), (5, 100), (14, 300), (400, 30)])
@pytest.mark.parametrize(("value", "variance"), [(0.52, 0.0), (0.52, 9e-3), (0.9, 4e-4), (0.9, 4e-3), (0.999, 1e-5)])
def test_the_ends_solve_the_score_equation(
    value: float, variance: float, wrong: int, right: int, quantile: float, further: float
) -> None:
    """Each end is the root that a root finder gets of (value − θ)² = q² V(θ), for AUROCs of either direction."""
    student = t.ppf(norm.cdf(quantile), max(min(wrong, right) - 1, 1))

    def equation(theta: float) -> float:
        shape = theta * (1 - theta) / (value * (1 - value))
        larger = max(quantile**2 * hanley_mcneil(theta, wrong, right), student**2 * variance * shape)
        return float((value - theta) ** 2 - larger - quantile**2 * further * shape)

    found = auroc_interval(value, variance, wrong, right, further=further, quantile=quantile)
    ends = [brentq(equation, 0, value, xtol=1e-14), brentq(equation, value, 1, xtol=1e-14)]
    assert found == pytest.approx([value, *ends], abs=1e-8)
    turned = auroc_interval(1 - value, variance, wrong, right, further=further, quantile=quantile)
    assert turned == pytest.approx([1 - value, 1 - ends[1], 1 - ends[0]], abs=1e-8)


def test_complete_separation_has_a_width() -> None:
    """Where all are told apart, the other end is where method 5 just rejects; more samples bring it nearer."""
    lows = []
    for wrong, right in ((1, 1), (8, 100), (50, 1000)):
        scores = np.arange(float(wrong + right))
        value, low, high = auroc(rank(scores, scores >= right))
        assert (value, high) == (1, 1)
        assert (1 - low) ** 2 == pytest.approx(Z95**2 * hanley_mcneil(low, wrong, right))
        lows.append(low)
    assert 0 < lows[0] < lows[1] < lows[2] < 1
    assert auroc_interval(0.0, 0.0, 8, 100) == pytest.approx([0, 0, 1 - lows[1]])


def test_strata_share_their_variance() -> None:
    """Of the mean over equal strata each variance is a stratum's over their number; one stratum is no stratum."""
    assert auroc_interval(0.8, 0.004, np.array([20]), np.array([80])) == auroc_interval(0.8, 0.004, 20, 80)
    low = auroc_interval(0.8, 0.0, np.full(4, 20), np.full(4, 80)).low
    assert (0.8 - low) ** 2 == pytest.approx(Z95**2 * hanley_mcneil(low, 20, 80) / 4)


def delong(high: Floats, low: Floats) -> tuple[Floats, Floats]:
    """AUROCs of many draws and DeLong's variances, (r, m) and (r, n) → (r,), (r,), by midranks within each draw."""
    (r, m), n = high.shape, low.shape[1]
    shift = 1e4 * np.arange(r)[:, None]  # keeps the draws apart in one sorted array
    placed = []
    for values, others in ((high, low), (low, high)):
        ordered = (np.sort(others, axis=1) + shift).ravel()
        lower = np.searchsorted(ordered, (values + shift).ravel())
        upper = np.searchsorted(ordered, (values + shift).ravel(), "right")
        placed.append(((lower + upper) / 2).reshape(values.shape) / others.shape[1] - np.arange(r)[:, None])
    return placed[0].mean(1), placed[0].var(1, ddof=1) / m + placed[1].var(1, ddof=1) / n


def of_mixture(invisible: float, visible_area: float, digits: int | None) -> tuple[float, float]:
    """The shift of visible errors, and the true AUROC of the rounded scores, in closed form."""
    shift = float(norm.ppf(visible_area) * np.sqrt(2))
    if digits is None:
        return shift, invisible / 2 + (1 - invisible) * visible_area
    grid = np.arange(-8, 12, 10.0**-digits)
    half = 10.0**-digits / 2
    clean, moved = (norm.cdf(grid + half - by) - norm.cdf(grid - half - by) for by in (0, shift))
    wrong = invisible * clean + (1 - invisible) * moved
    return shift, float(wrong @ (np.cumsum(clean) - clean / 2))


@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize(("invisible", "visible_area"), [(0, 0.6), (0, 0.95), (0, 0.99), (0.1, 0.95), (0.4, 0.95)])
@pytest.mark.parametrize("wrong", [8, 14, 50])
def test_the_interval_covers(wrong: int, invisible: float, visible_area: float, digits: int | None) -> None:
    """In 2,000 draws the truth is held in 92 % and more, of few wrong labels, errors without a mark, and tied scores.

    The standard error of the share is at most 0.6 %; ``tests/benchmarks/auroc_intervals.py`` shows more laws and intervals.
    """
    rng = np.random.default_rng(0)
    shift, truth = of_mixture(invisible, visible_area, digits)
    high, low = rng.standard_normal((2000, wrong)), rng.standard_normal((2000, 200))
    high += shift * (rng.random(high.shape) >= invisible)
    if digits is not None:
        high, low = np.round(high, digits), np.round(low, digits)
    values, variances = delong(high, low)
    ends = auroc_ends(values, variances, wrong, 200)
    covered = float(np.mean((ends[0] <= truth) & (truth <= ends[1])))
    assert covered >= 0.92
    if visible_area < 0.9:
        assert covered <= 0.99


def test_many_at_once_are_each_alone() -> None:
    """The vectorised ends are those of one value at a time, and the vectorised DeLong of this test is the package's."""
    rng = np.random.default_rng(0)
    high, low = np.round(rng.normal(1, 1, (5, 9)), 1), np.round(rng.normal(0, 1, (5, 40)), 1)
    values, variances = delong(high, low)
    ends = auroc_ends(values, variances, 9, 40)
    for i in range(5):
        scores = np.concatenate([high[i], low[i]])
        expected = auroc(rank(scores, np.arange(49) < 9))
        assert (values[i], ends[0][i], ends[1][i]) == pytest.approx(expected, abs=1e-12)
