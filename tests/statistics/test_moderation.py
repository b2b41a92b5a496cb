"""Moderated t: the moments of its paper, its limits, and how often it names a false difference."""

import numpy as np
import pytest
from scipy.special import polygamma, psi
from scipy.stats import chi2

from noisybench.ground.arrays import Floats
from noisybench.statistics.moderation import moderated_rank_sets, one_ranking, squeeze


def test_the_prior_is_found_again() -> None:
    """Variances drawn from Smyth's law, 4 degrees of freedom towards .3 with 7, give the law back, and its mean squares."""
    rng = np.random.default_rng(0)
    true = 0.3 * 7 / chi2.rvs(7, size=40_000, random_state=rng)
    drawn = true * chi2.rvs(4, size=40_000, random_state=rng) / 4
    found = squeeze(drawn, 4)
    assert found.prior == pytest.approx(0.3, rel=0.03)
    assert found.prior_freedom == pytest.approx(7, rel=0.06)
    assert found.freedom == found.prior_freedom + 4
    np.testing.assert_allclose(found.variances, (found.prior_freedom * found.prior + 4 * drawn) / found.freedom)
    logs = np.log(drawn)
    assert logs.mean() == pytest.approx(
        np.log(found.prior) + psi(2) - np.log(2) - psi(found.prior_freedom / 2) + np.log(found.prior_freedom / 2)
    )
    assert logs.var(ddof=1) == pytest.approx(polygamma(1, 2) + polygamma(1, found.prior_freedom / 2))


def test_equal_variances_become_one_and_two_stay() -> None:
    """Variances that differ no more than chance lets them are one with infinite freedom; two borrow nothing."""
    found = squeeze(np.array([1.0, 1.01, 0.99, 1.0]), 4)
    assert np.isinf(found.freedom)
    assert np.ptp(found.variances) == 0
    few = squeeze(np.array([1.0, 5.0]), 4)
    assert (few.variances.tolist(), few.freedom) == ([1.0, 5.0], 4)


def test_one_ranking_under_two_names_stands_once() -> None:
    """Rows of the same AUROC in every draw share their ranks and say nothing of how differences vary."""
    rng = np.random.default_rng(0)
    areas = 0.8 + 0.02 * rng.standard_normal((3, 4)) + np.array([[0], [0.01], [0.1]])
    doubled = np.vstack([areas, areas[:2]])
    assert one_ranking(doubled).tolist() == [0, 1, 2, 0, 1]
    alone, both = moderated_rank_sets(areas), moderated_rank_sets(doubled)
    assert both[0] == both[3]
    assert both[1] == both[4]
    assert [high for _, _, high in alone] == [3, 3, 1]
    assert [high for _, _, high in both] == [5, 5, 1, 5, 5]
    assert moderated_rank_sets(np.tile(areas[:1], (2, 1))) == [(1, 1, 2), (1, 1, 2)]
    assert [row[1:] for row in moderated_rank_sets(areas[:, :1])] == [(1, 3)] * 3
    assert moderated_rank_sets(np.array([[1.0, 1.0, 1.0], [0.5, 0.6, 0.5], [0.1, 0.0, 0.1]]))[0][0] == 1


def boards(rng: np.random.Generator, p: int, u: int) -> Floats:
    """AUROCs of 250 boards of equal detectors, (250, p, u): draws that all share, variances up to sixteen times each other."""
    own = 0.05 + 0.15 * rng.random((250, p, 1))
    logits = 2 + 0.3 * rng.standard_normal((250, 1, u)) + own * rng.standard_normal((250, p, u))
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)


@pytest.mark.parametrize(("p", "u"), [(4, 3), (11, 3), (11, 5)])
def test_equal_detectors_are_seldom_told_apart(p: int, u: int) -> None:
    """A false difference stands on 5 % of the boards, within three standard errors (4.1 %), with three draws too."""
    areas = boards(np.random.default_rng(0), p, u)
    false = np.mean([any(low > 1 or high < p for _, low, high in moderated_rank_sets(board)) for board in areas])
    assert false <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(areas))
