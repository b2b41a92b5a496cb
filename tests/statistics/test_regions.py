"""The four regions against loops over models."""

import numpy as np
import pytest

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import UnknownName
from noisybench.statistics.regions import (
    RULES,
    ModelPool,
    chance_of,
    gain_of_region,
    random_gains,
    regions_at,
    thresholds_of,
    upper_half,
)


def models(seed: int, count: int = 11) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(seed)
    return random.random(count).round(1), random.normal(size=count), random.random(count)


def in_a_loop(pool: ModelPool, rule: str) -> float:
    """The gain, model by model."""
    known = [
        k for k in range(len(pool.other_accuracy)) if np.isfinite(pool.other_accuracy[k] + pool.other_susceptibility[k])
    ]
    ends = []
    for values, part in zip((pool.other_accuracy[known], pool.other_susceptibility[known]), RULES[rule], strict=True):
        ends.append(np.mean(values) if part is None else np.quantile(values, part))
    first = [
        pool.test[k]
        for k in range(len(pool.test))
        if pool.accuracy[k] >= ends[0] and pool.susceptibility[k] <= ends[1] and np.isfinite(pool.test[k])
    ]
    ordered = sorted((a for a in pool.accuracy if np.isfinite(a)), reverse=True)
    least = ordered[(len(ordered) + 1) // 2 - 1]
    half = [pool.test[k] for k in range(len(pool.test)) if pool.accuracy[k] >= least and np.isfinite(pool.test[k])]
    return float(np.mean(first) - np.mean(half)) if first else float("nan")


@pytest.mark.parametrize("rule", RULES)
def test_gains_are_those_of_a_loop(rule: str) -> None:
    """With ties and unknown models, of pools one by one and stacked."""
    pools = []
    for seed in range(20):
        accuracy, zeta, test = models(seed)
        other_accuracy, other_zeta, _ = models(seed + 100)
        accuracy[seed % 11], other_zeta[(seed + 3) % 11], test[(seed + 5) % 11] = (np.nan,) * 3
        pools.append(ModelPool(accuracy, zeta, test, other_accuracy, other_zeta))
    expected = [in_a_loop(pool, rule) for pool in pools]
    np.testing.assert_allclose([gain_of_region(pool, rule) for pool in pools], expected)
    stacked = ModelPool(*(np.stack(parts) for parts in zip(*pools, strict=True)))
    np.testing.assert_allclose(gain_of_region(stacked, rule), expected)


def test_regions_meet_at_the_thresholds() -> None:
    """A model on a threshold is trainable, and resistant; the paper's rule is the mean."""
    accuracy, zeta = np.array([0.8, 0.8, 0.2, 0.2, np.nan]), np.array([1.0, 3.0, 1.0, 3.0, 1.0])
    at = thresholds_of(accuracy, zeta)
    assert [float(end) for end in at] == [pytest.approx(0.5), pytest.approx(2.0)]
    assert regions_at(accuracy, zeta, at).tolist() == [1, 2, 3, 4, 0]
    assert regions_at(np.array([0.5]), np.array([2.0]), (np.array(0.5), np.array(2.0))).tolist() == [1]
    with pytest.raises(UnknownName, match="rule of thresholds"):
        thresholds_of(accuracy, zeta, "mode")
    assert np.isnan(thresholds_of(np.full(3, np.nan), np.zeros(3))).all()


def test_the_upper_half() -> None:
    """Of five models three, ties with the last of them included, unknown ones never."""
    assert upper_half(np.array([0.1, 0.5, 0.3, 0.2, 0.4])).tolist() == [False, True, True, False, True]
    assert upper_half(np.array([0.1, 0.5, 0.5, 0.5, np.nan])).tolist() == [False, True, True, True, False]
    assert not upper_half(np.full(3, np.nan)).any()


def test_random_choices_are_of_the_upper_half() -> None:
    """As many as are in region 1, without return: the exact law of two out of four."""
    accuracy = np.array([0.9, 0.8, 0.7, 0.6, 0.1, 0.1, 0.1, 0.1])
    zeta = np.array([0.0, 0.0, 9, 9, 0, 0, 0, 0])
    test = np.array([8.0, 4, 2, 1, 0, 0, 0, 0])
    pool = ModelPool(accuracy, zeta, test, accuracy, zeta)
    drawn = random_gains(pool, "mean", np.random.default_rng(0).random((4000, 8)))
    pairs = [(test[a] + test[b]) / 2 - 3.75 for a in range(4) for b in range(a)]
    values, counts = np.unique(drawn.round(9), return_counts=True)
    np.testing.assert_allclose(values, sorted({round(one, 9) for one in pairs}))
    np.testing.assert_allclose(counts / 4000, 1 / 6, atol=0.025)
    assert chance_of(drawn, float(gain_of_region(pool))) == pytest.approx(2 / 6, abs=0.05)
    assert np.isnan(chance_of(drawn, float("nan")))
    empty = ModelPool(accuracy, zeta + 9, test, accuracy, zeta)
    assert np.isnan(random_gains(empty, "mean", np.zeros((3, 8)))).all()


def test_susceptibility_that_says_nothing_is_found_out() -> None:
    """Twelve equally accurate models: the chance is at most .05 in about 5 % of pools, and small where it says all."""
    random, chances = np.random.default_rng(3), []
    for trial in range(300):
        zeta, test = random.random((2, 12))
        zeta = zeta if trial else -test
        pool = ModelPool(np.ones(12), zeta, test, np.zeros(2), np.full(2, np.median(zeta)))
        chances.append(chance_of(random_gains(pool, "mean", random.random((400, 12))), float(gain_of_region(pool))))
    assert chances[0] < 0.01
    assert 0.02 <= (np.array(chances[1:]) <= 0.05).mean() <= 0.09
