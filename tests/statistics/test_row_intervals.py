"""Intervals of means, against Student's, Newcombe's and Wilson's, and by coverage near 1."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t
from simulated_boards import Design, drawn_board

from noisybench.ground.arrays import Bools
from noisybench.statistics.crossed import SampleParts, VariancePart, variance_parts
from noisybench.statistics.intervals import auroc_interval, auroc_law, wilson
from noisybench.statistics.row_intervals import LAWS, row_intervals


def samples(variance: float, wrong: float, right: float, freedom: float = 1e9) -> SampleParts:
    """One row of one label column."""
    return SampleParts(
        np.array([[variance]]), np.zeros((1, 1)), freedom, np.ones(1), np.array([wrong]), np.array([right])
    )


def part(of: SampleParts) -> VariancePart:
    return VariancePart("samples", of.measured, of.elsewhere, of.freedom)


def test_without_a_law_it_is_students() -> None:
    """The mean ± t times the standard error, within the bounds."""
    seeds = VariancePart("seeds", np.diag([0.01, 0.0001]), np.zeros((2, 2)), 4.0)
    wide, narrow = row_intervals(np.array([0.9, 0.5]), [seeds], None, None, (0.0, 1.0))
    reach = t.ppf(0.975, 4)
    assert wide == pytest.approx((0.9 - reach * 0.1, 1.0))
    assert narrow == pytest.approx((0.5 - reach * 0.01, 0.5 + reach * 0.01))
    assert row_intervals(np.array([0.9, 0.5]), [seeds], None, None, (-np.inf, np.inf))[0] == pytest.approx(
        (0.9 - reach * 0.1, 0.9 + reach * 0.1)
    )


@pytest.mark.parametrize("value", [0.7, 0.97, 1.0])
def test_where_samples_show_no_spread_it_is_newcombes(value: float) -> None:
    """The ends solve (value − θ)² = z² V(θ) of Newcombe's method 5, found by SciPy; a perfect AUROC ends at 1."""
    of = samples(0.0, 14.0, 300.0)
    low, high = row_intervals(np.array([value]), [part(of)], of, auroc_law, (0.0, 1.0))[0]

    def gap(end: float) -> float:
        count = (14 + 300) / 2 - 1
        spread = 1 + count * (1 - end) / (2 - end) + count * end / (1 + end)
        return abs(value - end) - 1.959964 * float(np.sqrt(end * (1 - end) * spread / (14 * 300)))

    assert low == pytest.approx(brentq(gap, 1e-9, value - 1e-9 if value < 1 else 0.999), abs=1e-5)
    assert high == (1.0 if value == 1 else pytest.approx(brentq(gap, value + 1e-9, 1 - 1e-12), abs=1e-5))


def test_a_share_is_wilsons() -> None:
    """The false-negative rate of m wrong labels has Wilson's interval where samples show less."""
    of = samples(0.0, 40.0, 160.0)
    found = row_intervals(np.array([0.25]), [part(of)], of, LAWS["false_negative_rate"], (0.0, 1.0))[0]
    assert found == pytest.approx(wilson(0.25, 40)[1:], abs=1e-5)


@pytest.mark.parametrize(("value", "variance"), [(0.95, 0.0016), (0.7, 0.004), (0.99, 0.00001)])
def test_a_row_of_one_run_holds_the_interval_of_the_run(value: float, variance: float) -> None:
    """The lower end is that of the AUROC's own interval, which is drawn out towards one half; the upper one no lower."""
    of = samples(variance, 14.0, 300.0, freedom=13.0)
    low, high = row_intervals(np.array([value]), [part(of)], of, auroc_law, (0.0, 1.0))[0]
    own = auroc_interval(value, variance, 14, 300)
    assert low == pytest.approx(own.low, abs=1e-6)
    assert high >= own.high - 1e-9


def test_seeds_come_beside_the_law() -> None:
    """What seeds add is added to the law, and more than the law is taken as it was measured."""
    of = samples(0.02, 40.0, 160.0)
    seeds = VariancePart("seeds", np.array([[0.01]]), np.zeros((1, 1)), 1e9)
    low, high = row_intervals(np.array([0.5]), [part(of), seeds], of, auroc_law, (0.0, 1.0))[0]
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.03**0.5, 0.5 + 1.96 * 0.03**0.5), abs=1e-4)
    none = samples(0.0, 40.0, 160.0)
    alone = row_intervals(np.array([0.9]), [part(none)], none, auroc_law, (0.0, 1.0))[0]
    beside = row_intervals(np.array([0.9]), [part(none), seeds], none, auroc_law, (0.0, 1.0))[0]
    assert beside[0] < alone[0]
    assert beside[1] == 1.0


@pytest.mark.parametrize("visible", [1.0, 0.6])
def test_intervals_cover_with_few_wrong_labels(visible: float) -> None:
    """With 14 wrong labels the interval of a mean of three seeds holds the truth in 91 % or more of 80 × 4 rows."""
    design = Design((2.5,) * 4, wrong=14, right=150, visible=visible, common=0.3, own=0.9)
    rng = np.random.default_rng(2)
    held: list[Bools] = []
    for _ in range(80):
        rows, of = drawn_board(design, rng)
        means = np.array([np.mean([np.mean([*seeds.values()]) for seeds in row.values()]) for row in rows])
        ends = np.array(row_intervals(means, variance_parts(rows, of), of, auroc_law, (0.0, 1.0)))
        held.append((ends[:, 0] <= design.truth) & (design.truth <= ends[:, 1]))
    assert np.mean(held) >= 0.91
