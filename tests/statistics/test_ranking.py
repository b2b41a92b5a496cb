"""The ranking and what metrics make of it: against scikit-learn, and against definitions over all pairs and in loops."""

from typing import NamedTuple

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.errors import BadData
from noisybench.statistics.detection_metrics import auroc, auroc_within_class, average_precision, precision_at
from noisybench.statistics.intervals import Estimate, auroc_interval
from noisybench.statistics.metric import Metric, estimates, metrics_of
from noisybench.statistics.ranking import RankedScores, rank


class Drawn(NamedTuple):
    """Scores on few levels, a mask, and given labels of which some classes hold one kind alone."""

    values: Floats
    wrong: Bools
    given: Labels


def drawn(n: int, levels: int, classes: int = 7, seed: int = 0) -> Drawn:
    """Samples of which about a fifth are wrong, all of class 0 right and all of class 1 wrong where there are so many."""
    rng = np.random.default_rng(seed)
    given = rng.integers(0, classes, n)
    wrong = np.where(given < 2, given == 1, rng.random(n) < 0.2) if classes > 2 else rng.random(n) < 0.2
    return Drawn(np.floor((rng.normal(size=n) + wrong) * levels), wrong, given)


@pytest.mark.parametrize(("n", "levels"), [(2, 1), (40, 2), (500, 10**9), (70_000, 3), (70_000, 10**9)])
def test_average_precision_is_scikit_learns(n: int, levels: int) -> None:
    """To 1e-12, with ties, without, of more samples than 16 bits count, and where all are tied."""
    values, wrong, _ = drawn(n, levels, classes=2)
    wrong[:2] = [True, False]
    for shown in (values, 0 * values):
        found = average_precision(rank(shown, wrong)).value
        assert found == pytest.approx(average_precision_score(wrong, shown), abs=1e-12)
    assert average_precision(rank(wrong.astype(np.float64), wrong)).value == 1.0


def test_a_ranking_counts_what_each_threshold_flags() -> None:
    """Its steps are scikit-learn's thresholds, and each holds as many of either kind as have that score."""
    values, wrong, given = drawn(300, 4)
    found = rank(values, wrong, given)
    levels = precision_recall_curve(wrong, values)[2][::-1]
    np.testing.assert_array_equal(np.unique(values)[::-1], levels)
    np.testing.assert_array_equal(found.wrong, [(wrong & (values == level)).sum() for level in levels])
    np.testing.assert_array_equal(found.right, [(~wrong & (values == level)).sum() for level in levels])
    assert (np.diff(values[found.order]) <= 0).all()


def test_hits_are_expected_over_ties() -> None:
    """Of every count, as a loop from the highest level down says."""
    values, wrong, _ = drawn(60, 2)
    ranking = rank(values, wrong)
    for count in range(1, 61):
        left, expected = count, 0.0
        for level in np.unique(values)[::-1]:
            tied = wrong[values == level]
            expected += tied.mean() * min(left, len(tied))
            left -= min(left, len(tied))
        assert ranking.hits(count) == pytest.approx(expected, abs=1e-12)
        assert precision_at(100 * count / 60, ranking).value == pytest.approx(expected / count, abs=1e-12)


def by_pairs(values: Floats, wrong: Bools) -> tuple[float, float]:
    """DeLong's area and variance by all pairs; one sample of a kind has the widest spread."""
    high, low = values[wrong], values[~wrong]
    wins = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    parts = [wins.mean(axis) for axis in (1, 0)]
    area = float(wins.mean())
    return area, sum(part.var(ddof=1) / len(part) if len(part) > 1 else area * (1 - area) for part in parts)


@pytest.mark.parametrize("classes", [2, 20, 70_000])
def test_areas_are_those_of_all_pairs(classes: int) -> None:
    """Overall and by class: of a class with one wrong label, of classes of one kind, and of more than 16 bits count."""
    values, wrong, given = drawn(800, 3, classes)
    given[wrong.argmax() :: 400], given[:9] = classes - 1, classes - 1
    ranking = rank(values, wrong, given)
    assert auroc(ranking) == pytest.approx(
        auroc_interval(*by_pairs(values, wrong), wrong.sum(), (~wrong).sum()), abs=1e-12
    )
    parts, counts = [], []
    for label in np.unique(given):
        of = given == label
        if 0 < wrong[of].sum() < of.sum():
            parts.append(by_pairs(values[of], wrong[of]))
            counts.append((wrong[of].sum(), (~wrong[of]).sum()))
            assert parts[-1][0] == pytest.approx(roc_auc_score(wrong[of], values[of]))
    area, variance = np.mean([one for one, _ in parts]), sum(spread for _, spread in parts) / len(parts) ** 2
    expected = auroc_interval(float(area), variance, *np.array(counts).T)
    assert auroc_within_class(ranking) == pytest.approx(expected, abs=1e-12)


def test_no_class_of_both_kinds_has_no_mean() -> None:
    """NaN, never 0; a ranking without given labels says that they are missing."""
    wrong = np.arange(6) < 3
    assert np.isnan(auroc_within_class(rank(np.arange(6.0), wrong, wrong.astype(np.int64)))).all()
    with pytest.raises(BadData, match=r"a ranking of 6 samples has 0 given labels; give them to rank\(\)"):
        auroc_within_class(rank(np.arange(6.0), wrong))


def test_scores_are_sorted_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics that take a ranking share one; one that takes arrays stands among them."""
    made: list[RankedScores] = []

    def counted(values: Floats, wrong: Bools, given: Labels) -> RankedScores:
        made.append(rank(values, wrong, given))
        return made[-1]

    def of_arrays(values: Floats, wrong: Bools, given: Labels) -> Estimate:
        return Estimate(float(values[wrong].mean() + given[0]), np.nan, np.nan)

    monkeypatch.setattr("noisybench.statistics.metric.rank", counted)
    own = Metric("own", "Own.", of_arrays)
    values, wrong, given = drawn(300, 4)
    found = estimates({**metrics_of("mislabeled"), "own": own}, values, wrong, given)
    assert len(made) == 1
    assert found["own"].value == pytest.approx(values[wrong].mean() + given[0])
    assert found["auroc"].value == pytest.approx(roc_auc_score(wrong, values))
    assert list(estimates({"own": own}, values, wrong, given)) == ["own"]
    assert len(made) == 1


def test_only_scores_are_ranked() -> None:
    """A metric of memorization or of a cut has no ranking."""
    with pytest.raises(BadData, match="metric 'x' compares 'cut' and is ranked; what is ranked is scores against 'mis"):
        Metric("x", "X.", auroc, compares="cut", ranked=True)
