"""The AUROC that is expected of a score, given each sample's probability of a wrong label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats


def expected_auroc(scores: Floats, wrong: Floats, right: Floats) -> float:
    """AUROC of scores (n,) where sample i counts ``wrong[i]`` times as wrong and ``right[i]`` times as right.

    Scores that differ by rounding are ties, which count one half. NaN where there is nothing of one kind.
    """
    groups, members = np.unique(np.round(scores, 12), return_inverse=True)
    positive, negative = (np.bincount(members, weights, minlength=len(groups)) for weights in (wrong, right))
    pairs = positive.sum() * negative.sum()
    below = negative.cumsum() - negative / 2
    return float(positive @ below / pairs) if pairs > 0 else float("nan")


def mid_ranks(values: Floats, group: NDArray[np.int64]) -> Floats:
    """Ranks from 1 within each group, the mean rank for equal values, shape (n,)."""
    order = np.lexsort((values, group))
    ordered, groups = values[order], group[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(ordered) != 0) | (np.diff(groups) != 0)
    run = np.cumsum(first) - 1
    middle = np.flatnonzero(first) + (np.bincount(run) + 1) / 2
    sizes = np.bincount(group)
    ranks = np.empty(len(order))
    ranks[order] = middle[run] - (np.cumsum(sizes) - sizes)[groups]
    return ranks


def _auroc(chances: Floats, ranks: Floats, pairs: NDArray[np.int64]) -> float:
    wrong, sizes = np.bincount(pairs, chances), np.bincount(pairs)
    above = np.bincount(pairs, chances * ranks) - wrong * (wrong + 1) / 2
    all_pairs = float((wrong * (sizes - wrong)).sum())
    return float(above.sum()) / all_pairs if all_pairs > 0 else float("nan")
