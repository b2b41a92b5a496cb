"""Clusters of training losses: which samples' curves stay high, class by class.

Source: Yue and Jha 2022, CTRL: Clustering Training Losses for Label Error Detection, arXiv:2208.08464; parameters as in
the authors' code, chosen by their equation 1.
"""

import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels
from noisybench.statistics.k_means import k_means, squared_distances, squared_norms

CLUSTERS = (2, 3)
"""Numbers of clusters that are tried; of each, the 1 .. k - 1 with the highest losses are the noisy ones."""
WINDOWS = (1, 2, 4)
"""Numbers of windows that are tried; a sample is clean that is in so many of them: 1 .. w/2 + 1."""
SMOOTHED = 5
"""Epochs of the moving average."""
ROWS = 256
"""Samples whose distances to all others of their class are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class CurveClusters:
    """What the best clustering says.

    Attributes:
        votes: Windows in which a sample is in a noisy cluster, shape (n,), int64.
        noisy: Samples that the best clustering drops, shape (n,), bool.
        clusters: Clusters of each class; 0 where no clustering tells two groups apart.
        noisy_clusters: How many of them are noisy.
        windows: Windows of epochs.
        threshold: Windows in which a sample must be clean to be kept.
    """

    votes: NDArray[np.int64]
    noisy: NDArray[np.bool_]
    clusters: int
    noisy_clusters: int
    windows: int
    threshold: int


def cluster_loss_curves(
    losses: NDArray[np.floating], correct: NDArray[np.bool_], labels: Labels, num_classes: int
) -> CurveClusters:
    """Cluster the loss curves of each class by k-means, and choose how by what the losses themselves tell.

    Losses are clipped at 2 log k nats and smoothed. Each choice of clusters, noisy clusters, windows and threshold keeps
    some samples; the best has the greatest mean silhouette over classes times the mean accuracy of classes among those
    kept, times the ratio of the last losses of the dropped to those of the kept.

    Args:
        losses: Shape (e, n), in nats.
        correct: Whether each sample is predicted right after the last epoch, shape (n,).
        labels: Given labels, shape (n,).
        num_classes: Classes are ``0 .. num_classes - 1``.
    """
    curves = smooth(losses, 2 * math.log(num_classes))
    members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    members = [chosen[np.lexsort(curves[chosen].T[::-1])] for chosen in members]  # k-means follows the order
    options: list[CurveClusters] = []
    for clusters, windows in itertools.product(CLUSTERS, (w for w in WINDOWS if w <= curves.shape[1])):
        ranks = _cluster_ranks(curves, members, clusters, windows)
        for noisy_clusters in range(1, clusters):
            votes = (ranks < noisy_clusters).sum(0)
            for threshold in range(1, windows // 2 + 2):
                noisy = windows - votes < threshold
                options.append(CurveClusters(votes, noisy, clusters, noisy_clusters, windows, threshold))
    options = [option for option in options if option.noisy.any() and not option.noisy.all()]
    masks = np.array([option.noisy for option in options], dtype=bool).reshape(len(options), len(labels))
    scores = silhouettes(curves, members, masks) * _fit(curves[:, -1], correct, members, masks)
    if not np.isfinite(scores).any():  # NaN where whole classes alone are dropped, which no silhouette judges
        nobody = np.zeros(len(labels), dtype=bool)
        return CurveClusters(nobody.astype(np.int64), nobody, 0, 0, 0, 0)
    best = masks[int(np.nanargmax(scores))]
    # The first that drops the same: their scores are one number, but for digits that another processor has otherwise.
    return options[int((masks == best).all(1).argmax())]


def smooth(losses: NDArray[np.floating], most: float) -> Floats:
    """Moving average over epochs of losses clipped at ``most``: (e, n) → (n, e); the first epochs have the first one.

    As in the authors' code, which leaves the first of all windows out.
    """
    curves = np.minimum(losses, most).T.astype(np.float64)
    size = min(SMOOTHED, curves.shape[1] - 1)
    if size < 1:
        return curves
    sums = curves.cumsum(1)
    averages = (sums[:, size:] - sums[:, :-size]) / size
    return np.concatenate([np.repeat(averages[:, :1], size, axis=1), averages], axis=1)


def _cluster_ranks(curves: Floats, members: list[NDArray[np.int64]], clusters: int, windows: int) -> NDArray[np.int64]:
    """Rank of each sample's cluster in each window, from the highest losses on, shape (w, n).

    Samples of a class in which there are fewer different curves than clusters are in the cleanest.
    """
    ranks = np.full((windows, len(curves)), clusters, dtype=np.int64)
    for window, (start, end) in enumerate(_bounds(curves.shape[1], windows)):
        for chosen in members:
            if len(chosen) >= clusters:
                ranks[window, chosen] = _ranked_clusters(curves[chosen, start:end], clusters)
    return ranks


def _bounds(epochs: int, windows: int) -> Iterator[tuple[int, int]]:
    """First epoch of each window and the one after its last."""
    for window in range(windows):
        yield int(window * epochs / windows), int((window + 1) * epochs / windows)


def _ranked_clusters(curves: Floats, clusters: int) -> NDArray[np.int64]:
    """Rank of each curve's cluster, 0 of the one with the largest area: (m, e) → (m,).

    Where there are fewer different curves than clusters, all are in the cleanest: a class of equal curves has no noisy part.
    """
    # One start, as scikit-learn makes unless told; ten when the authors' code was written, which leaves that open: of
    # 1,000 made-up curves that moved one to another cluster, in three times the time.
    labels, centers = k_means(curves, clusters) or _by_scikit_learn(curves, clusters)
    if len(np.unique(labels)) < clusters:
        return np.full(len(curves), clusters, dtype=np.int64)
    ranks = np.empty(clusters, dtype=np.int64)
    ranks[np.argsort(-centers.sum(1), kind="stable")] = np.arange(clusters)
    return ranks[labels]


def _by_scikit_learn(curves: Floats, clusters: int) -> tuple[NDArray[np.int64], Floats]:
    """The same clusters and centers, where one lost all its curves on the way."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different curves than clusters
        found = KMeans(clusters, n_init=1, random_state=0).fit(curves)
    return found.labels_, found.cluster_centers_


