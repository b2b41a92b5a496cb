"""Samples that are no independent draws: influences of those that belong together, added up as if they were one."""

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels


def effective_number(groups: NDArray[np.int64]) -> float:
    """How many equal groups say as much as these: (m,) numbers of groups → (Σ size)² / Σ size², 0 of none.

    >>> effective_number(np.array([0, 0, 1, 1])), effective_number(np.array([0, 0, 0, 1]))
    (2.0, 1.6)
    """
    sizes = np.bincount(groups)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(groups) else 0.0


def in_whole_clusters(
    influence: Floats, wrong: Bools, clusters: NDArray[np.int64], right: float
) -> tuple[Floats, tuple[float, float]]:
    """Influences with those of each cluster in the place of its first member, and the effective number of clusters."""
    m, count = float(len(clusters)), effective_number(clusters)
    result = influence.copy()
    result[wrong] = 0
    if count > 1 and m > 1:
        first = np.flatnonzero(wrong)[np.unique(clusters, return_index=True)[1]]
        result[first] = np.bincount(clusters, influence[wrong]) * _fewer(count, m)
    return result, (count, right)


def in_whole_groups(influence: Floats, counted: Bools, groups: Labels) -> Floats:
    """Influences with those of each group in the place of its first sample: (n,) → (n,).

    The place is the same whichever samples count, so that label columns of the same samples can be added up.

    Args:
        influence: Of each sample, 0 of those that do not count, shape (n,).
        counted: Which count, shape (n,).
        groups: Number of the group of each, such as copies of one sample, shape (n,); none is left out.
    """
    result = np.zeros(len(influence))
    m, count = float(counted.sum()), effective_number(groups[counted])
    if count > 1 and m > 1:
        first = np.unique(groups, return_index=True)[1]
        result[first] = np.bincount(groups, influence) * _fewer(count, m)
    return result


def _fewer(count: float, m: float) -> float:
    """What influences of groups are multiplied by: the variance of their mean has their number less one below it, not that of samples."""
    return float(np.sqrt(count / (count - 1) * (m - 1) / m))
