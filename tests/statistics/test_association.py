"""Correlations over settings, against SciPy, a regression of ranks, and simulations of their intervals."""

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadUsage
from noisybench.statistics.association import associate, linear, partial_ranked, ranked


def three(seed: int, units: int = 15) -> tuple[Floats, Floats, Floats]:
    """Three quantities that go together, with ties."""
    random = np.random.default_rng(seed)
    common = random.normal(size=units)
    x, y, z = (np.round(common + random.normal(size=units), 1) for _ in range(3))
    return x, y, z


@pytest.mark.parametrize("seed", range(4))
def test_correlations_are_scipys(seed: int) -> None:
    """With ties; of a stack of units each row is its own."""
    x, y, _ = three(seed)
    assert ranked(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    assert linear(x, y) == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)
    stack = np.stack([x, y, -x])
    np.testing.assert_allclose(ranked(stack, np.stack([y, y, x])), [float(ranked(x, y)), 1.0, -1.0], atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_partial_correlation_is_that_of_what_a_regression_leaves(seed: int) -> None:
    """Both are fitted by a line on the ranks of the third; what is left of them is correlated."""
    x, y, z = three(seed)
    design = np.stack([np.ones(len(z)), rankdata(z)], axis=1)
    left = [rankdata(one) - design @ np.linalg.lstsq(design, rankdata(one), rcond=None)[0] for one in (x, y)]
    assert partial_ranked(x, y, z) == pytest.approx(pearsonr(*left).statistic, abs=1e-10)


def test_what_does_not_vary_has_no_correlation() -> None:
    """NaN and not 0; a third that does not vary explains nothing."""
    x, y, _ = three(0)
    constant = np.full(len(x), 0.1)
    assert np.isnan(ranked(x, constant))
    assert np.isnan(linear(constant, y))
    assert partial_ranked(x, y, constant) == pytest.approx(float(ranked(x, y)))
    assert np.isnan(partial_ranked(x, y, x)), "nothing is left of x given x"
    found = associate(ranked, x, constant)
    assert np.isnan([found.value, found.low, found.high, found.p]).all()
    assert np.isnan(associate(ranked, x[:3], y[:3]).value), "three units say nothing"


def test_strata_are_correlated_within() -> None:
    """Two strata whose levels differ: the correlation within is that of each, weighted by units; a small one is left out."""
    x = np.array([1.0, 2, 3, 4, 11, 12, 13, 14, 15, 50, 51])
    y = np.array([4.0, 3, 2, 1, 14, 13, 12, 11, 15, 90, 91])
    strata = [0.1] * 4 + [0.2] * 5 + [0.3] * 2
    found = associate(ranked, x, y, strata=strata)
    assert found.value == pytest.approx((4 * -1 + 5 * spearmanr(x[4:9], y[4:9]).statistic) / 9)
    assert found.units == 9
    assert associate(ranked, x, y).value > 0.8, "without strata the levels decide"


def test_several_sets_are_averaged_and_redrawn_together() -> None:
    """The mean of the correlations within each; a unit that is unknown in one is left out of all."""
    x, y, z = three(1)
    found = associate(ranked, np.stack([x, z]), np.stack([y, y]))
    assert found.value == pytest.approx(float(ranked(x, y) + ranked(z, y)) / 2)
    same = associate(ranked, np.stack([x, x]), np.stack([y, y]))
    alone = associate(ranked, x, y)
    assert same == alone, "a set twice tells no more than once"
    x[0] = np.nan
    assert associate(ranked, np.stack([x, z]), np.stack([y, y])).units == len(x) - 1
    with pytest.raises(BadUsage, match="a number for each unit"):
        associate(ranked, x, y[1:])


def test_intervals_cover_the_truth_and_p_values_hold_their_level() -> None:
    """24 units, correlations of 0 and of about .7: the truth is in 87 % of intervals and more, and p <= .05 in 1 to 12 %."""
    random, trials = np.random.default_rng(0), 100
    inside, rejected = np.zeros(2), 0
    for _ in range(trials):
        common = random.normal(size=24)
        for case, (loading, truth) in enumerate(((0.0, 0.0), (np.sqrt(0.7 / 0.3), 6 / np.pi * np.arcsin(0.35)))):
            x, y = (loading * common + random.normal(size=24) for _ in range(2))
            found = associate(ranked, x, y)
            inside[case] += found.low <= truth <= found.high
            rejected += case == 0 and found.p <= 0.05
    assert (inside / trials > 0.87).all(), inside / trials
    assert 0.01 <= rejected / trials <= 0.12
