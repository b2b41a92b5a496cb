"""Sub-clusters of classes, and choosing whole ones such that every sample has its chance and the count is exact."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.random_streams import derive, permutation, uniforms

AT_ONCE = 7_000
"""Samples of a class that k-means parts in one go: as many as the largest of MNIST has. The work grows with their square."""
_PART, _MOST_PARTS, _PASSES = 5_000, 64, 20  # larger classes are parted into some of about so many, coarsely
_ROUNDING = 1e-9


def sub_clusters(features: NDArray[Any], clean: Labels, size: float) -> NDArray[np.int64]:
    """Number of each sample's cluster, shape (n,): k-means in each class, with clusters of ``size`` samples on average.

    Numbers go up from class to class. A class has at least one cluster, and fewer than asked for where it has fewer
    different samples. A class of more than ``AT_ONCE`` samples is first parted by a k-means of a few large clusters, so that
    the time grows with n log n. The same samples have the same clusters whatever the seed of a noise.
    """
    result, total = np.zeros(len(clean), dtype=np.int64), 0
    for k in np.unique(clean):
        members = np.flatnonzero(clean == k)
        number = _parted(features[members], size, derive(0, "clusters", int(k)) % 2**32)
        result[members] = total + number
        total += int(number.max()) + 1
    return result


def _parted(features: NDArray[Any], size: float, seed: int) -> NDArray[np.int64]:
    """Number of each sample's cluster, from 0 and none left out: (m, d) → (m,)."""
    m = len(features)
    if m <= AT_ONCE:
        return _by_k_means(features, min(max(1, round(m / size)), m), seed)
    parts = _by_k_means(features, min(-(-m // _PART), _MOST_PARTS), seed, passes=_PASSES)
    number, total = np.zeros(m, dtype=np.int64), 0
    if not parts.any():  # all alike
        return number
    for members in np.split(np.argsort(parts, kind="stable"), np.cumsum(np.bincount(parts))[:-1]):
        within = _parted(features[members], size, seed)
        number[members] = total + within
        total += int(within.max()) + 1
    return number


def _by_k_means(features: NDArray[Any], clusters: int, seed: int, *, passes: int = 300) -> NDArray[np.int64]:
    """Number of each sample's cluster, of as many as are asked for or have members: (m, d) → (m,)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if clusters == 1:
        return np.zeros(len(features), dtype=np.int64)
    means = KMeans(clusters, n_init=1, random_state=seed, max_iter=passes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different samples than clusters, or few passes
        return np.unique(means.fit_predict(features), return_inverse=True)[1].astype(np.int64)


def choose_whole(chance: Floats, cluster: NDArray[np.int64], *, seed: int, purpose: str) -> NDArray[np.bool_]:
    """Which samples are taken, shape (n,): whole clusters, but for one of which a random part is.

    Args:
        chance: Of each sample to be taken, the same throughout a cluster, that sum to an integer, shape (n,).
        cluster: Of each sample, shape (n,).
        seed: Of the noise.
        purpose: Whose draw it is.
    """
    names, member = np.unique(cluster, return_inverse=True)
    sizes = np.bincount(member)
    order = permutation(seed, f"{purpose}-order", len(names))
    taken = np.empty(len(names), dtype=np.int64)
    expected = np.bincount(member, chance).astype(np.float64)
    taken[order] = pivotal(expected[order], sizes[order], uniforms(seed, f"{purpose}-fights", len(names)))
    # The first of a cluster in a random order; of a whole cluster that is everybody.
    shuffled = permutation(seed, f"{purpose}-members", len(cluster))
    shuffled = shuffled[np.argsort(member[shuffled], kind="stable")]
    rank = np.empty(len(cluster), dtype=np.int64)
    rank[shuffled] = np.arange(len(cluster)) - (np.cumsum(sizes) - sizes)[member[shuffled]]
    selected: NDArray[np.bool_] = rank < taken[member]
    return selected


def pivotal(expected: Floats, sizes: NDArray[np.int64], uniform: Floats) -> NDArray[np.int64]:
    """How many samples of each cluster are taken, shape (c,): none or all but in one, right on average.

    The pivotal method of Deville and Tillé (1998), with sizes: two clusters that are neither out nor in trade samples
    until one of them is, up or down with the chances that keep both expectations. The sum never changes.

    Args:
        expected: Expected number of samples of each cluster, which sum to an integer, shape (c,).
        sizes: Samples of each cluster, shape (c,).
        uniform: One for each cluster, shape (c,).
    """
    taken = expected.copy()
    pending = -1
    for j in range(len(taken)):
        if _settled(taken, sizes, j):
            continue
        if pending < 0:
            pending = j
            continue
        up = min(sizes[pending] - taken[pending], taken[j])
        down = min(taken[pending], sizes[j] - taken[j])
        step = up if uniform[j] * (up + down) < down else -down
        taken[pending] += step
        taken[j] -= step
        if _settled(taken, sizes, pending):
            pending = -1 if _settled(taken, sizes, j) else j
    return np.rint(taken).astype(np.int64)


def _settled(taken: Floats, sizes: NDArray[np.int64], j: int) -> bool:
    return bool(taken[j] < _ROUNDING or taken[j] > sizes[j] - _ROUNDING)
