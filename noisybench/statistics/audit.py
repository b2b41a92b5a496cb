"""How many labels are wrong, from the answers of a person about a random sample: no model is believed.

Labels and features do not tell how many labels are wrong: classes may overlap. A sample drawn with known chances tells,
whatever the suspicion is worth; a good suspicion only makes the interval narrower.

**Drawing.** Samples are parted into strata: flagged and not flagged, each side cut into slices of the suspicion. Before
anything is known, half of the flagged labels are guessed to be wrong, and half as many beyond them, ever fewer down the
ranking (see ``guessed_shares``). The numbers drawn of the strata make the guessed relative errors of the rate and of the
precision small together (Neyman's allocation for two aims), mixed half and half with numbers in proportion to size: so
no sample counts for more than about twice as many as in a simple random sample, however bad the guess.

**Estimating.** The share of wrong labels is Horvitz and Thompson's Σ N_h p_h / N; intervals are those of
``score_intervals``, which hold also where few or no wrong labels were seen.

Source: Neyman 1934, doi:10.2307/2342192 (allocation); Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446;
Cochran 1977, Sampling Techniques, chapters 5 and 5A; Dalenius and Hodges 1959, doi:10.1080/01621459.1959.10501501
(where strata are cut).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Bools, Floats, Indices, Labels, check_array, read_only
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.random_streams import permutation, uniforms
from noisybench.statistics.intervals import Estimate
from noisybench.statistics.score_intervals import rate_interval, recall_interval, stratum_shares

Answer = Literal["right", "wrong", "cannot tell", ""]
ANSWERS: tuple[Answer, ...] = ("right", "wrong", "cannot tell", "")
"""Answers about a label; the last is none."""
FEWEST = 2
"""Samples drawn of every stratum, at least, where it has as many."""
PER_STRATUM = 20
"""Answers for which one more stratum is made, up to ``MOST_STRATA``."""
MOST_STRATA = 4
"""Strata on one side of the cut."""
GUESSED_PRECISION, GUESSED_BEYOND, GUESSED_LEAST = 0.5, 0.5, 0.01
"""Guesses before the audit: share of wrong labels among the flagged; wrong ones beyond them, for each wrong one among them;
share of wrong labels beyond them at least."""


@dataclass(frozen=True, slots=True, eq=False)
class AuditSample:
    """Samples that a person is asked about, in the order of asking, and what tells the chances by which they were drawn.

    The order is random within each stratum and spreads the strata evenly, so whoever stops early has a smaller sample of
    the same kind.

    Attributes:
        samples: Positions in the data set, shape (m,).
        strata: Stratum of each, shape (m,), 0 for the most suspicious flagged ones.
        sizes: Samples of every stratum in the data set, shape (h,).
        flagged: Whether a stratum is of flagged samples, shape (h,).
        seed: Of the draw.

    Raises:
        BadData: The parts do not fit each other.
    """

    samples: Labels
    strata: Labels
    sizes: Labels
    flagged: Bools
    seed: int

    def __post_init__(self) -> None:
        for what in ("samples", "strata", "sizes"):
            check_array(getattr(self, what), what, dimensions=1, kinds="iu")
        check_array(self.flagged, "flagged", dimensions=1, kinds="b")
        fit = self.samples.shape == self.strata.shape and self.sizes.shape == self.flagged.shape and self.samples.size
        if not fit or not np.isin(self.strata, np.arange(len(self.sizes))).all() or self.samples.min() < 0:
            msg = f"{self.samples.shape} samples in strata of {self.sizes.shape} do not fit each other; draw the audit again"
            raise BadData(msg)
        drawn = np.bincount(self.strata, minlength=len(self.sizes))
        if len(np.unique(self.samples)) < len(self.samples) or (drawn > self.sizes).any() or (drawn < 1).any():
            msg = "a sample was drawn twice, or a stratum not at all or beyond its size; draw the audit again"
            raise BadData(msg)

    @property
    def inclusion(self) -> Floats:
        """Chance of each to be drawn, shape (m,): those drawn of its stratum by all of it, exactly."""
        return (np.bincount(self.strata, minlength=len(self.sizes)) / self.sizes)[self.strata]

    def __repr__(self) -> str:
        return f"AuditSample({len(self.samples)} of {self.sizes.sum()} samples, {len(self.sizes)} strata)"


@dataclass(frozen=True, slots=True, eq=False)
class AuditEstimates:
    """What the answers tell of the whole data set, with 95 % intervals over the draw.

    Attributes:
        rate: Share of wrong labels.
        precision: Share of wrong labels among the flagged ones; NaN where none is flagged, or no answer tells of one.
        recall: Share of the wrong labels that are flagged; NaN where no wrong one was seen, or no answer tells of the flagged
            or of the others. The interval is then 0 to 1.
        rate_if_unclear: The rate if all labels that nobody could tell of were right, and if all were wrong.
        population: Samples that the rate is of.
        flagged: How many of them are flagged.
        asked: Samples drawn.
        right: How many of them were called right.
        wrong: How many were called wrong.
        unclear: How many nobody could tell of: answered so, or passed over before the last answer.
    """

    rate: Estimate
    precision: Estimate
    recall: Estimate
    rate_if_unclear: tuple[float, float]
    population: int
    flagged: int
    asked: int
    right: int
    wrong: int
    unclear: int

    def __repr__(self) -> str:
        value, low, high = self.rate
        return f"AuditEstimates(rate {value:.2%}, {low:.2%} to {high:.2%}, {self.right + self.wrong} answers)"


def draw_audit(
    suspicion: NDArray[Any], flagged: NDArray[Any], m: int, *, seed: int = 0, leave_out: NDArray[Any] | None = None
) -> AuditSample:
    """A stratified random sample for a person to look at.

    Args:
        suspicion: Higher is more likely mislabeled, shape (n,).
        flagged: Whether a label disagrees with the evidence, shape (n,): the cut whose precision and recall are wanted.
        m: Samples to draw; all where there are no more.
        seed: Of the draw.
        leave_out: Samples that are neither drawn nor counted, shape (n,), such as dropped ones.

    Raises:
        BadData: The arrays are of another kind or length, or a suspicion is not finite.
        BadUsage: ``m`` is too small for ``FEWEST`` of two strata, or all samples are left out.
    """
    values, flags, kept = _checked(suspicion, flagged, leave_out)
    seed = whole(seed, "seed")
    order = np.flatnonzero(kept)
    order = order[np.lexsort((-values[order], ~flags[order]))]  # the flagged ones first, most suspicious first
    total, cut = len(order), int(flags[order].sum())
    m = min(whole(m, "m", least=2 * FEWEST), total)
    shares = guessed_shares(total, cut)
    edges = _edges(shares, cut, m)
    sizes = np.diff(edges)
    spread = np.sqrt(shares * (1 - shares))
    weights = np.add.reduceat(spread, edges[:-1])
    if cut:  # the squared relative errors of the rate and of the precision, added
        weights[edges[:-1] < cut] *= np.hypot(1, shares.sum() / shares[:cut].sum())
    drawn = _allocated(sizes, weights, m)
    samples, place = [], []
    for h, (size, count) in enumerate(zip(sizes, drawn, strict=True)):
        chosen: Indices = edges[h] + permutation(seed, f"audit/draw/{h}", int(size))[:count]
        samples.append(order[chosen])
        place.append((np.arange(count) + uniforms(seed, f"audit/order/{h}", int(count))) / count)
    asked = np.argsort(np.concatenate(place), kind="stable")
    return AuditSample(
        samples=read_only(np.concatenate(samples).astype(np.int64)[asked]),
        strata=read_only(np.repeat(np.arange(len(sizes)), drawn)[asked]),
        sizes=read_only(sizes.astype(np.int64)),
        flagged=read_only(edges[:-1] < cut),
        seed=seed,
    )


def guessed_shares(n: int, flagged: int) -> Floats:
    """Guessed chance that each label is wrong, in the order of suspicion, the flagged ones first: → (n,).

    It decides how many are drawn of which stratum and never enters an estimate. ``GUESSED_PRECISION`` of the flagged;
    beyond them falling as 1 / (rank + max(flagged, n / 50)), to ``GUESSED_BEYOND`` as many in sum, and not below
    ``GUESSED_LEAST`` of them.
    """
    beyond = n - flagged
    fall = 1 / (np.arange(1, beyond + 1) + max(flagged, n / 50))
    wrong = max(GUESSED_BEYOND * GUESSED_PRECISION * flagged, GUESSED_LEAST * beyond)
    tail = np.clip(fall * wrong / fall.sum(), 1e-3, 0.5) if beyond else fall
    return np.concatenate([np.full(flagged, GUESSED_PRECISION), tail])


def audit_estimates(sample: AuditSample, answers: Sequence[str] | NDArray[Any]) -> AuditEstimates:
    """Rate of wrong labels, and precision and recall at the cut, from the answers about a sample.

    What follows the last answer was not reached and costs nothing but width. Labels that nobody could tell of are left
    out as if they were a random part of their stratum, which no answer can show: ``rate_if_unclear`` says how much hangs
    on it. A stratum without an answer may hold anything between none and all wrong, and the intervals say so.

    Args:
        sample: What was drawn.
        answers: ``right``, ``wrong``, ``cannot tell``, or empty for none yet; shape (m,), in the order of ``samples``.

    Raises:
        BadData: There is another number of answers, an unknown one, or none that tells.
    """
    check_kind(sample, AuditSample, "sample", "draw_audit(suspicion, flagged, m) gives one")
    given = np.asarray([str(answer) for answer in answers])
    if given.shape != sample.samples.shape:
        msg = f"there are {given.size} answers about {len(sample.samples)} samples; give one for each, empty where none"
        raise BadData(msg)
    odd = np.flatnonzero(~np.isin(given, ANSWERS))
    if odd.size:
        msg = f"answers[{odd[0]}] is '{given[odd[0]]}' ({odd.size} such answers), expected right, wrong or cannot tell"
        raise BadData(msg)
    right, wrong = (_counts(given == word, sample) for word in ("right", "wrong"))
    if not (right + wrong).any():
        msg = "no label was called right or wrong: nothing can be estimated yet"
        raise BadData(msg)
    reached = np.flatnonzero(given != "")[-1] + 1
    unclear = _counts((np.arange(len(given)) < reached) & ~np.isin(given, ANSWERS[:2]), sample)
    seen = right + wrong
    weights = sample.sizes / sample.sizes.sum()
    return AuditEstimates(
        rate=rate_interval(wrong, seen, sample.sizes),
        precision=rate_interval(*(part[sample.flagged] for part in (wrong, seen, sample.sizes))),
        recall=recall_interval(wrong, seen, sample.sizes, sample.flagged),
        rate_if_unclear=(
            float(weights @ stratum_shares(wrong, seen + unclear, sample.sizes)),
            float(weights @ stratum_shares(wrong + unclear, seen + unclear, sample.sizes)),
        ),
        population=int(sample.sizes.sum()),
        flagged=int(sample.sizes[sample.flagged].sum()),
        asked=len(given),
        right=int(right.sum()),
        wrong=int(wrong.sum()),
        unclear=int(unclear.sum()),
    )


def _counts(which: Bools, sample: AuditSample) -> Labels:
    return np.bincount(sample.strata[which], minlength=len(sample.sizes))


def _edges(shares: Floats, cut: int, m: int) -> Indices:
    """Where strata begin and the last ends, in the order of suspicion: slices of equal cumulated spread on either side."""
    spread = np.sqrt(shares * (1 - shares))
    edges = [0]
    for start, stop in ((0, cut), (cut, len(shares))):
        if start == stop:
            continue
        asked = m * spread[start:stop].sum() / spread.sum()
        strata = int(np.clip(asked // PER_STRATUM, 1, min(MOST_STRATA, (stop - start) // FEWEST or 1)))
        sums = spread[start:stop].cumsum()
        inner = start + 1 + np.searchsorted(sums, sums[-1] * np.arange(1, strata) / strata)
        edges += [*inner.tolist(), stop]
    return np.unique(edges).astype(np.intp)


def _allocated(sizes: Indices, weights: Floats, m: int) -> Labels:
    """Samples to draw of each stratum, (h,), m in all: half by weight, half by size, none below ``FEWEST`` or above all."""
    least = np.minimum(sizes, FEWEST)
    wanted = m * (weights / weights.sum() + sizes / sizes.sum()) / 2
    low, high = 0.0, 2 * sizes.sum() / m
    for _ in range(100):  # the factor at which limited numbers sum to m
        middle = (low + high) / 2
        if np.clip(wanted * middle, least, sizes).sum() < m:
            low = middle
        else:
            high = middle
    exact = np.clip(wanted * high, least, sizes)
    drawn = np.floor(exact + 1e-9).astype(np.int64)
    rest = np.argsort(drawn - exact, kind="stable")[: m - drawn.sum()]
    drawn[rest] += 1
    return drawn


def _checked(
    suspicion: NDArray[Any], flagged: NDArray[Any], leave_out: NDArray[Any] | None
) -> tuple[Floats, Bools, Bools]:
    """Suspicion, flags, and which samples count, each of shape (n,)."""
    values, flags = np.asarray(suspicion), np.asarray(flagged)
    if values.ndim != 1 or values.dtype.kind not in "fiu" or not len(values) or not np.isfinite(values).all():
        msg = f"suspicion must be finite numbers of shape (n,), got {values.dtype} of shape {values.shape}"
        raise BadData(msg)
    masks = {"flagged": flags}
    if leave_out is not None:
        masks["leave_out"] = np.asarray(leave_out)
    for what, mask in masks.items():
        if mask.dtype != np.bool_ or mask.shape != values.shape:
            msg = f"{what} must be true or false for each of {len(values)} samples, got {mask.dtype} of shape {mask.shape}"
            raise BadData(msg)
    kept = ~masks["leave_out"] if leave_out is not None else np.ones(len(values), bool)
    if not kept.any():
        msg = "all samples are left out: nothing is there to draw from"
        raise BadUsage(msg)
    return values.astype(np.float64), flags, kept
