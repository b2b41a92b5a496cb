"""Ranking: scores beside a mask, sorted once for every metric that looks at the same scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.errors import BadData

SHORT = 1 << 16
"""Classes below which NumPy sorts labels as 16-bit integers, by radix: ten times faster, and as stable."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedScores:
    """Samples by falling score; tied samples are one step.

    Attributes:
        wrong: Mislabeled samples at each step, the highest score first, shape (u,), int64.
        right: The others at each step, shape (u,), int64.
        order: Samples, the highest score first, shape (n,).
        mislabeled: Shape (n,).
        given: Given labels, shape (n,); empty where no metric asks for them.
    """

    wrong: Labels
    right: Labels
    order: NDArray[np.intp]
    mislabeled: Bools
    given: Labels

    def hits(self, count: int) -> float:
        """Mislabeled samples expected among the ``count`` highest scores when ties are broken at random."""
        flagged = (self.wrong + self.right).cumsum()
        last = int(np.searchsorted(flagged, count))  # the step that holds the count's end
        tied = int(self.wrong[last] + self.right[last])
        among_tied = (count - int(flagged[last]) + tied) * int(self.wrong[last]) / tied
        return int(self.wrong[:last].sum()) + among_tied


def rank(values: Floats, mislabeled: Bools, given: Labels | None = None) -> RankedScores:
    """The ranking of scores, higher being more suspicious: (n,), (n,) and (n,), of at least one sample.

    Args:
        values: Scores, shape (n,).
        mislabeled: Which samples are mislabeled, shape (n,).
        given: Given labels, shape (n,); None where no metric asks for them.
    """
    order = np.argsort(values)[::-1]
    ordered = values[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    wrong = np.diff(mislabeled[order].cumsum()[ends], prepend=0)
    right = np.diff(ends, prepend=-1) - wrong
    return RankedScores(wrong, right, order, mislabeled, np.zeros(0, dtype=np.int64) if given is None else given)


def strata(ranking: RankedScores) -> tuple[Labels, Labels, Labels]:
    """Mislabeled samples and others at each step of each given class that holds both, and the first step of each: (u,), (u,), (s,).

    Within a class the highest score comes first.

    Raises:
        BadData: The ranking was made without given labels.
    """
    if len(ranking.given) != len(ranking.mislabeled):
        msg = (
            f"a ranking of {len(ranking.mislabeled)} samples has {len(ranking.given)} given labels; give them to rank()"
        )
        raise BadData(msg)
    lowest = int(ranking.given.min(initial=0))  # below 0 where what is no class of the others is one of its own
    given = ranking.given - min(0, lowest)
    k = int(given.max(initial=-1)) + 1
    wrong_of = np.bincount(given[ranking.mislabeled], minlength=k)
    both = (wrong_of > 0) & (np.bincount(given, minlength=k) > wrong_of)
    kept = both[given[ranking.order]]
    order = ranking.order[kept]
    steps = np.repeat(np.arange(len(ranking.wrong)), ranking.wrong + ranking.right)[kept]
    classes = given[order]
    by_class = np.argsort(classes.astype(np.uint16) if k <= SHORT else classes, kind="stable")
    classes, steps, wrong = classes[by_class], steps[by_class], ranking.mislabeled[order[by_class]].astype(np.int64)
    of_class = np.append(True, classes[1:] != classes[:-1])[: len(order)]
    first = np.flatnonzero(of_class | np.append(True, steps[1:] != steps[:-1])[: len(order)])
    if len(first):
        wrong = np.add.reduceat(wrong, first)
    right = np.diff(np.append(first, len(order))) - wrong
    return wrong, right, np.flatnonzero(of_class[first])
