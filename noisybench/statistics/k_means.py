"""k-means of a few points, many times over: scikit-learn's clusters to the bit, without what it checks before each fit."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats

MOST_PASSES, TOLERANCE = 300, 1e-4
"""Of ``KMeans``: passes at most, and how far centers may move, as a share of the mean variance, for a pass to be the last."""
AT_ONCE = 256
"""Points whose distances to the centers are computed in one product, as there: other shapes may round otherwise."""


def k_means(points: Floats, clusters: int) -> tuple[NDArray[np.int64], Floats] | None:
    """Clusters and centers of ``KMeans(clusters, n_init=1, random_state=0)``: (m, e) → (m,), (k, e).

    A fit of twenty points takes that class some 3 ms, nearly all of it checks and imports; a run has a hundred such fits.
    Every product and sum is taken in its order.

    Args:
        points: Finite, at least as many as clusters.
        clusters: How many.

    Returns:
        None where a cluster lost all its points, which ``KMeans`` gives others: ask it.

    Source:
        Arthur and Vassilvitskii 2007, k-means++: the advantages of careful seeding, and Lloyd 1982, as scikit-learn
        (BSD 3-Clause) computes them.
    """
    from scipy.linalg.blas import dgemm

    middle = points.mean(axis=0)
    tolerance = np.mean(np.var(points, axis=0)) * TOLERANCE
    points = np.ascontiguousarray(points - middle)
    centers = _first_centers(points, clusters)
    before: NDArray[np.int64] | None = None
    for _ in range(MOST_PASSES):
        labels = _nearest(points, centers, dgemm)
        sizes = np.bincount(labels, minlength=clusters)
        if not sizes.all():
            return None
        places = labels[:, None] * points.shape[1] + np.arange(points.shape[1])
        sums = np.bincount(places.ravel(), points.ravel(), centers.size).astype(np.float64, copy=False)
        moved = sums.reshape(centers.shape) * (1.0 / sizes)[:, None]
        shift = (((moved - centers) ** 2).sum(1)).sum()
        centers = moved
        if before is not None and np.array_equal(labels, before):
            return labels, centers + middle
        if shift <= tolerance:
            break
        before = labels
    return _nearest(points, centers, dgemm), centers + middle


def _first_centers(points: Floats, clusters: int) -> Floats:
    """Centers by k-means++: of a few candidates each, drawn by squared distance, the one that leaves least distance."""
    tries = 2 + int(np.log(clusters))
    drawn = _draws(1 + (clusters - 1) * tries)
    weights = np.ones(len(points))
    norms = squared_norms(points)
    cumulated = (weights / weights.sum()).cumsum()
    cumulated /= cumulated[-1]
    chosen = [int(cumulated.searchsorted(drawn[0], side="right"))]
    nearest = squared_distances(points[chosen], points, norms)
    left = nearest @ weights
    for start in range(1, len(drawn), tries):
        candidates = np.searchsorted(np.cumsum(nearest), drawn[start : start + tries] * left)
        np.clip(candidates, None, nearest.size - 1, out=candidates)
        distances = np.minimum(nearest, squared_distances(points[candidates], points, norms))
        sums = distances @ weights.reshape(-1, 1)
        best = int(np.argmin(sums))
        left, nearest = sums[best], distances[best]
        chosen.append(int(candidates[best]))
    return points[chosen]


@cache
def _draws(count: int) -> Floats:
    """The first numbers of the generator that each fit begins anew; of a stream that numpy keeps for good."""
    return np.random.RandomState(0).random_sample(count)


def squared_norms(points: Floats) -> Floats:
    """(m, e) → (m,)."""
    norms: Floats = np.einsum("ij,ij->i", points, points)
    return norms


def squared_distances(some: Floats, points: Floats, norms: Floats) -> Floats:
    """Squared Euclidean distances, to the bit those of scikit-learn: (c, e), (m, e), norms of the latter (m,) → (c, m)."""
    distances: Floats = -2 * (some @ points.T)
    distances += squared_norms(some)[:, None]
    distances += norms
    return np.maximum(distances, 0, out=distances)


def _nearest(points: Floats, centers: Floats, dgemm: object) -> NDArray[np.int64]:
    """The nearest center of each point, the first of equally near ones: (m, e), (k, e) → (m,)."""
    norms = squared_norms(centers)
    labels = np.empty(len(points), dtype=np.int64)
    for start in range(0, len(points), AT_ONCE):
        part = points[start : start + AT_ONCE]
        begun = np.repeat(norms[:, None], len(part), axis=1)
        # By scipy's library and not numpy's, which may be another and round otherwise.
        found = dgemm(-2.0, centers.T, part.T, 1.0, np.asfortranarray(begun), trans_a=1, overwrite_c=1)  # type: ignore[operator]
        labels[start : start + AT_ONCE] = found.argmin(0)
    return labels
