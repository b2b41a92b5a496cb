"""Planning a comparison: how small a difference of two AUROCs can be found, and what it takes to find a smaller one.

A run's AUROC varies with the samples, with the draw of the noise and with the seed of the training, and so does the
difference of two detectors in one run. Three correlations say how much less a mean of differences varies: of the two
detectors in one run (what they share cancels), of one draw's differences with two seeds, and of two draws' differences
on the same samples (what no further draw takes away). With D draws and S seeds of each, a difference has

    variance = 2 V (1 − detectors) × (draws + (seeds − draws) / D + (1 − seeds) / (D S)),

V being the variance of one run's AUROC. It is found at a level with a power where it is (z of the level + z of the power)
standard errors; the level is shared by all pairs of detectors (Bonferroni), as in the rank sets of the board.

Source: Obuchowski and Rockette 1995, doi:10.1080/03610919508813243, and Hillis 2007, doi:10.1002/sim.2532 (correlated
errors of AUROCs, readers being seeds); Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747 (V).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.errors import BadUsage

LEVEL = 0.05
POWER = 0.8
NUMBER = (int, float, np.integer, np.floating)
MOST = 1_000_000
"""Draws, seeds or times as many samples, beyond which none is named."""


@dataclass(frozen=True, slots=True)
class Correlations:
    """How AUROCs vary together.

    Attributes:
        detectors: Of two detectors' AUROCs in one run.
        seeds: Of one draw's differences of two detectors, with two seeds.
        draws: Of two draws' differences on the same samples; at most ``seeds``.
        spread: Variance of one run's AUROC over Hanley and McNeil's: 1 where scores are as smooth as theirs.
        measured_on: Where they come from, in words.
    """

    detectors: float
    seeds: float
    draws: float
    spread: float = 1.0
    measured_on: str = "as given"

    def __post_init__(self) -> None:
        for name in ("detectors", "seeds", "draws"):
            value = getattr(self, name)
            check_kind(value, NUMBER, name, "give a number")
            if not -1 <= value <= 1 or (name != "detectors" and value < 0):
                least = -1 if name == "detectors" else 0
                msg = f"the correlation '{name}' is {value}, which lies outside [{least}, 1]"
                raise BadUsage(msg)
        if self.draws > self.seeds:
            msg = f"the correlation of draws, {self.draws:g}, is above that of seeds, {self.seeds:g}: a draw shares more with itself"
            raise BadUsage(msg)
        check_kind(self.spread, NUMBER, "spread", "give a number")
        if not (self.spread > 0 and math.isfinite(self.spread)):
            msg = f"spread = {self.spread}, expected a number above 0"
            raise BadUsage(msg)


MEASURED = Correlations(
    detectors=0.19,
    seeds=0.55,
    draws=0.08,
    spread=0.85,
    measured_on="digits (an mlp, 14 detectors, 3 draws and 2 seeds of each, mean of symmetric and asymmetric noise)",
)
"""Correlations where none are given; ``tests/benchmarks/planning.py`` measures them."""


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """What a comparison of detectors by AUROC can find.

    Attributes:
        area: AUROC about which the detectors lie.
        wrong: Mislabeled samples.
        right: Clean samples.
        draws: Draws of the noise.
        seeds: Seeds of each.
        detectors: Detectors that are compared, each with each.
        correlations: Taken as they are at other sizes.
        level: Chance of any false difference.
        power: Chance of finding the difference.
        standard_error: Of the difference of two detectors.
        smallest: Difference that is found with that power.
        difference: The one asked for.
        draws_needed: To find it with as many seeds and samples; None where no number of draws is enough.
        seeds_needed: With as many draws and samples, likewise.
        samples_needed: With as many draws and seeds, at the same share of wrong labels, likewise.
    """

    area: float
    wrong: int
    right: int
    draws: int
    seeds: int
    detectors: int
    correlations: Correlations
    level: float
    power: float
    standard_error: float
    smallest: float
    difference: float
    draws_needed: int | None
    seeds_needed: int | None
    samples_needed: int | None


def plan_comparison(  # a plan is what is asked, field by field
    area: float,
    wrong: int,
    right: int,
    *,
    correlations: Correlations = MEASURED,
    draws: int = 1,
    seeds: int = 1,
    detectors: int = 2,
    difference: float = 0.01,
    level: float = LEVEL,
    power: float = POWER,
) -> ComparisonPlan:
    """The smallest difference of two AUROCs that is found, and what it takes for one of ``difference``.

    Args:
        area: AUROC about which the detectors lie.
        wrong: Mislabeled samples.
        right: Clean samples.
        correlations: See ``Correlations``; ``measure_correlations`` measures them.
        draws: Draws of the noise on the same samples.
        seeds: Seeds of training of each draw.
        detectors: How many are compared, each with each.
        difference: One that is wished for.
        level: Chance of any false difference.
        power: Chance of finding the difference.

    Raises:
        BadUsage: A number is out of its range.
    """
    _check(area, wrong, right, draws, seeds, detectors, difference, level, power)
    check_kind(correlations, Correlations, "correlations", "measure_runs(runs, variant).correlations are some")
    reach = reach_of(level, power, detectors)

    def variance(draws: float, seeds: float, times: float = 1.0) -> float:
        one = correlations.spread * hanley_mcneil(area, wrong * times, right * times)
        shared, of_draw = correlations.draws, correlations.seeds - correlations.draws
        rest = 1 - correlations.seeds
        return 2 * one * (1 - correlations.detectors) * (shared + of_draw / draws + rest / (draws * seeds))

    def enough(variance: float) -> bool:
        return reach * math.sqrt(variance) <= difference

    total = wrong + right
    samples = _least(lambda count: enough(variance(draws, seeds, count / total)), 2 * math.ceil(total / wrong))
    error = math.sqrt(variance(draws, seeds))
    return ComparisonPlan(
        area,
        wrong,
        right,
        draws,
        seeds,
        detectors,
        correlations,
        level,
        power,
        standard_error=error,
        smallest=reach * error,
        difference=difference,
        draws_needed=_least(lambda count: enough(variance(count, seeds))),
        seeds_needed=_least(lambda count: enough(variance(draws, count))),
        samples_needed=samples,
    )


def reach_of(level: float, power: float, detectors: int) -> float:
    """Standard errors of a difference that is found: z of the level that each pair has, plus z of the power."""
    from scipy.special import ndtri

    pairs = detectors * (detectors - 1) / 2
    return float(ndtri(1 - level / pairs / 2) + ndtri(power))


def hanley_mcneil(area: float, wrong: float, right: float) -> float:
    """Variance of one AUROC over samples, with the mean of both counts in place of either; see ``auroc_interval``."""
    spread = area * (1 - area)
    star = (wrong + right) / 2 - 1
    return spread * (1 + star * (1 + 2 * spread) / (2 + spread)) / (wrong * right)


def measure_correlations(scores: Floats, mislabeled: Bools, *, words: str, default: Correlations) -> Correlations:
    """Correlations of AUROCs as they are in finished runs, over all pairs of detectors.

    What a sample does to an AUROC is its placement value (DeLong); products of what it does with two seeds, or in two
    draws, tell what these share. What seeds do beyond that is the variance of the differences over them.

    Args:
        scores: Shape (p, d, s, n): detector, draw of the noise on the same samples, seed, sample.
        mislabeled: Shape (d, n): each draw's wrong labels, of both kinds.
        words: Where they come from.
        default: Whose correlation of draws or of seeds is taken where there is one draw or one seed.
    """
    p, d, s, _ = scores.shape
    areas, effects = _placed(scores, mislabeled)
    alone = np.mean([_parts(areas[i], effects[i]).sum() for i in range(p)])
    pairs = [_parts(areas[i] - areas[j], effects[i] - effects[j]) for i, j in combinations(range(p), 2)]
    of_draws, of_seeds, of_rest = np.maximum(np.mean(pairs, axis=0), 0)
    total = of_draws + of_seeds + of_rest
    seeds = float(1 - of_rest / total) if s > 1 else default.seeds
    draws = float(of_draws / total) if d > 1 else min(default.draws, seeds)
    counts = mislabeled.sum(1), (~mislabeled).sum(1)
    middle = float(areas.mean())
    law = np.mean([hanley_mcneil(middle, int(wrong), int(right)) for wrong, right in zip(*counts, strict=True)])
    return Correlations(float(1 - total / (2 * alone)), seeds, draws, float(alone / law), words)


def areas_of(scores: Floats, mislabeled: Bools) -> Floats:
    """AUROCs of scores (p, d, s, n) against each draw's wrong labels (d, n), shape (p, d, s)."""
    return _placed(scores, mislabeled)[0]