def silhouettes(curves: Floats, members: list[NDArray[np.int64]], masks: NDArray[np.bool_]) -> Floats:
    """Mean over classes of the mean silhouette of two groups, for many groupings at once: (n, e), (c, n) → (c,).

    As scikit-learn's ``silhouette_score``, where a sample alone in its group counts 0; classes that are all in one group
    are left out, and a grouping without any other has NaN.
    """
    sums, counts = np.zeros(len(masks)), np.zeros(len(masks))
    for chosen in members:
        inside = masks[:, chosen]
        sizes = np.stack([(~inside).sum(1), inside.sum(1)])  # (2, c)
        told = sizes.min(0) > 0
        if told.any():
            sums[told] += _silhouettes_of_class(curves[chosen], inside[told], sizes[:, told])
            counts[told] += 1
    return np.divide(sums, counts, out=np.full(len(masks), np.nan), where=counts > 0)


def _silhouettes_of_class(curves: Floats, inside: NDArray[np.bool_], sizes: NDArray[np.int64]) -> Floats:
    """Mean silhouette of each grouping of the curves of one class: (m, e), (c, m), (2, c) → (c,)."""
    total = np.zeros(len(inside))
    weights = inside.T.astype(np.float64)
    norms = squared_norms(curves)
    for start in range(0, len(curves), ROWS):
        part = slice(start, start + ROWS)
        distances = np.sqrt(squared_distances(curves[part], curves, norms))
        distances[np.arange(len(distances)), np.arange(start, start + len(distances))] = 0
        to_inside = distances @ weights
        to_outside = distances.sum(1)[:, None] - to_inside
        is_inside = inside.T[part]
        own, other = np.where(is_inside, to_inside, to_outside), np.where(is_inside, to_outside, to_inside)
        own_size, other_size = np.where(is_inside, sizes[1], sizes[0]), np.where(is_inside, sizes[0], sizes[1])
        within, between = own / np.maximum(own_size - 1, 1), other / other_size
        most = np.maximum(within, between)
        values = np.divide(between - within, most, out=np.zeros_like(most), where=(most > 0) & (own_size > 1))
        total += values.sum(0)
    return total / len(curves)


def _fit(
    last: Floats, correct: NDArray[np.bool_], members: list[NDArray[np.int64]], masks: NDArray[np.bool_]
) -> Floats:
    """Mean accuracy of classes among the kept, times the ratio of the last losses of dropped to kept: (c, n) → (c,)."""
    kept = ~masks
    accuracies = np.full((len(members), len(masks)), np.nan)
    for row, chosen in enumerate(members):
        sizes = kept[:, chosen].sum(1)
        np.divide(kept[:, chosen] @ correct[chosen].astype(np.float64), sizes, out=accuracies[row], where=sizes > 0)
    dropped_loss = (masks @ last) / masks.sum(1)
    kept_loss = (kept @ last) / kept.sum(1)
    tiny = np.finfo(np.float64).tiny
    fit: Floats = np.nanmean(accuracies, axis=0) * dropped_loss / np.maximum(kept_loss, tiny)
    return fit
