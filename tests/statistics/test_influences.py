"""Influences of samples on metrics, against DeLong in a loop, weighted metrics, and resamples."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.lookup import find
from noisybench.statistics.influences import (
    Influence,
    auroc_influence,
    auroc_within_class_influence,
    average_precision_influence,
    suggestion_influence,
)
from noisybench.statistics.memorization_metrics import Compared, correlation_influence, spearman
from noisybench.statistics.metric import estimates, metrics_of


def known(name: str) -> Influence:
    """The influence of a metric by name."""
    found: Influence = find("metrics", name).influence
    return found


def drawn(n: int = 60, share: float = 0.3, seed: int = 0) -> tuple[Floats, Bools, Labels]:
    """Scores with ties, wrong labels and given labels."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(n) < share * n
    return np.round(rng.normal(size=n) + wrong, 1), wrong, rng.integers(0, 3, n)


def test_auroc_is_delong_in_a_loop() -> None:
    """Sums of products over samples are DeLong's covariances of three detectors, pair by pair with ties."""
    _, wrong, given = drawn()
    detectors = [drawn(seed=0)[0], drawn(seed=0)[0] ** 3, np.round(drawn(seed=0)[0] + drawn(seed=7)[0], 0)]
    m, n = wrong.sum(), (~wrong).sum()
    of_wrong = np.zeros((3, m))
    of_right = np.zeros((3, n))
    for d, values in enumerate(detectors):
        for i, high in enumerate(values[wrong]):
            for j, low in enumerate(values[~wrong]):
                above = float(high > low) + 0.5 * float(high == low)
                of_wrong[d, i] += above / n
                of_right[d, j] += above / m
    expected = np.cov(of_wrong) / m + np.cov(of_right) / n
    found = np.stack([auroc_influence(values, wrong, given) for values in detectors])
    np.testing.assert_allclose(found @ found.T, expected, rtol=1e-10)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-12)


def test_auroc_within_class_is_the_mean_of_classes() -> None:
    """A class that holds one kind alone counts in neither mean nor influence; the others share the weight."""
    values, wrong, given = drawn()
    wrong[given == 2] = False
    found = auroc_within_class_influence(values, wrong, given)
    for k in (0, 1):
        of = given == k
        np.testing.assert_allclose(found[of], auroc_influence(values[of], wrong[of], given[of]) / 2)
    assert not found[given == 2].any()


def weighted(metric: Callable[[Floats, Bools, Floats], float], values: Floats, wrong: Bools, step: float) -> Floats:
    """Slope of a metric in the weight of each sample, the weights of each kind summing to what they did: (n,)."""
    slopes = np.empty(len(values))
    for i in range(len(values)):
        kind = wrong == wrong[i]
        ends = []
        for e in (step, -step):
            weights = np.ones(len(values))
            weights[kind] *= 1 - e
            weights[i] += e * kind.sum()
            ends.append(metric(values, wrong, weights))
        slopes[i] = (ends[0] - ends[1]) / (2 * step)
    return slopes


def scaled(slopes: Floats, wrong: Bools) -> Floats:
    """Slopes in a sample's weight by the root of m (m - 1) of its kind."""
    m = np.where(wrong, wrong.sum(), (~wrong).sum())
    return slopes / np.sqrt(m * (m - 1))


def test_average_precision_follows_weights() -> None:
    """The influence is the slope of scikit-learn's weighted average precision, kind by kind, with ties."""
    values, wrong, given = drawn()

    def metric(values: Floats, wrong: Bools, weights: Floats) -> float:
        return float(average_precision_score(wrong, values, sample_weight=weights))

    expected = scaled(weighted(metric, values, wrong, 1e-4), wrong)
    np.testing.assert_allclose(average_precision_influence(values, wrong, given), expected, atol=1e-8)
    chance = wrong.mean()
    found = known("average_precision_normalised")(values, wrong, given)
    np.testing.assert_allclose(found, expected / (1 - chance), atol=1e-7)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", ["false_negative_rate", "precision_at_10"])
def test_counts_at_a_threshold_vary_as_fresh_samples_do(name: str, *, ties: bool) -> None:
    """Sums of squares and of products are the covariance over 800 fresh sets of samples, within a fifth of a variance."""
    rng = np.random.default_rng(3)
    m, n = 60, 240
    wrong, given = np.arange(m + n) < m, np.zeros(m + n, dtype=np.int64)

    def fresh() -> list[Floats]:
        one = rng.normal(size=m + n) + 1.5 * wrong
        two = one + rng.normal(size=m + n)
        return [np.asarray(np.round(each, 1 if ties else 9), dtype=np.float64) for each in (one, two)]

    influence = known(name)
    values: list[list[float]] = []
    squares: list[Floats] = []
    for _ in range(800):
        both = fresh()
        values.append([estimates({name: find("metrics", name)}, one, wrong, given)[name].value for one in both])
        if len(squares) < 200:
            found = np.stack([influence(one, wrong, given) for one in both])
            squares.append(found @ found.T)
    expected = np.cov(np.array(values).T)
    np.testing.assert_allclose(np.mean(squares, axis=0), expected, atol=0.2 * expected[0, 0])


def test_suggestions_are_a_share() -> None:
    """The sum of squares is the unbiased variance of a share."""
    right = np.array([0, 1, 2, 1, 0])
    found = suggestion_influence(np.array([0, 1, 1, 1, 2]), right)
    assert (found**2).sum() == pytest.approx(np.var([1, 1, 0, 1, 0], ddof=1) / 5)


def test_a_sample_that_is_one_of_its_kind_shows_no_spread() -> None:
    """One wrong label has no influence of its own, and nothing is divided by zero."""
    wrong = np.arange(20) == 0
    values = np.linspace(0, 1, 20)
    for influence in filter(None, (metric.influence for metric in metrics_of("mislabeled").values())):
        found = influence(values, wrong, np.zeros(20, dtype=np.int64))
        assert np.isfinite(found).all()
        assert found[0] == 0


def test_correlations_give_the_spread_of_their_interval() -> None:
    """The sum of squares is the variance behind Spearman's interval, a jackknife agrees, and a null has none."""
    rng = np.random.default_rng(1)
    memorization = np.round(rng.uniform(size=120), 1)
    compared = Compared(memorization + rng.normal(size=120), memorization, 0.9, np.zeros(0))
    found = correlation_influence("spearman", compared)
    assert found is not None
    value, low, high = spearman(compared)
    reach = (np.arctanh(high) - np.arctanh(low)) / 2
    assert np.sqrt((found**2).sum()) == pytest.approx(reach * (1 - value**2) / 1.959964)
    left = []
    for i in range(120):
        keep = np.arange(120) != i
        left.append(spearman(Compared(compared.scores[keep], memorization[keep], 0.9, np.zeros(0))).value)
    jackknife = 119 * np.var(left)
    assert (found**2).sum() == pytest.approx(jackknife, rel=0.05)
    assert correlation_influence("overlap_5", compared) is None
    assert correlation_influence("spearman", compared._replace(scores=np.ones(120))) is None