def _placed(scores: Floats, mislabeled: Bools) -> tuple[Floats, Floats]:
    """AUROCs, shape (p, d, s), and each sample's effect on them, (p, d, s, n), whose squares sum to DeLong's variance."""
    effects = np.empty(scores.shape)
    areas = np.empty(scores.shape[:3])
    for at in np.ndindex(*areas.shape):
        wrong = mislabeled[at[1]]
        for ours, sign in ((wrong, 1), (~wrong, -1)):
            values, others = scores[at][ours], np.sort(scores[at][~ours])
            lower = np.searchsorted(others, values) + np.searchsorted(others, values, "right")
            placed = lower / 2 / len(others)
            effects[at][ours] = sign * (placed - placed.mean()) / math.sqrt(len(values) * max(len(values) - 1, 1))
            if sign == 1:
                areas[at] = placed.mean()
    return areas, effects


def _parts(areas: Floats, effects: Floats) -> Floats:
    """Variance that draws share, that seeds of a draw share beyond it, and that is a seed's: shapes (d, s), (d, s, n) → (3,)."""
    d, s, _ = effects.shape
    means = effects.mean(1)
    within = float((effects**2).sum() / (d * s))
    shared = float((means**2).sum() / d)
    if s > 1:  # the mean over pairs of different seeds
        shared = (s * shared - within) / (s - 1)
    across = float(((d * means.mean(0)) ** 2).sum() - (means**2).sum()) / (d * (d - 1)) if d > 1 else 0.0
    own = float(areas.var(axis=1, ddof=1).mean()) if s > 1 else 0.0
    return np.array([across, shared - across, own])


def _least(enough: Callable[[int], bool], first: int = 1) -> int | None:
    """The least count from ``first`` on that is enough, by halving; None where none is up to a million times it."""
    low, high = first - 1, first
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST * first:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check(  # noqa: PLR0917 - one line for each number
    area: float,
    wrong: int,
    right: int,
    draws: int,
    seeds: int,
    detectors: int,
    difference: float,
    level: float,
    power: float,
) -> None:
    """Raise ``BadUsage`` for a number out of its range."""
    for name, value in (("area", area), ("difference", difference), ("level", level), ("power", power)):
        check_kind(value, NUMBER, name, "give a number between 0 and 1")
        if not 0 < value < 1:
            msg = f"{name} = {value}, expected a number between 0 and 1"
            raise BadUsage(msg)
    counts = {
        "wrong": (wrong, 1),
        "right": (right, 1),
        "draws": (draws, 1),
        "seeds": (seeds, 1),
        "detectors": (detectors, 2),
    }
    for name, (count, least) in counts.items():
        if whole(count, name) < least:
            msg = f"{name} = {count}, expected at least {least}"
            raise BadUsage(msg)
