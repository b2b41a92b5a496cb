"""Clusters of loss curves, against scikit-learn and a loop from the definition."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from noisybench.ground.arrays import Floats
from noisybench.statistics import loss_curves
from noisybench.statistics.loss_curves import cluster_loss_curves, silhouettes, smooth

RNG = np.random.default_rng(0)


def curves_of(
    e: int, n: int, classes: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """Losses that fall, for a quarter of the samples late, whether each is right at the end, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    start = np.where(rng.random(n) < 0.25, rng.uniform(0.5, 1.2, n), rng.uniform(0, 0.4, n))
    losses = 4 / (1 + np.exp(8 * (np.linspace(0, 1, e)[:, None] - start))) + rng.exponential(0.1, (e, n))
    return losses.astype(np.float32), losses[-1] < 1, labels


def moving_average(curve: list[float], size: int) -> list[float]:
    """As the authors' code: from the second window on, the first value repeated before it."""
    means = [math.fsum(curve[t - size + 1 : t + 1]) / size for t in range(size, len(curve))]
    return [means[0]] * size + means


@pytest.mark.parametrize(("epochs", "size"), [(12, 5), (6, 5), (5, 4), (2, 1)])
def test_smoothing_equals_a_loop(epochs: int, size: int) -> None:
    """Clipped first, averaged then."""
    losses = RNG.exponential(2, (epochs, 7))
    expected = [moving_average([min(value, 3.0) for value in curve], size) for curve in losses.T.tolist()]
    np.testing.assert_allclose(smooth(losses, 3.0), expected, rtol=1e-12)
    assert smooth(losses[:1], 3.0).shape == (7, 1)


def test_silhouettes_equal_scikit_learn() -> None:
    """Of many groupings at once, averaged over classes in which there are two groups."""
    curves, labels = RNG.normal(size=(700, 4)), np.repeat([0, 1, 2], [300, 399, 1])
    masks = np.stack([curves[:, 0] > 0.5, RNG.random(700) < 0.01, np.arange(700) == 3, labels == 1])
    members = [np.flatnonzero(labels == k) for k in range(3)]
    for mask, found in zip(masks, silhouettes(curves, members, masks), strict=True):
        each = [silhouette_score(curves[c], mask[c]) for c in members if 0 < mask[c].sum() < len(c)]
        assert found == pytest.approx(np.mean(each), rel=1e-9) if each else np.isnan(found)


def score_by_loop(
    losses: NDArray[np.float32], correct: NDArray[np.bool_], labels: NDArray[np.int64], classes: int
) -> dict[tuple[int, int, int, int], tuple[float, list[int], list[bool]]]:
    """Each choice of clusters, noisy clusters, windows and threshold → its score, noisy votes and mask, in plain loops."""
    most, e, n = 2 * math.log(classes), len(losses), losses.shape[1]
    curves = np.array([moving_average([min(value, most) for value in curve], 5) for curve in losses.T.tolist()])
    found = {}
    for k in (2, 3):
        for w in (1, 2, 4):
            ranks = np.full((w, n), k)
            for window in range(w):
                start, end = int(window * e / w), int((window + 1) * e / w)
                for y in sorted(set(labels.tolist())):
                    own = sorted(np.flatnonzero(labels == y).tolist(), key=lambda sample: tuple(curves[sample]))
                    if len(own) >= k:
                        means = KMeans(k, n_init=1, random_state=0).fit(curves[own, start:end])
                        order = np.argsort(means.cluster_centers_.sum(1))[::-1].tolist()
                        for place, sample in enumerate(own):
                            ranks[window, sample] = order.index(means.labels_[place])
            for s in range(1, k):
                votes = [sum(ranks[window, sample] < s for window in range(w)) for sample in range(n)]
                for t in range(1, int(0.5 * w) + 2):
                    kept = np.array([w - vote >= t for vote in votes])
                    if kept.all() or not kept.any():
                        continue
                    inside = [labels == y for y in sorted(set(labels.tolist()))]
                    silhouette = np.mean(
                        [silhouette_score(curves[c], kept[c]) for c in inside if 0 < kept[c].sum() < c.sum()]
                    )
                    accuracy = np.mean([correct[c & kept].mean() for c in inside if (c & kept).any()])
                    ratio = curves[~kept, -1].mean() / curves[kept, -1].mean()
                    found[k, s, w, t] = float(silhouette * accuracy * ratio), votes, (~kept).tolist()
    return found


@pytest.mark.parametrize(("e", "n", "classes", "seed"), [(12, 150, 3, 0), (9, 60, 4, 1), (20, 80, 2, 2)])
def test_the_best_clustering_equals_a_loop(e: int, n: int, classes: int, seed: int) -> None:
    """Choice, votes and mask are those of a loop over every choice."""
    losses, correct, labels = curves_of(e, n, classes, seed)
    options = score_by_loop(losses, correct, labels, classes)
    best = max(options, key=lambda choice: options[choice][0])
    found = cluster_loss_curves(losses, correct, labels, classes)
    assert (found.clusters, found.noisy_clusters, found.windows, found.threshold) == best
    assert found.votes.tolist() == options[best][1]
    assert found.noisy.tolist() == options[best][2]
    order = RNG.permutation(n)
    permuted = cluster_loss_curves(losses[:, order], correct[order], labels[order], classes)
    assert np.array_equal(permuted.votes, found.votes[order])


def test_equal_curves_have_no_clusters() -> None:
    """Nothing tells samples apart, nor does a class of one sample: nobody is noisy."""
    for n in (1, 2, 30):
        found = cluster_loss_curves(np.ones((8, n)), np.ones(n, dtype=bool), np.zeros(n, dtype=np.int64), 2)
        assert not found.votes.any() or found.votes.min() == found.votes.max()
    alone = cluster_loss_curves(RNG.random((8, 3)), np.ones(3, dtype=bool), np.arange(3), 3)
    assert alone.clusters == 0


def test_a_class_of_equal_curves_has_no_noisy_part() -> None:
    """Its samples are kept, whatever the other classes hold; where none but whole classes could be dropped, nobody is."""
    rng = np.random.default_rng(0)
    fall = np.linspace(1, 0.1, 12)[:, None]
    other = np.where(np.arange(25) < 20, fall, 1.3) + rng.normal(0, 0.01, (12, 25))
    losses = np.hstack([np.repeat(fall, 30, axis=1), other]).astype(np.float32)
    labels, correct = np.repeat([0, 1], [30, 25]), np.arange(55) < 50
    found = cluster_loss_curves(losses, correct, labels, 2)
    assert np.flatnonzero(found.noisy).tolist() == list(range(50, 55))
    assert not found.votes[:50].any()
    alike = np.repeat(rng.random((8, 2)), [3, 4], axis=1).astype(np.float32)
    assert not cluster_loss_curves(alike, np.ones(7, dtype=bool), np.repeat([0, 1], [3, 4]), 2).votes.any()


def test_of_clusterings_that_drop_the_same_the_first_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four epochs are smoothed to one value, alike in every window: one window says it, whatever digits others end in."""

    def rounded_otherwise(*given: Any) -> Floats:  # noqa: ANN401 - as the function takes them
        found = silhouettes(*given)
        return found * (1 + np.arange(len(found)) * np.finfo(np.float64).eps)

    monkeypatch.setattr(loss_curves, "silhouettes", rounded_otherwise)
    found = cluster_loss_curves(*curves_of(4, 300, 10, seed=0), 10)
    assert (found.windows, found.threshold) == (1, 1)
