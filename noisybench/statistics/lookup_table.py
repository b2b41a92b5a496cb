"""A lookup table: the paper's memorizer of a finite domain, and what each treatment of noisy labels makes of it, exactly.

The table has an answer of its own for each instance, a distribution h over k classes, and nothing ties two instances. What a
loss makes of it follows from the shares P̃ of the classes among the labels of the instance alone: every loss here is
−Σ_j t_j log h_j, with targets t that are linear in P̃. Its minimum over h:

- Where no target is negative, h = t / Σ t (Gibbs' inequality): cross-entropy answers P̃, smoothing answers the smoothed shares.
- Where some are, the loss falls without end as h_j → 0 at these. With h bounded from below by ε, the minimum has h_j = ε there and
  h_j ∝ t_j elsewhere, so that h ∝ max(t, 0) as ε → 0. Where none is positive, the leading term −Σ t_j log h_j with all but one h_j
  at ε is least where that one has the largest target; equal ones share, for none is preferred.

Targets, with T the matrix of the noise (row: right class), p̄ the shares of the classes among all labels and a, α numbers:

| treatment | t |
| --- | --- |
| cross-entropy | P̃ |
| label smoothing, also a < 0 | (1 − a) P̃ + a/k |
| backward correction | T⁻ᵀ P̃, which is (P̃ − c)/(1 − ck) for symmetric noise of rate e, c = e/(k − 1) |
| peer loss; CORES with its weight as α | P̃ − α p̄ |

Forward correction, −Σ_j P̃_j log (Tᵀh)_j, is no sum of that kind. For symmetric noise (Tᵀh)_j = c + (1 − ck) h_j, and the conditions of
Karush, Kuhn and Tucker give h_j = max(0, P̃_j/μ − c/(1 − ck)) with μ such that they sum to 1: water is filled from the top.

For two classes and noise of one rate e, all of these are functions of the wrong share s: the correction answers wrongly with
probability max(0, min(1, (s − e)/(1 − 2e))), and peer loss with 0, ½ or 1; both below s where 0 < s < ½ and above it where ½ < s < 1.
So with s < ½ neither errs more than the memorizer, and with s ≥ ½ neither errs less, whatever e is: the theorems' *help* and
*fail*, of which s = 0, ½ and 1 are the equal cases. With k classes, where m have a label and all of these a target above 0,
the right class gains from correction where its share is above 1/m; where a class with a label has a target below 0, which is cut
off, it gains sooner. A single label (l = 1) is left as it is by either.

Source: Liu 2021, arXiv:2102.05336, section 4; the targets are ours.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats, Labels, check_probabilities
from noisybench.ground.checks import check_rate, whole
from noisybench.ground.errors import BadUsage
from noisybench.statistics.harm import check_telling

SAME = 1e-12
"""Difference up to which two targets, or two errors, are the same."""


def table_answers(targets: Floats) -> Floats:
    """The table's answers under −Σ_j t_j log h_j: (u, k) → (u, k), rows of sum 1; see the top of this file."""
    positive = np.where(targets > SAME, targets, 0.0)
    leading = (targets >= targets.max(1, keepdims=True) - SAME).astype(np.float64)
    chosen = np.where(positive.any(1, keepdims=True), positive, leading)
    found: Floats = chosen / chosen.sum(1, keepdims=True)
    return found


def smoothed_answers(shares: Floats, smoothing: float) -> Floats:
    """What label smoothing makes of a table, positive or negative: shares of the labels (u, k) → (u, k).

    Raises:
        BadUsage: It is above 1.
    """
    if not smoothing <= 1:
        msg = f"smoothing must be at most 1, got {smoothing:g}"
        raise BadUsage(msg)
    return table_answers((1 - smoothing) * shares + smoothing / shares.shape[1])


def backward_answers(shares: Floats, transition: Floats) -> Floats:
    """What backward correction makes of a table: shares of the labels (u, k), matrix (k, k), row: right class → (u, k).

    Raises:
        BadUsage: The matrix has no inverse.
    """
    check_probabilities(transition, shares.shape[1], what="transition")
    try:
        targets = np.linalg.solve(transition.T, shares.T).T
    except np.linalg.LinAlgError:
        msg = "a transition matrix without an inverse cannot be corrected for"
        raise BadUsage(msg) from None
    return table_answers(np.asarray(targets, dtype=np.float64))


def forward_answers(shares: Floats, rate: float) -> Floats:
    """What forward correction for symmetric noise makes of a table: shares of the labels (u, k) → (u, k).

    Raises:
        BadUsage: The rate is that of labels that say nothing.
    """
    k = shares.shape[1]
    floor = check_telling(rate, k) / (k - 1) / (1 - rate * k / (k - 1))
    ordered = -np.sort(-shares, axis=1)
    # The first m classes stand above water: Σ (P̃/μ − floor) over them is 1.
    levels = np.cumsum(ordered, axis=1) / (1 + floor * np.arange(1, k + 1))
    above = (ordered > floor * levels).sum(1) - 1
    level = levels[np.arange(len(shares)), above][:, None]
    found: Floats = np.maximum(shares / level - floor, 0.0)
    return found / found.sum(1, keepdims=True)


def peer_answers(shares: Floats, weight: float = 1.0, marginal: Floats | None = None) -> Floats:
    """What peer loss makes of a table, and CORES with its weight: shares of the labels (u, k) → (u, k).

    Args:
        shares: Of the labels of each instance.
        weight: Of what is taken off, α; that of CORES is its β.
        marginal: Shares of the classes among all labels, p̄, shape (k,); None takes 1/k.
    """
    k = shares.shape[1]
    return table_answers(shares - weight * (np.full(k, 1 / k) if marginal is None else marginal))


