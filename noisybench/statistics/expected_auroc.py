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


def expected_auroc_in_groups(chances: Floats, ranks: Floats, group: NDArray[np.int64]) -> float:
    """AUROC over the pairs of samples of one group, of samples already ranked: for a search that asks it many times.

    Sum over pairs of p_i (1 - p_j), where i ranks higher, by the same sum over all pairs; a pair of equal rank, as of a
    sample with itself, counts one half: ``expected_auroc(ranks, p, 1 - p)`` where there is one group. Where the number m
    of wrong labels is fixed and p_i are the chances of being among them, that is the expectation of the AUROC itself,
    since this is (the sum of the ranks of the wrong ones - m (m + 1) / 2) / m (n - m). NaN where no label or every label
    is wrong.

    Args:
        chances: p, the chance of a wrong label, shape (n,).
        ranks: What ``mid_ranks`` gives of the scores, shape (n,).
        group: Samples of one value are compared with each other, shape (n,).
    """
    wrong, sizes = np.bincount(group, chances), np.bincount(group)
    above = np.bincount(group, chances * ranks) - wrong * (wrong + 1) / 2
    all_pairs = float((wrong * (sizes - wrong)).sum())
    return float(above.sum()) / all_pairs if all_pairs > 0 else float("nan")
