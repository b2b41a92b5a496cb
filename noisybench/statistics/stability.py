"""How far a detector's verdict depends on the seed, and how often it flags a label that is right."""

from itertools import combinations

import numpy as np

from noisybench.ground.arrays import Bools, Floats
from noisybench.statistics.intervals import NOTHING, Estimate, wilson


def top_overlap(rankings: Floats, k: int, *, corrected: bool = False) -> float:
    """Mean overlap of the ``k`` most suspicious samples between two seeds, over all pairs of seeds; NaN for one seed.

    The Jaccard index is what both share over what either has: from 0 to 1, the same ``k`` samples. Of two seeds that
    know nothing of each other it is about k / (2 n − k), so that a large k looks stable; ``corrected`` gives Kuncheva's
    index, which is then 0, and 1 for the same samples. Tied samples at the cut count at the expectation under a
    random tie-break of each seed, so that a constant score overlaps as chance does.

    Args:
        rankings: Scores of each seed, shape (s, n), higher is more suspicious.
        k: Samples of each, from 1 to n.
        corrected: Whether chance is at 0.

    Raises:
        ValueError: ``k`` is none of 1 to n.

    Source: Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x; Kuncheva 2007, Artificial Intelligence and
    Applications, 390-395 (equation 4).
    """
    s, n = rankings.shape
    if not 1 <= k <= n:
        msg = f"k = {k}, expected one of 1 to {n}"
        raise ValueError(msg)
    if s < 2:  # noqa: PLR2004 - a pair
        return float("nan")
    threshold = np.partition(rankings, n - k, axis=1)[:, n - k, None]
    above, tied = rankings > threshold, rankings == threshold
    chance = above + tied * ((k - above.sum(1)) / tied.sum(1))[:, None]  # of being among the k
    shared = np.array([float(chance[i] @ chance[j]) for i, j in combinations(range(s), 2)])
    if not corrected:
        return float(np.mean(shared / (2 * k - shared)))
    by_chance = k * k / n
    return float(np.mean((shared - by_chance) / (k - by_chance))) if k < n else float("nan")


def false_flag_share(flagged: Bools, right: Bools) -> Estimate:
    """Share of the right labels that are flagged, with Wilson's interval; NaN where no label is known to be right.

    On a clean set every label is right, and each flag is a false one.

    Args:
        flagged: Samples that the detector's own cut flags, shape (n,).
        right: Those whose label is known to be right, shape (n,).
    """
    n = int(right.sum())
    return wilson(int((flagged & right).sum()) / n, n) if n else NOTHING
