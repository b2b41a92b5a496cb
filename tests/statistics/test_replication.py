"""Hypotheses tested together, against a step-down written out and simulations."""

import numpy as np
import pytest
from scipy.stats import norm

from noisybench.ground.errors import BadUsage
from noisybench.statistics.replication import holm, prediction_interval, share_beyond, two_sided_p


def test_holm_rejects_what_the_step_down_rejects() -> None:
    """Reference: Holm's procedure written out, at many levels."""
    drawn = np.random.default_rng(0)
    for _ in range(20):
        p = drawn.random(drawn.integers(1, 9)) ** 3
        adjusted = holm(p)
        for level in (0.01, 0.05, 0.2, 0.7):
            rejected = np.zeros(len(p), dtype=bool)
            for step, one in enumerate(np.argsort(p)):
                if p[one] > level / (len(p) - step):
                    break
                rejected[one] = True
            assert np.array_equal(adjusted <= level, rejected)
    assert holm([]).shape == (0,)
    with pytest.raises(BadUsage, match="from 0 to 1"):
        holm([0.5, 1.2])


def test_p_values_are_those_of_the_normal_interval() -> None:
    """Reference: the normal law."""
    value, error = 0.3, 0.1
    low, high = norm.interval(0.95, value, error)
    assert two_sided_p(value, low, high) == pytest.approx(2 * norm.sf(3))
    assert two_sided_p(value, low, high, null=low) == pytest.approx(0.05)
    assert two_sided_p(value, low, high, null=0.5) == pytest.approx(2 * norm.sf(2))
    assert np.isnan(two_sided_p(0.3, np.nan, np.nan))


def test_shares_beyond_are_never_zero_and_both_sides_count() -> None:
    assert share_beyond(np.arange(1.0, 1000.0)) == pytest.approx(2 / 1000)
    assert share_beyond([-1.0, 1.0, float("nan")]) == 1.0
    assert share_beyond(-np.arange(1.0, 40.0)) == pytest.approx(2 / 40)


def test_prediction_intervals_hold_what_second_studies_find() -> None:
    """Reference: simulated pairs of studies of one correlation."""
    drawn = np.random.default_rng(1)
    held, pairs, truth, n, m = 0, 600, 0.5, 60, 25

    def correlation(size: int) -> float:
        x = drawn.standard_normal(size)
        y = truth * x + (1 - truth**2) ** 0.5 * drawn.standard_normal(size)
        return float(np.corrcoef(x, y)[0, 1])

    for _ in range(pairs):
        first, second = correlation(n), correlation(m)
        reach = 1.959964 / (m - 3) ** 0.5
        low, high = prediction_interval(first, n, *np.tanh(np.arctanh(second) + np.array([-reach, reach])))
        held += low < second < high
    assert held / pairs == pytest.approx(0.95, abs=0.03)
    exact = np.tanh(np.arctanh(0.5) + np.array([-1, 1]) * 1.959964 / 5)
    assert np.allclose(prediction_interval(0.5, 28, 0.2, 0.2), exact, atol=1e-6)
    assert np.isnan(prediction_interval(0.5, 3, 0.1, 0.2)).all()
    assert np.isnan(prediction_interval(1.0, 30, 0.1, 0.2)).all()
    assert np.isnan(prediction_interval(0.5, 30, float("nan"), 0.2)).all()
