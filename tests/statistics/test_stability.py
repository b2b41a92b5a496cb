"""Overlap of the top k between seeds, against sets and all tie-breaks, and false flags."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
from scipy.stats import binomtest

from noisybench.statistics.stability import false_flag_share, top_overlap


@pytest.mark.parametrize("k", [1, 7, 40, 99])
def test_overlap_is_that_of_sets(k: int) -> None:
    """Without ties the index is the mean over pairs of |A ∩ B| / |A ∪ B|, and Kuncheva's is its formula."""
    scores = np.random.default_rng(0).random((4, 100)) + np.linspace(0, 2, 100)
    tops = [set(np.argsort(-row)[:k].tolist()) for row in scores]
    pairs = list(combinations(tops, 2))
    assert top_overlap(scores, k) == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
    expected = np.mean([(len(a & b) * 100 - k * k) / (k * (100 - k)) for a, b in pairs])
    assert top_overlap(scores, k, corrected=True) == pytest.approx(expected)


def test_ties_count_at_their_expectation() -> None:
    """The number that both share is its mean over all 24 · 24 orders of breaking ties."""
    scores = np.array([[3.0, 1, 1, 1], [2.0, 2, 1, 0]])
    orders = list(permutations(range(4)))
    tops = [[set(np.lexsort(np.array([order, -row]))[:2].tolist()) for order in orders] for row in scores]
    shared = float(np.mean([len(a & b) for a, b in product(*tops)]))
    assert top_overlap(scores, 2) == pytest.approx(shared / (4 - shared))


def test_equal_is_one_and_unrelated_is_chance() -> None:
    """The same ranking overlaps whole; 200 unrelated ones and constants are at chance, which the correction puts at 0."""
    rng = np.random.default_rng(0)
    same = np.tile(rng.random(500), (3, 1))
    assert (top_overlap(same, 50), top_overlap(same, 50, corrected=True)) == (1, 1)
    assert top_overlap(rng.random((200, 500)), 50, corrected=True) == pytest.approx(0, abs=0.005)
    assert top_overlap(np.ones((2, 500)), 50, corrected=True) == pytest.approx(0, abs=1e-12)
    assert top_overlap(np.ones((2, 500)), 50) == pytest.approx(5 / 95)
    assert np.isnan(top_overlap(same[:1], 50))
    assert np.isnan(top_overlap(same, 500, corrected=True))


@pytest.mark.parametrize("k", [0, 11])
def test_a_top_beyond_the_samples_is_refused(k: int) -> None:
    """The number and its range are named."""
    with pytest.raises(ValueError, match=rf"k = {k}, expected one of 1 to 10"):
        top_overlap(np.ones((2, 10)), k)


def test_false_flags_are_of_right_labels() -> None:
    """The share is of labels known to be right, with SciPy's Wilson interval; nothing known is NaN."""
    flagged, right = np.arange(50) < 12, np.arange(50) >= 8
    expected = binomtest(4, 42).proportion_ci(method="wilson")
    assert false_flag_share(flagged, right) == pytest.approx((4 / 42, expected.low, expected.high))
    assert false_flag_share(flagged, np.ones(50, dtype=bool)).value == pytest.approx(0.24)
    assert np.isnan(false_flag_share(flagged, np.zeros(50, dtype=bool))).all()
