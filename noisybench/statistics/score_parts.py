"""What an AUROC comes from: from the given label alone, from held-out answers beyond it, and from the rest of the score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.errors import BadData
from noisybench.statistics.expected_auroc import mid_ranks

BINS = 20
"""Bins of the held-out answers within a given label, at most."""
LEAST = 20
"""Samples of a bin, at least, where a label has as many: a mean over fewer says little."""


@dataclass(frozen=True, slots=True)
class AurocParts:
    """An AUROC as three parts, ``given_label + held_out_answers + rest = auroc - .5``; each NaN where one kind is missing.

    Attributes:
        auroc: Of the score, a tie counting one half.
        given_label: What is left of it where only the given label is kept.
        held_out_answers: What is gained where the bin of the held-out answers is kept, too.
        rest: What the score orders beyond both.
    """

    auroc: float
    given_label: float
    held_out_answers: float
    rest: float


def split_auroc(
    suspicion: Floats,
    wrong: Bools,
    given: Labels,
    answers_suspicion: Floats,
    *,
    known: Bools | None = None,
    bins: int = BINS,
) -> AurocParts:
    """What the AUROC of a score comes from: (n,), (n,), (n,) and (n,).

    A sum that telescopes, with no model fitted to the truth. Each score is replaced by the mean mid-rank of the other samples of its
    given label: the AUROC of that, less one half, is the first part. Then by the mean of the others of its given label and quantile bin of
    the answers: its AUROC less the former is the second, and what the score's own AUROC has beyond it the rest. Samples of
    one cell are tied. Each part may be negative: a score may order the labels wrongly and the samples of each rightly.

    The sample itself is left out of its mean. Were it kept, a cell that holds more wrong labels by chance had a higher
    mean, and the second part grew at the cost of the rest: of a perfect score by .055 (10,000 samples, 10 labels, 20 bins)
    where answers say nothing. Were samples of one cell then compared by their means, each would be below those whose own
    score is lower. Of a score that knows nothing every part is 0 in expectation.

    What answers tell within a bin, and what the mean of a few samples blurs, counts as rest: parts of samples of some
    hundreds are rough. A label of fewer than ``bins`` × ``LEAST`` samples has fewer bins. A cell of one sample has the mean
    of its label, and a label of one sample the mean of all.

    Args:
        suspicion: The score, higher being more suspicious, finite.
        wrong: Which labels are wrong.
        given: Given labels, from 0.
        answers_suspicion: Suspicion by answers of models that did not see the sample, such as minus their margin.
        known: Samples of which ``wrong`` is known; None: all. Others count in the means, and are nobody's pair.
        bins: Of the answers within a label, at most.

    Raises:
        BadData: Arrays of several lengths, or a score that is not finite.
    """
    known = np.ones(len(wrong), dtype=bool) if known is None else known
    _check(suspicion=suspicion, wrong=wrong, given=given, answers_suspicion=answers_suspicion, known=known)
    of_label = np.unique(given, return_inverse=True)[1].astype(np.int64)
    cell = _cells(answers_suspicion, of_label, bins)
    ranks = mid_ranks(suspicion, np.zeros_like(of_label))
    label_means = _means_of_others(ranks, of_label, np.full(len(ranks), (len(ranks) + 1) / 2))
    cell_means = _means_of_others(ranks, cell, label_means)
    own = _auroc(ranks[known], wrong[known])
    by_label = _auroc_between(label_means[known], ranks[known], wrong[known], of_label[known])
    by_cell = _auroc_between(cell_means[known], ranks[known], wrong[known], cell[known])
    return AurocParts(own, by_label - 0.5, by_cell - by_label, own - by_cell)


def _check(**arrays: NDArray[Any]) -> None:
    n = len(arrays["given"])
    for name, values in arrays.items():
        if values.shape != (n,):
            msg = f"{name} must have shape (n,) with n = {n}, the number of given labels, got {values.shape}"
            raise BadData(msg)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            msg = f"{name}[{bad[0]}] = {values[bad[0]]} is not finite ({bad.size} such entries); expected a number for each sample"
            raise BadData(msg)


def _cells(answers: Floats, label: Labels, bins: int) -> Labels:
    """Number of each sample's label and quantile bin of the answers within it; equal answers share a bin."""
    sizes = np.bincount(label)
    number = np.clip(sizes // LEAST, 1, bins)[label]
    place = (mid_ranks(answers, label) - 0.5) / sizes[label]
    return label * bins + np.minimum((place * number).astype(np.int64), number - 1)


def _means_of_others(ranks: Floats, group: Labels, alone: Floats) -> Floats:
    """Mean over the others of each sample's group, or ``alone``: exact for equal ranks, whose sums are halves of integers."""
    sizes, sums = np.bincount(group)[group], np.bincount(group, ranks)[group]
    return np.where(sizes > 1, (sums - ranks) / np.maximum(sizes - 1, 1), alone)


def _auroc(values: Floats, wrong: Bools) -> float:
    pairs = wrong.sum() * (~wrong).sum()
    return float(_above(values, wrong) / pairs) if pairs else float("nan")


def _auroc_between(means: Floats, ranks: Floats, wrong: Bools, group: Labels) -> float:
    """AUROC of the means of others, where two samples of one group are tied: NaN where one kind is missing."""
    wrongs, rights = np.bincount(group, wrong), np.bincount(group, ~wrong)
    pairs, tied = wrongs.sum() * rights.sum(), (wrongs * rights).sum()
    if not pairs:
        return float("nan")
    # Within a group the mean of the others falls as the sample's own rank rises.
    within = _above(group * (2.0 * ranks.max() + 1) - ranks, wrong) - (wrongs * (rights.cumsum() - rights)).sum()
    return float((_above(means, wrong) - within + tied / 2) / pairs)


def _above(values: Floats, wrong: Bools) -> float:
    """Pairs of a wrong label and a right one in which the wrong one's value is higher; a tie is half a pair."""
    wrongs, rights = np.sort(values[wrong]), np.sort(values[~wrong])
    return float(np.searchsorted(rights, wrongs).sum() + np.searchsorted(rights, wrongs, side="right").sum()) / 2
