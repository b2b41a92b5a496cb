"""Groups of samples that are copies of each other, which must not vouch for each other's labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_array, check_groups
from noisybench.statistics.spectrum import centred_units, spectrum

NEAR = 0.95
"""Cosine from which two samples are near duplicates. Chosen on Fashion-MNIST in features 'lite0', centred: copies that are
mirrored, moved by a pixel or compressed are at .94 to .95, different images at .87 at most."""
DIMENSIONS = 16.0
"""Effective number of dimensions, (Σ λ)² / Σ λ² of the variances λ, below which only equal rows are duplicates. Of the
same images pixels have 8 and different ones are at .96; 'lite0' has 31."""
LARGEST = 30
"""Samples of the largest group that is found."""
MOST_LINKED = 2_000
"""Samples that near duplicates may link; of more, only equal rows are grouped."""
COMPONENTS = 256
"""Principal components that cosines are taken of."""
CHUNK = 2**23
"""Similarities in memory at a time: 32 MB."""


def find_groups(features: NDArray[Any], given_groups: NDArray[Any] | None = None) -> Labels:
    """Number of each sample's group, from 0 in sample order: (n, d) → (n,), int64.

    Equal rows are copies. So are samples whose features, less their mean and in their first ``COMPONENTS`` principal
    components, have a cosine of at least ``NEAR``, but only where features spread over many dimensions: in a table of a few
    columns everybody is near somebody. A group of near duplicates is a complete link, each near each other, so that a
    chain of them merges no class. What more than ``LARGEST`` samples share, such as blank texts or the few values of a
    table, is no copy: a sample loses at most so many others to be judged by. Groups that share a sample, and those
    given, are joined; given ones may be of any size.

    No label takes part. How many groups there are is the largest number plus one.

    Args:
        features: Shape (n, d), finite.
        given_groups: Integers, shape (n,): groups that are known, such as pictures of one patient.

    Raises:
        BadData: Features that are none, or groups that are no integers of shape (n,).
        BadUsage: More than ``spectrum.MOST_SIDE`` samples with as many features.

    Source: complete linkage, Sørensen 1948; the number of dimensions is the participation ratio.
    """
    check_array(features, "features", dimensions=2, kinds="f")
    n = len(features)
    units = centred_units(features, n)
    links = [_equal(features)]
    coordinates, squares = spectrum(units, COMPONENTS)
    if squares.sum() ** 2 >= DIMENSIONS * (squares**2).sum() and squares.any():
        links.append(_near(coordinates))
    if given_groups is not None:
        links.append(check_groups(given_groups, n, several=False))
    return united(links)


def group_batches(groups: Labels | None, n: int, *, most: int) -> Iterator[NDArray[np.intp]]:
    """Members of groups of one size, shape (b, m), with about ``most`` samples at a time."""
    if groups is None:
        groups = np.arange(n)
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    firsts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes):
        starts = firsts[sizes == size]
        step = max(1, most // int(size))
        for i in range(0, len(starts), step):
            yield order[starts[i : i + step, None] + np.arange(size)]


def united(links: list[Labels]) -> Labels:
    """Groups that are joined where they share a sample: several (n,) → (n,), numbered in sample order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(links[0])
    rows, columns, shift = [], [], n
    for link in links:
        rows.append(np.arange(n))
        columns.append(link + shift)
        shift += int(link.max()) + 1
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(row)), (row, column)), shape=(shift, shift))
    found = connected_components(graph, directed=False)[1][:n]
    return _numbered(found)


def _numbered(found: NDArray[Any]) -> Labels:
    """Numbers in the order in which they first appear."""
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]


def _equal(features: NDArray[Any]) -> Labels:
    """Group of each sample by equal rows, larger ones than ``LARGEST`` taken apart: (n, d) → (n,)."""
    rows = np.ascontiguousarray(features + 0.0)  # -0.0 becomes 0.0
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
    return _capped(np.unique(keys, return_inverse=True)[1].astype(np.int64))


def _capped(groups: Labels) -> Labels:
    """Groups, of which those of more than ``LARGEST`` samples are taken apart."""
    large = np.bincount(groups)[groups] > LARGEST
    return np.where(large, groups.max() + 1 + np.arange(len(groups)), groups)


def _near(coordinates: Floats) -> Labels:
    """Group of each sample by near duplicates: (n, c) → (n,)."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(coordinates)
    lengths = np.linalg.norm(coordinates, axis=1, keepdims=True)
    units = (coordinates / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    rows, columns = [], []
    step = max(1, CHUNK // n)
    for start in range(0, n, step):
        similar = units[start : start + step] @ units[start:].T
        row, column = np.nonzero(similar >= NEAR)
        rows.append(row + start)
        columns.append(column + start)
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(row)), (row, column)), shape=(n, n))
    linked = connected_components(graph, directed=False)[1]
    groups = np.arange(n)
    sizes = np.bincount(linked)
    for component in np.flatnonzero((sizes > 1) & (sizes <= MOST_LINKED)):
        members = np.flatnonzero(linked == component)
        found = fcluster(linkage(units[members], "complete", metric="cosine"), 1 - NEAR, "distance")
        groups[members] = members[np.unique(found, return_index=True)[1]][np.unique(found, return_inverse=True)[1]]
    return _capped(groups)
