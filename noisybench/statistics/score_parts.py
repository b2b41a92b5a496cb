"""What an AUROC comes from: from the given label alone, from held-out answers beyond it, and from the rest of the score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Labels, check_array
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData
from noisybench.statistics.expected_auroc import expected_auroc, mid_ranks

BINS = 20
"""Bins of the held-out answers within a given label, at most."""
LEAST = 20
"""Samples of a bin, at least, where a label has as many: a bin of m tells up to 1 / 2m too much."""


@dataclass(frozen=True, slots=True)
class AurocParts:
    """An AUROC as three parts, ``given_label + held_out_answers + rest = auroc - .5``; each NaN where one kind is missing.

    Attributes:
        auroc: Of the score, a tie counting one half.
        given_label: What stays of it where scores are shuffled among the samples of each given label.
        held_out_answers: What stays beyond that where they are shuffled among those of like held-out answers alone.
        rest: What the score orders within a given label and like answers.
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

    A sum that telescopes, with no model fitted to the truth. Its terms are the AUROC that is expected where scores are
    permuted at random, which has a closed form: among all samples it is one half; within each given label, the gain is the
    first part; within each given label and quantile bin of the answers, the further gain is the second. What the score's
    own AUROC has beyond it is the rest. A part is negative where a score orders wrongly: the labels, the answers of a
    label, or the samples of like answers.

    Scores are permuted and not replaced by their means: a score that is answers and much noise has means which order all
    bins, and would be told to owe its answers more than its whole AUROC.

    What answers tell within a bin counts as rest. By chance a bin holds more wrong labels than another, which a score that
    knows them follows: with m samples in a bin the second part of a perfect score is up to 1 / 2m too large, of other
    scores less, and so is the first with m samples of a label. A label of fewer than ``bins`` × ``LEAST`` samples has fewer
    bins. Of a score that knows nothing every part is 0 in expectation.

    Args:
        suspicion: The score, higher being more suspicious, finite.
        wrong: Which labels are wrong.
        given: Given labels, from 0.
        answers_suspicion: Suspicion by answers of models that did not see the sample, such as minus their margin.
        known: Samples of which ``wrong`` is known; None: all. Scores of others are permuted too, and they are nobody's pair.
        bins: Of the answers within a label, at most.

    Raises:
        BadData: Arrays of several lengths, or a score that is not finite.
        BadUsage: Fewer bins than one.
    """
    whole(bins, "bins", least=1)
    for name, values in (("suspicion", suspicion), ("answers_suspicion", answers_suspicion)):
        check_array(values, name, dimensions=1)
    check_array(given, "given", dimensions=1, kinds="iu")
    check_array(wrong, "wrong", dimensions=1, kinds="b")
    known = np.ones(len(wrong), dtype=bool) if known is None else known
    _check(suspicion=suspicion, wrong=wrong, given=given, answers_suspicion=answers_suspicion, known=known)
    of_label = np.unique(given, return_inverse=True)[1].astype(np.int64)
    ranks = mid_ranks(suspicion, np.zeros_like(of_label))
    wrongs, rights = (wrong & known).astype(np.float64), (~wrong & known).astype(np.float64)
    own = expected_auroc(ranks, wrongs, rights)
    by_label, by_cell = (
        expected_auroc(ranks, _shared(wrongs, group), _shared(rights, group))
        for group in (of_label, _cells(answers_suspicion, of_label, bins))
    )
    return AurocParts(own, by_label - 0.5, by_cell - by_label, own - by_cell)


def _shared(counts: Floats, group: Labels) -> Floats:
    """Mean of each sample's group, (n,): whose scores are permuted, each is as likely any of it, and a pair of them tied."""
    means: Floats = np.bincount(group, counts) / np.maximum(np.bincount(group), 1)
    return means[group]


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