def symmetric_matrix(rate: float, num_classes: int) -> Floats:
    """The matrix of symmetric noise, shape (k, k)."""
    other = check_rate(rate) / (num_classes - 1)
    return np.full((num_classes, num_classes), other) + (1 - rate - other) * np.eye(num_classes)


class CountLaw(NamedTuple):
    """Every way in which the labels of an instance can come out, the right class first, and the others in falling order."""

    shares: Floats
    """Shape (c, k)."""
    probability: Floats
    """Shape (c,), of sum 1."""


def count_law(copies: int, rate: float, num_classes: int) -> CountLaw:
    """How the l labels of an instance come out under symmetric noise, exactly.

    Wrong classes are alike, so that counts stand for all their orders: two classes have l + 1 ways, ten classes and 32 labels
    26,000.
    """
    from scipy.special import gammaln, xlogy

    times, k = whole(copies, "copies", least=1), whole(num_classes, "num_classes", least=2)
    other = check_rate(rate) / (k - 1)
    counts = np.array(
        [
            (times - wrong, *part, *[0] * (k - 1 - len(part)))
            for wrong in range(times + 1)
            for part in _parts(wrong, wrong, k - 1)
        ]
    )
    wrong = counts[:, 1:]
    # Orders of the wrong classes: (k − 1)! over the factorials of how often each count is there.
    alike = np.stack([(wrong == count).sum(1) for count in range(times + 1)], axis=1)
    orders = gammaln(k) - gammaln(alike + 1).sum(1)
    sequences = gammaln(times + 1) - gammaln(counts + 1).sum(1)
    logs = orders + sequences + xlogy(counts[:, 0], 1 - rate) + xlogy(wrong.sum(1), other)
    return CountLaw(counts / times, np.exp(logs))


def _parts(total: int, largest: int, places: int) -> Iterator[tuple[int, ...]]:
    """Every way to write a number as a falling sum of at most so many positive numbers."""
    if total == 0:
        yield ()
    elif places:
        for first in range(min(total, largest), 0, -1):
            for rest in _parts(total - first, first, places - 1):
                yield (first, *rest)


class TableHarm(NamedTuple):
    """What a treatment makes of the instances that have l labels.

    An error is that of an answer drawn from h, 1 − h of the right class, as in the paper; ``decided`` is that of the largest
    answer, ties shared.
    """

    error: float
    """Expected error."""
    decided: float
    """Expected error of the largest answer."""
    worse: float
    """Probability that the error is above that of the memorizer."""
    better: float
    """Probability that it is below."""


def table_harm(answers: Floats, law: CountLaw) -> TableHarm:
    """Harm of a table's answers (c, k) to the ways in which its labels can come out."""
    error, memorised = 1 - answers[:, 0], 1 - law.shares[:, 0]
    p = law.probability
    return TableHarm(
        error=float(p @ error),
        decided=float(p @ decided_errors(answers, np.zeros(len(answers), dtype=np.int64))),
        worse=float(p @ (error > memorised + SAME)),
        better=float(p @ (error < memorised - SAME)),
    )


def decided_errors(answers: Floats, right: Labels) -> Floats:
    """Error of the largest answer, ties shared: (u, k) and right classes (u,) → (u,)."""
    leading = answers >= answers.max(1, keepdims=True) - SAME
    found: Floats = 1 - leading[np.arange(len(answers)), right] / leading.sum(1)
    return found


class DrawnTable(NamedTuple):
    """Instances that occurred in samples of a finite domain, and their labels; the right class is 0."""

    mass: Floats
    """Of each instance, shape (u,)."""
    copies: Labels
    """How often it occurred, shape (u,), 1 and more."""
    shares: Floats
    """Of the classes among its labels, shape (u, k)."""


def draw_tables(
    masses: Floats, samples: int, rate: float, num_classes: int, *, repeats: int, generator: np.random.Generator
) -> DrawnTable:
    """Draw samples from a domain, and a label for each that is wrong with probability ``rate``; all repeats in one.

    Args:
        masses: Of the instances, shape (N,), of sum 1.
        samples: In each repeat.
        rate: Of symmetric noise.
        num_classes: Of the labels.
        repeats: How often the domain is sampled.
        generator: Decides every draw.
    """
    occurred = generator.multinomial(samples, masses, size=repeats).ravel()
    there = occurred > 0
    copies = occurred[there]
    law = symmetric_matrix(rate, num_classes)[0]
    counts = generator.multinomial(copies, law)
    return DrawnTable(np.tile(masses, repeats)[there], copies, counts / copies[:, None])


def harm_by_copies(drawn: DrawnTable, errors: Floats, copies: Sequence[int]) -> tuple[Floats, Floats]:
    """Mean excess error of instances that occurred l times and its standard error: (u,) and l (c,) → (c,) twice.

    The excess error of an instance is its mass times its error; NaN where fewer than two occurred so often.
    """
    means, spreads = np.full(len(copies), np.nan), np.full(len(copies), np.nan)
    for place, times in enumerate(copies):
        excess = (drawn.mass * errors)[drawn.copies == times]
        if len(excess) > 1:
            means[place], spreads[place] = excess.mean(), excess.std(ddof=1) / np.sqrt(len(excess))
    return means, spreads
