"""Posterior masses, tails and bounds against brute force in exact fractions and against simulation."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest

from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.harm import (
    corrected_loss_gap,
    fail_bound,
    fail_formula,
    failing,
    help_bound,
    helping,
    majority_wrong,
    mass_lower_bound,
    posterior_mass,
)

TIMES = range(1, 41)
RATES = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5]
PRIORS = {
    "equal": np.full(50, 1 / 50),
    "zipf": (1 / np.arange(1, 201)) / (1 / np.arange(1, 201)).sum(),
    "spectrum": np.repeat([1, 2, 4, 8, 16, 32], 5) / (63 * 5),
}


def tail(times: int, rate: Fraction, least: Fraction) -> Fraction:
    """P[Bin(l, e) ≥ least]."""
    return sum(
        (
            comb(times, wrong) * rate**wrong * (1 - rate) ** (times - wrong)
            for wrong in range(times + 1)
            if wrong >= least
        ),
        Fraction(0),
    )


def test_posterior_mass_equals_exact_fractions() -> None:
    """The ratio of its definition, in fractions, also where the powers leave the range of floats."""
    masses = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 8), Fraction(1, 8)]
    for n, copies in ((5, [0, 1, 3, 5]), (2_000, [1, 250, 900, 2_000])):
        for times, found in zip(copies, posterior_mass(np.array(masses, dtype=float), n, copies), strict=True):
            weights = [a**times * (1 - a) ** (n - times) for a in masses]
            exact = sum(w * a for w, a in zip(weights, masses, strict=True)) / sum(weights)
            assert found == pytest.approx(float(exact), rel=1e-9)


def test_posterior_mass_sums_to_what_was_drawn() -> None:
    """Averaged over how often an instance occurs, τ is its mean mass: by the law of total expectation."""
    for masses in PRIORS.values():
        n = 60
        occurs = [float(np.mean([comb(n, times) * a**times * (1 - a) ** (n - times) for a in masses])) for times in range(n + 1)]  # fmt: skip
        assert posterior_mass(masses, n, range(n + 1)) @ occurs == pytest.approx(1 / len(masses))


def test_equal_masses_have_no_slope_and_l_squared_is_no_prediction() -> None:
    """Of equal masses τ is 1/N at every l; of others it rises by less than l², and stays above the bound without constant."""
    assert posterior_mass(PRIORS["equal"], 100, [1, 5, 30]) == pytest.approx(1 / 50)
    times = np.array([2, 4, 8, 16, 32])
    for masses in PRIORS.values():
        found = posterior_mass(masses, 300, times)
        slopes = np.diff(np.log(found)) / np.diff(np.log(times))
        assert ((slopes > -0.01) & (slopes < 1.6)).all()
        assert (mass_lower_bound(masses, 300, times) < found).all()


@pytest.mark.parametrize("rate", RATES)
def test_tails_equal_sums_of_fractions(rate: float) -> None:
    exact = Fraction(rate)
    for times, majority, fails, helps in zip(
        TIMES, majority_wrong(TIMES, rate), failing(TIMES, rate), helping(TIMES, rate), strict=True
    ):
        more, ties = tail(times, exact, Fraction(times + 1, 2)), tail(times, exact, Fraction(times, 2))
        assert majority == pytest.approx(float((more + ties) / 2), abs=1e-12)
        assert fails == pytest.approx(float(ties), abs=1e-12)
        assert helps == pytest.approx(float(1 - ties), abs=1e-12)


def test_majority_of_brute_force() -> None:
    """Every sequence of five labels."""
    sequences = [(sum(each), 0.4 ** sum(each) * 0.6 ** (5 - sum(each))) for each in product((0, 1), repeat=5)]
    assert majority_wrong([5], 0.4)[0] == pytest.approx(sum(p for wrong, p in sequences if wrong > 2))
    assert majority_wrong([1, 3, 5, 9, 17, 33], 0.4).round(3).tolist() == [0.4, 0.352, 0.317, 0.267, 0.199, 0.121]


@pytest.mark.parametrize("rate", RATES)
def test_bounds_hold(rate: float) -> None:
    """That of helping at every l, that of failing at every even l."""
    assert (helping(TIMES, rate) >= help_bound(TIMES, rate) - 1e-12).all()
    bound = fail_bound(TIMES, rate)
    assert np.isnan(bound[::2]).all()
    assert (failing(TIMES, rate)[1::2] >= bound[1::2] - 1e-12).all()


def test_the_formula_of_failing_is_no_bound_at_odd_l() -> None:
    assert fail_formula([1], 0.4)[0] == pytest.approx(0.693, abs=5e-4)
    assert failing([1], 0.4)[0] == pytest.approx(0.4)
    divergence = 0.5 * np.log(0.5 / 0.4) + 0.5 * np.log(0.5 / 0.6)
    assert fail_formula([6], 0.4)[0] == pytest.approx(np.exp(-6 * divergence) / np.sqrt(12))


@pytest.mark.parametrize(("rate", "k"), [(0.2, 2), (0.4, 2), (0.4, 10)])
def test_corrected_loss_of_a_memorizer_by_simulation(rate: float, k: int) -> None:
    """The corrected loss of the labels themselves against that of fresh ones, which is the rate of wrong answers."""
    rng = np.random.default_rng(0)
    matrix = np.full((k, k), rate / (k - 1))
    np.fill_diagonal(matrix, 1 - rate)
    times = [1, 2, 5]
    for copies, gap in zip(times, corrected_loss_gap(times, rate, k), strict=True):
        own, fresh = (rng.multinomial(copies, matrix[0], size=40_000) / copies for _ in range(2))
        by_own, by_fresh = (1 - (np.linalg.solve(matrix.T, shares.T).T * own).sum(1) for shares in (own, fresh))
        error = np.hypot(by_own.std(), by_fresh.std()) / np.sqrt(40_000)
        assert by_fresh.mean() == pytest.approx(rate, abs=4 * error)
        assert by_fresh.mean() - by_own.mean() == pytest.approx(gap, abs=4 * error)
        assert gap > 20 * error


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(BadData, match="whose sum is 1, got the sum 2"):
        posterior_mass(np.ones(2), 3, [1])
    with pytest.raises(BadUsage, match="copies must lie in 0..3, the number of samples, got 4"):
        posterior_mass(np.array([1.0]), 3, [4])
    with pytest.raises(BadData, match="no instance of these masses can occur 2 times among 3 samples"):
        posterior_mass(np.array([1.0]), 3, [2])
    with pytest.raises(BadUsage, match="copies must be at least 1, got 0"):
        majority_wrong([0], 0.2)
    with pytest.raises(BadUsage, match="rate must be below 0.5, where labels of 2 classes say nothing, got 0.5"):
        corrected_loss_gap([1], 0.5, 2)
