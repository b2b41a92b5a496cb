"""Comparisons in pairs, against loops, closed forms and simulation."""

import numpy as np
import pytest
from scipy.stats import norm, t

from noisybench.statistics.comparisons import (
    Comparison,
    compare,
    equivalent_to,
    rank_sets,
    resolution_floor,
    surely_worse,
)
from noisybench.statistics.crossed import VariancePart


def compared(means: list[float], error: float, freedom: float = 20.0) -> Comparison:
    """Every pair with the same error."""
    gain = np.array(means)[:, None] - np.array(means)
    return Comparison(gain, np.full_like(gain, error), np.full_like(gain, freedom))


def test_the_error_is_shared_by_holm_in_a_loop() -> None:
    """Sure pairs are those of Holm's method over all ordered pairs, step by step."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        found = compared(rng.normal(size=6).tolist(), 0.3)
        chances = sorted((t.sf(found.gain[i, j] / 0.3, 20), i, j) for i in range(6) for j in range(6) if i != j)
        sure = set()
        for step, (chance, i, j) in enumerate(chances):
            if chance > 0.05 / (30 - step):
                break
            sure.add((i, j))
        for k, (rank, low, high) in enumerate(rank_sets(found)):
            assert low == 1 + sum(j == k for _, j in sure)
            assert high == 6 - sum(i == k for i, _ in sure)
            assert rank == 1 + (found.gain[k] < 0).sum()


def test_ranks_without_a_known_error_are_open() -> None:
    """Nothing known rules out no rank; equal means share one; a lone or no row is no error."""
    means = np.array([0.9, 0.8, 0.9])
    assert rank_sets(compare(means, [], higher_is_better=True)) == [(1, 1, 3), (3, 1, 3), (1, 1, 3)]
    assert rank_sets(compare(means[:1], [], higher_is_better=True)) == [(1, 1, 1)]
    assert rank_sets(compare(means[:0], [], higher_is_better=True)) == []
    assert not surely_worse(compare(means, [], higher_is_better=True)).any()
    assert np.isnan(resolution_floor(compare(means, [], higher_is_better=True)))


def test_a_difference_that_never_varied_is_not_sure() -> None:
    """Two rows that move alike have no measured spread, so neither is surely better, and they are not called equivalent."""
    part = VariancePart("draws", np.full((2, 2), 0.01), np.zeros((2, 2)), 1.0)
    found = compare(np.array([0.5, 0.505]), [part], higher_is_better=True)
    assert rank_sets(found) == [(2, 1, 2), (1, 1, 2)]
    assert not equivalent_to(1, found)[0]
    three = VariancePart("draws", np.full((3, 3), 0.01), np.zeros((3, 3)), 1.0)
    twins = compare(np.array([0.5, 0.5, 0.505]), [three], higher_is_better=True)
    assert equivalent_to(0, twins).tolist() == [True, True, False]  # one ranking under two names
    assert rank_sets(twins) == [(2, 1, 3), (2, 1, 3), (1, 1, 3)]
    assert np.isnan(resolution_floor(twins))
    still = compare(np.array([1.0, 1.0]), [part._replace(measured=np.zeros((2, 2)))], higher_is_better=True)
    assert not equivalent_to(0, still)[1]  # two that tell all apart here need not elsewhere
    unknown = compare(
        np.array([0.5, 0.9]),
        [part._replace(measured=np.eye(2) * 1e-6)],
        higher_is_better=True,
        unknown=np.array([True, False]),
    )
    assert rank_sets(unknown) == [(2, 1, 2), (1, 1, 2)]


def test_rows_that_are_not_surely_worse_hold_the_best() -> None:
    """In 400 boards the best row is lost in at most 5 % (+ 2.2), and more rows are told than by the sets of ranks."""
    rng = np.random.default_rng(1)
    truth = np.linspace(0, 1, 8)
    truth[-2:] = 1, 1.02
    lost, worse, ranked = 0, 0, 0
    for _ in range(400):
        means = truth + rng.normal(0, 0.2, 8)
        found = compared(means.tolist(), 0.2 * 2**0.5, 1e6)
        told = surely_worse(found)
        lost += told[-1]
        worse += told.sum()
        ranked += sum(low > 1 for _, low, _ in rank_sets(found))
        assert all(told[i] for i, (_, low, _) in enumerate(rank_sets(found)) if low > 1)
    assert lost / 400 <= 0.072
    assert worse > 1.1 * ranked


def test_equivalence_is_an_interval_within_delta() -> None:
    """The 90 % interval lies within ± .01: not the difference, and not the lack of a sure one."""
    assert equivalent_to(0, compared([0.9, 0.899, 0.88], 0.001)).tolist() == [True, True, False]
    assert equivalent_to(0, compared([0.9, 0.899], 0.02)).tolist() == [False, False]
    edge = 0.01 - t.ppf(0.95, 20) * 0.001
    assert equivalent_to(0, compared([0.9, 0.9 - edge + 1e-6], 0.001))[1]
    assert not equivalent_to(0, compared([0.9, 0.9 - edge - 1e-6], 0.001))[1]


def test_the_floor_is_told_with_the_power_it_says() -> None:
    """A true difference of the floor is told by Bonferroni's t in 80 % of cases, by simulation and by formula."""
    found = compared([0.5, 0.6, 0.7, 0.8], 0.01, 1e6)
    floor = resolution_floor(found)
    assert floor == pytest.approx((norm.ppf(1 - 0.025 / 6) + norm.ppf(0.8)) * 0.01, rel=1e-4)
    gains = floor + np.random.default_rng(0).normal(0, 0.01, 20000)
    assert (gains > norm.ppf(1 - 0.025 / 6) * 0.01).mean() == pytest.approx(0.8, abs=0.01)
