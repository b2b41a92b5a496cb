"""Wrong labels fitted at equal right labels fitted, against a loop over epochs and closed forms."""

import math

import numpy as np
import pytest

from noisybench import BadData, BadUsage
from noisybench.statistics.equal_fit import wrong_at_right


def by_loop(right: list[float], wrong: list[float], share: float) -> float:
    """The definition, epoch by epoch."""
    before: tuple[float, float] | None = None
    for r, w in zip(right, wrong, strict=True):
        if math.isnan(r) or math.isnan(w):
            continue
        if r == share:
            return w
        if r > share:
            if before is None:
                return math.nan
            gone = (share - before[0]) / (r - before[0])
            return (1 - gone) * before[1] + gone * w
        before = (r, w)
    return math.nan


def test_is_what_a_loop_over_epochs_gives() -> None:
    """On 300 random walks with ties, steps back, unknown epochs and shares that are met exactly, or never."""
    rng = np.random.default_rng(0)
    shares = np.round(np.linspace(0, 1, 11), 1)
    counts = {"known": 0, "unknown": 0}
    for _ in range(300):
        e = int(rng.integers(0, 12))
        right = np.clip(np.round(np.cumsum(rng.normal(0.1, 0.15, e)), int(rng.integers(1, 4))), 0, 1)
        wrong = np.round(rng.random(e), 3)
        right[rng.random(e) < 0.1] = np.nan
        wrong[rng.random(e) < 0.1] = np.nan
        found = wrong_at_right(right, wrong, shares.tolist())
        wanted = [by_loop(right.tolist(), wrong.tolist(), share) for share in shares.tolist()]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
        counts["known"] += int(np.isfinite(found).sum())
        counts["unknown"] += int(np.isnan(found).sum())
    assert min(counts.values()) > 500


def test_straight_lines_are_followed_and_later_epochs_play_no_part() -> None:
    """Where wrong = right / 2 all the way, so it is at every share; a fall and a second climb change nothing."""
    right = np.array([0.1, 0.4, 0.6, 0.95])
    shares = [0.1, 0.2, 0.5, 0.9, 0.95]
    np.testing.assert_allclose(wrong_at_right(right, right / 2, shares), np.array(shares) / 2)
    again = wrong_at_right([*right, 0.2, 0.99], [*right / 2, 0.0, 0.9], shares)
    np.testing.assert_allclose(again, np.array(shares) / 2)


def test_what_cannot_be_known_is_nan() -> None:
    """A share that is never reached, one that the first epoch is beyond, no epochs, and epochs of unknown truth."""
    found = wrong_at_right([0.5, 0.8], [0.1, 0.3], [0.49, 0.5, 0.81])
    assert np.isnan(found).tolist() == [True, False, True]
    assert np.isnan(wrong_at_right([], [], [0.5])).all()
    assert np.isnan(wrong_at_right([0.2, 0.9], [math.nan, math.nan], [0.5])).all()


def test_curves_of_other_epochs_and_shares_beyond_one_are_refused() -> None:
    """Each with one sentence that says what was given."""
    with pytest.raises(BadData, match=r"one value an epoch each, got shapes \(2,\) and \(1,\)"):
        wrong_at_right([0.1, 0.2], [0.1], [0.5])
    with pytest.raises(BadUsage, match="shares of right labels are from 0 to 1, got 90"):
        wrong_at_right([0.1, 0.2], [0.1, 0.2], [0.5, 90])
    with pytest.raises(BadUsage, match="got nan"):
        wrong_at_right([0.1], [0.1], [math.nan])
