"""Conformance of every metric: bounds, direction, chance, ties, order of the samples, and what cannot be computed."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.lookup import find, names, summary
from noisybench.statistics.intervals import Estimate
from noisybench.statistics.memorization_metrics import Compared
from noisybench.statistics.metric import Metric, estimates, metrics_of

N = 600
NULLS = ("cosine_constant", "cosine_permuted", "overlap_chance_1", "overlap_chance_5", "overlap_chance_10")
"""Metrics that say what a detector is read against, and nothing of the detector."""
EVERY = names("metrics")


def labels(seed: int, share: float = 0.2, n: int = N) -> tuple[Bools, Labels]:
    """Which labels are wrong, and the given ones of four classes."""
    rng = np.random.default_rng(seed)
    return rng.random(n) < share, rng.integers(0, 4, n)


def memorization(wrong: Bools, seed: int = 0) -> Floats:
    """Memorization without ties, higher of wrong labels."""
    values: Floats = np.random.default_rng(seed).random(len(wrong)) / 2 + wrong / 2
    return values


def said(name: str, values: Floats, wrong: Bools, given: Labels, *, order: slice | Labels = slice(None)) -> Estimate:
    """What a metric says of scores; a cut flags the fifth of the highest scores, suggestions are scores as classes."""
    metric = find("metrics", name)
    if metric.compares == "memorization":
        truth = memorization(wrong)
        error = np.random.default_rng(8).random(len(wrong)) if metric.needs_held_out_error else np.zeros(0)
        return metric.compute(Compared(values[order], truth[order], 1.0, error[order] if len(error) else error))
    if metric.compares == "suggestion":
        suggested = values.astype(np.int64)
        return metric.compute(suggested[wrong][order], ((given + 1) % 4)[wrong][order])
    if metric.compares == "cut":
        return metric.compute((values > np.quantile(values, 0.8))[order], wrong[order], given[order])
    return estimates({name: metric}, values[order], wrong[order], given[order])[name]


def perfect(name: str, wrong: Bools, given: Labels) -> Floats:
    """Scores that no others are better than."""
    compares = find("metrics", name).compares
    if compares == "memorization":
        return memorization(wrong)
    if compares == "suggestion":
        return ((given + 1) % 4).astype(np.float64)
    return wrong + np.random.default_rng(1).random(len(wrong)) / 2


@pytest.mark.parametrize("name", EVERY)
def test_it_says_what_it_is(name: str) -> None:
    """In words that its file begins with, with a title of its own."""
    metric = find("metrics", name)
    assert isinstance(metric, Metric)
    assert metric.words == summary("metrics", name)
    assert [other for other in EVERY if find("metrics", other).title == metric.title] == [name]


@pytest.mark.parametrize("name", [name for name in EVERY if name not in NULLS])
def test_the_best_scores_reach_the_best_bound(name: str) -> None:
    """And their reverse is worse; a correlation corrected for attenuation may pass 1, and is 1 of a sure truth."""
    wrong, given = labels(0)
    wrong[:] = np.arange(N) < N // 5  # as many as the cut flags
    metric = find("metrics", name)
    best = said(name, perfect(name, wrong, given), wrong, given)
    assert best.value == pytest.approx(
        1.0 if name == "spearman_corrected" else metric.best, abs=0.2 * (name == "partial_spearman")
    )
    if metric.compares != "suggestion" and name != "cut_calibration_error":
        worst = said(name, -perfect(name, wrong, given), wrong, given).value
        assert worst < best.value if metric.higher_is_better else worst > best.value


@pytest.mark.parametrize("name", [name for name in EVERY if find("metrics", name).chance is not None])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_random_scores_are_at_chance(name: str, share: float) -> None:
    """The mean over 50 random scores is within four of its Monte Carlo errors, and .01 where it is exact for many alone."""
    metric, found = find("metrics", name), []
    for seed in range(50):
        wrong, given = labels(seed, share)
        values = np.random.default_rng(seed + 1000).random(N)
        found.append((said(name, values, wrong, given).value, metric.chance_at(float(wrong.mean()))))
    off = np.array([value - chance for value, chance in found])
    exact = 0.01 if name.startswith("average_precision") else 0.0
    assert abs(off.mean()) < 4 * off.std(ddof=1) / np.sqrt(len(off)) + exact
    assert off.std() > 0


@pytest.mark.parametrize("name", EVERY)
def test_the_order_of_the_samples_decides_nothing(name: str) -> None:
    """Nor of tied ones; and the value lies within its bounds and its interval."""
    wrong, given = labels(3)
    values = np.floor(np.random.default_rng(4).random(N) * 4 + wrong)  # 0 .. 4
    found = said(name, values, wrong, given)
    count = int(wrong.sum()) if find("metrics", name).compares == "suggestion" else N
    again = said(name, values, wrong, given, order=np.random.default_rng(5).permutation(count))
    assert [*again] == pytest.approx([*found], abs=1e-12, nan_ok=True)
    least, greatest = find("metrics", name).bounds
    assert least <= found.value <= greatest
    if np.isfinite(found.low):
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize("name", [name for name in EVERY if find("metrics", name).compares in ("mislabeled", "cut")])
def test_one_more_right_label_at_the_top_never_helps(name: str) -> None:
    """The direction is what it says: of two scores that differ in one swap, the one with the wrong label higher is as good."""
    wrong, given = labels(6)
    given[:] = 0  # one class, so that a swap is within it
    values = np.random.default_rng(7).random(N) + 0.3 * wrong
    sign = 1 if find("metrics", name).higher_is_better else -1
    right, low = (
        int(np.flatnonzero(~wrong)[values[~wrong].argmax()]),
        int(np.flatnonzero(wrong)[values[wrong].argmin()]),
    )
    swapped = values.copy()
    swapped[[right, low]] = swapped[[low, right]]
    assert sign * said(name, swapped, wrong, given).value >= sign * said(name, values, wrong, given).value - 1e-12


@pytest.mark.parametrize(
    ("name", "reference"),
    [("cut_precision", precision_score), ("cut_recall", recall_score), ("cut_f1", f1_score)],
)
def test_the_figures_of_a_cut_are_those_of_scikit_learn(name: str, reference: Callable[..., float]) -> None:
    """Many flags and few, all right and all wrong; the calibration error is the difference of two shares."""
    rng = np.random.default_rng(0)
    metric, error = find("metrics", name), find("metrics", "cut_calibration_error")
    for share in (0.01, 0.2, 0.9):
        wrong, given = labels(int(100 * share))
        for flagged in (rng.random(N) < share, wrong, ~wrong, wrong & (rng.random(N) < 0.5)):
            assert metric.compute(flagged, wrong, given).value == pytest.approx(
                reference(wrong, flagged, zero_division=0)
            )
            assert error.compute(flagged, wrong, given).value == pytest.approx(abs(flagged.sum() - wrong.sum()) / N)


def test_what_a_cut_cannot_say_is_nan() -> None:
    """Precision of no flag; recall and F1 of none are 0 where labels are wrong."""
    wrong, given = labels(0)
    nothing = np.zeros(N, dtype=bool)
    assert np.isnan(find("metrics", "cut_precision").compute(nothing, wrong, given)).all()
    assert find("metrics", "cut_recall").compute(nothing, wrong, given).value == 0
    assert find("metrics", "cut_f1").compute(nothing, wrong, given).value == 0
    for name in metrics_of("cut"):
        assert np.isnan(find("metrics", name).compute(nothing[:0], wrong[:0], given[:0]).value)
    assert np.isnan(find("metrics", "cut_f1").compute(nothing, nothing, given)).all()


def test_the_interval_of_f1_covers_its_truth() -> None:
    """3,000 draws of 300 samples, of which 15 % are wrong, .7 of these and .05 of the others flagged: 93 % or more."""
    rng = np.random.default_rng(0)
    metric, given = find("metrics", "cut_f1"), np.zeros(300, dtype=np.int64)
    truth = 2 * 0.15 * 0.7 / (2 * 0.15 * 0.7 + 0.85 * 0.05 + 0.15 * 0.3)
    covered = []
    for _ in range(3000):
        wrong = rng.random(300) < 0.15
        flagged = rng.random(300) < np.where(wrong, 0.7, 0.05)
        _, low, high = metric.compute(flagged, wrong, given)
        covered.append(low <= truth <= high)
    assert 0.93 < np.mean(covered) < 0.97


def test_precision_at_the_true_count_is_what_false_negatives_leave() -> None:
    """Against a loop over all tie-breaks' expectation: the share of wrong labels among the first, tied ones in parts."""
    wrong, given = labels(9, n=40)
    values = np.floor(np.random.default_rng(2).random(40) * 5)
    count, left, hits = int(wrong.sum()), int(wrong.sum()), 0.0
    for level in np.unique(values)[::-1]:
        tied = wrong[values == level]
        hits += tied.mean() * min(left, len(tied))
        left -= min(left, len(tied))
    names = ("precision_at_true_count", "false_negative_rate")
    found, missed = estimates({name: find("metrics", name) for name in names}, values, wrong, given).values()
    assert found.value == pytest.approx(hits / count)
    assert [*found] == pytest.approx([1 - missed.value, 1 - missed.high, 1 - missed.low])


def test_a_metric_is_told_what_is_wrong_with_it() -> None:
    """Bounds the wrong way round, and what nothing compares."""
    metric = find("metrics", "auroc")
    with pytest.raises(BadData, match=r"metric 'x' has bounds \(1, 0\); give the lower one first"):
        Metric("x", "X.", metric.compute, bounds=(1.0, 0.0))
    with pytest.raises(
        BadUsage, match="compares of metric 'x' must be one of mislabeled, suggestion, cut, memorization"
    ):
        Metric("x", "X.", metric.compute, compares="flags")  # type: ignore[arg-type]
