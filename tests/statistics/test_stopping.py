"""Rules of stopping against brute-force loops, and the bounds and slopes behind them against direct computations."""

import numpy as np
import pytest

from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.stopping import (
    Stop,
    changed_predictions,
    highest,
    label_wave,
    lowest,
    moving_mean,
    perturbation_score,
    ratt_bound,
    regret,
    trainable_and_resistant,
)


def predictions_of(changes: list[int], n: int = 40) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Predictions of which so many change at each epoch after the first."""
    rows = [np.zeros(n, dtype=np.int64)]
    for count in changes:
        rows.append(rows[-1].copy())
        rows[-1][:count] += 1
    return np.stack(rows)


def label_wave_by_hand(changes: list[int], window: int, patience: int) -> Stop:
    """The definition, epoch by epoch, in whole numbers: sums of a window in place of means."""
    last = len(changes) + 1
    sums = {t: sum(changes[t - 1 - window : t - 1]) for t in range(window + 1, last + 1)}
    for t in range(window + 2, last + 1 - patience):
        if sums[t - 1] >= sums[t] and all(sums[t] < sums[t + j] for j in range(1, patience + 1)):
            return Stop(t)
    return Stop(last, found=False)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("patience", [1, 4])
def test_label_wave_is_the_first_local_minimum(window: int, patience: int) -> None:
    """Of random curves, as a loop finds it; some have none."""
    generator = np.random.default_rng(window * 10 + patience)
    found = set()
    for _ in range(200):
        changes = generator.integers(0, 40, size=generator.integers(1, 14)).tolist()
        stop = label_wave(predictions_of(changes), window=window, patience=patience)
        assert stop == label_wave_by_hand(changes, window, patience), changes
        found.add(stop.found)
    assert found == {True, False}


@pytest.mark.parametrize(
    ("changes", "epoch", "found"),
    [
        ([30, 20, 10, 8, 6, 4, 9, 20, 1], 7, True),  # averages 20, 12.7, 8, 6, 6.3, 11, 10 from epoch 4 on
        ([30, 20, 20, 20, 20, 20, 26], 7, True),  # of a plateau the last
        ([9, 8, 7, 6, 5, 4], 7, False),
        ([1, 2, 3, 4, 5, 6], 7, False),  # the first value has none before it
        ([5], 2, False),
    ],
)
def test_label_wave_of_curves_that_are_known(changes: list[int], epoch: int, found: bool) -> None:  # noqa: FBT001
    assert label_wave(predictions_of(changes)) == Stop(epoch, found=found)


def test_changes_are_counted_and_averaged() -> None:
    """The first epoch has none before it."""
    predictions = np.array([[0, 1, 2], [0, 2, 2], [1, 1, 2], [1, 1, 2]])
    np.testing.assert_array_equal(changed_predictions(predictions), [np.nan, 1, 2, 0])
    np.testing.assert_allclose(moving_mean(changed_predictions(predictions), 3), [np.nan, np.nan, np.nan, 1])


def test_extremes_are_the_first_of_several() -> None:
    """NaN is no value, and a curve of nothing names no epoch."""
    assert lowest([3.0, np.nan, 1.0, 1.0]) == Stop(3)
    assert highest([0.2, 0.9, 0.9]) == Stop(2)
    assert highest([np.nan, np.nan]) == Stop(None, found=False)
    assert regret([0.5, 0.9, 0.7], 3) == pytest.approx(0.2)
    assert np.isnan([regret([0.5, 0.9], None), regret([np.nan, np.nan], 1)]).all()


def test_the_region_is_that_of_means_over_the_epochs() -> None:
    """Of the epochs at or above the mean accuracy and at or below the mean susceptibility, the most accurate."""
    generator = np.random.default_rng(0)
    none = 0
    for _ in range(300):
        e = int(generator.integers(1, 9))
        accuracy, drops = generator.random(e).round(1), generator.random(e).round(1)
        a, z = sum(accuracy) / e, sum(drops) / e
        region = [t for t in range(e) if accuracy[t] >= a - 1e-12 and drops[t] <= z + 1e-12]
        best = max(region, key=lambda t: (accuracy[t], -t), default=None)
        if any(abs(x - m) < 1e-9 for x, m in [*((x, a) for x in accuracy), *((x, z) for x in drops)]):
            continue  # a tie with a mean is decided by its last bit
        assert trainable_and_resistant(accuracy, drops).epoch == (None if best is None else best + 1)
        none += best is None
    assert none
    assert trainable_and_resistant([0.5, 0.9], [0.1, np.nan]) == Stop(1)
    assert trainable_and_resistant([0.5], [np.nan]) == Stop(None, found=False)


def test_the_bound_of_ratt_holds_for_a_memorizer() -> None:
    """Direct computation: predictions that are right with a known share, and fit random labels with another.

    A model that errs on a share e of clean samples and follows the rest of its labels: on random labels a classifier that
    ignores them errs (K − 1)/K, so the bound is E_S exactly; each random label that is fitted adds to it.
    """
    generator = np.random.default_rng(0)
    k, n, m = 4, 3000, 200_000
    truth, random = generator.integers(k, size=m), generator.integers(k, size=m)
    for memorized in (0.0, 0.3):
        fits = generator.random(m) < memorized
        error_random = np.mean(np.where(fits, random, truth) != random)
        bound = ratt_bound([0.1], [error_random], k)[0]
        by_hand = 0.1 + (k - 1) - k * error_random
        assert bound == pytest.approx(by_hand, abs=1e-12)
        assert bound == pytest.approx(0.1 + (k - 1) * memorized, abs=4 * k / np.sqrt(m))
    # The authors' code, in per cent of accuracies.
    given, drawn = 1 - 40 / n, 0.41
    theirs = (100 - 100 * given) + (k - 1) * (100 - k * (100 - 100 * drawn) / (k - 1))
    assert ratt_bound([1 - given], [1 - drawn], k)[0] * 100 == pytest.approx(theirs)


def test_the_slope_is_that_of_a_fitted_line() -> None:
    """Against NumPy's polynomial fit; a model that fits anything scores 0, one that fits nothing new scores 1."""
    rates = (0.0, 0.1, 0.2, 0.3)
    accuracy = np.random.default_rng(0).random((5, 4))
    np.testing.assert_allclose(perturbation_score(accuracy, rates), -np.polyfit(rates, accuracy.T, 1)[0])
    np.testing.assert_allclose(perturbation_score([[1.0] * 4, [1.0, 0.9, 0.8, 0.7]], rates), [0, 1], atol=1e-12)


def test_what_is_no_curve_is_refused() -> None:
    with pytest.raises(BadData, match=r"one number for each epoch, got shape \(0,\)"):
        lowest([])
    with pytest.raises(BadData, match=r"of shape \(epochs, samples\), got \(3,\)"):
        label_wave(np.zeros(3))
    with pytest.raises(BadData, match="accuracy has 2 epochs and susceptibility 3"):
        trainable_and_resistant([0.1, 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(BadUsage, match="expected as many, and two that differ"):
        perturbation_score([[0.1, 0.2]], [0.1, 0.1])
    with pytest.raises(BadUsage, match="patience must be at least 1"):
        label_wave(np.zeros((3, 2)), patience=0)
