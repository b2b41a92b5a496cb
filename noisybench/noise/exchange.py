"""Label columns at a given place: the same counts in every cell, other difficulty and coherence, by exchanging labels.

Two samples of one clean class exchange their given labels, again and again (Metropolis steps), so that every cell (clean
class, given class) keeps its count exactly. What moves is where the wrong labels sit: on how hard samples, and how near to
others that are wrong alike. ``statistics/coherence.py`` says what these coordinates are. No torch here.
"""

from dataclasses import dataclass

import numpy as np

from noisybench.ground.arrays import Floats, Labels, read_only
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.random_streams import permutation, uniforms
from noisybench.noise.exchange_steps import Column, Force, Places, begin, coherence_of, labels_of, places_of, step
from noisybench.statistics.coherence import Coordinates, Realised, realised

MOST_SWEEPS = 400
"""Sweeps after which a target counts as out of reach."""
PATIENCE = 40
"""Sweeps without coming nearer after which it does, too."""
SETTLING = 4
"""Fewest sweeps after the target is reached; else as many as it took to reach it."""
_STIFF = (
    10.0  # of the spring, a flip and squared unit of coherence: several times what a transition of first order needs
)
_WITHIN = 4.5  # standard deviation of a coordinate about its target: a third of its tolerance
_GAIN = 0.25  # of the slopes' feedback in a sweep, in parts of the spring


@dataclass(frozen=True, slots=True, eq=False)
class Exchanged:
    """What ``exchange`` returns.

    Attributes:
        labels: Given labels, shape (n,), with the counts of the given ones in every cell.
        realised: Their coordinates.
        reached: Whether these are within the tolerance of the targets.
        steps: Exchanges that were proposed.
        slopes: a and b of the law, see ``exchange``, at the end.
    """

    labels: Labels
    realised: Realised
    reached: bool
    steps: int
    slopes: tuple[float, float]


def matched_twin(given: Labels, clean: Labels, *, seed: int, bins: Labels | None = None) -> Labels:
    """The given labels permuted within each clean class, shape (n,): the same counts in every cell, at random samples.

    Args:
        given: Given labels, shape (n,).
        clean: Clean labels, shape (n,); where negative, the given label stays.
        seed: Of the permutation.
        bins: Number of each sample's bin, such as ``difficulty_bins``, shape (n,): labels are permuted within class and
            bin, so that the counts of each stay as well.

    Raises:
        BadData: Arrays of several lengths.
    """
    n = len(given)
    if clean.shape != (n,) or (bins is not None and bins.shape != (n,)):
        shapes = [part.shape for part in (given, clean, bins) if part is not None]
        msg = f"given labels, clean labels and bins must have one length, got {', '.join(map(str, shapes))}"
        raise BadData(msg)
    order = permutation(seed, "twin", n)
    order = order[clean[order] >= 0]
    keys = (clean,) if bins is None else (bins, clean)
    shuffled = order[np.lexsort([key[order] for key in keys])]
    order = np.sort(order)
    twin = given.astype(np.int64)
    twin[order[np.lexsort([key[order] for key in keys])]] = given[shuffled]
    return twin


def exchange(
    given: Labels,
    clean: Labels,
    coordinates: Coordinates,
    *,
    difficulty: float,
    coherence: float,
    seed: int,
    tolerance: tuple[float, float] = (0.01, 0.01),
) -> Exchanged:
    """A column with the counts of ``given`` in every cell whose coordinates are the targets, if they can be reached.

    It starts from a ``matched_twin`` and runs a Metropolis chain whose stationary law is, over all columns with these
    counts,

        P(column) ∝ exp(a D + b C - s (D - D*)² - r (C - C*)²),

    D and C its difficulty and coherence, D* and C* the targets, s and r fixed by the tolerance and the number of flips. The
    springs hold what slopes alone would jump over, where clustering is a transition of first order. The slopes a and b are
    found by feedback, until the coordinates come to the targets; they then stay, while the chain goes on for at least as
    many sweeps as it took, and stops at the end of the first sweep after which both are within the tolerance.

    The law depends on a column by its coordinates alone. So, of the columns that have the coordinates realised, all are
    equally likely under it: it is the law of greatest entropy with these counts and coordinates. What is drawn is from it
    approximately, as from any chain of finite length, not exactly; and in nothing but these two coordinates is it like
    labels of people, of a model, or of whole clusters.

    Args:
        given: Given labels, shape (n,).
        clean: Clean labels, shape (n,); samples of unknown, negative ones keep their label and take no part.
        coordinates: Geometry of the same samples.
        difficulty: Target of the difficulty coordinate, in [0, 1].
        coherence: Target of the coherence coordinate, in [-1, 1].
        seed: Decides every draw.
        tolerance: Distance from the targets of difficulty and coherence that counts as reached; where a single exchange
            changes the difficulty by more than twice as much, half of that change.

    Raises:
        BadUsage: A target or a tolerance that cannot be meant.
        BadData: Arrays of other lengths than the coordinates, or a class that is negative.
    """
    targets = check_targets(difficulty, coherence, tolerance)
    places = places_of(coordinates, given, clean)
    twin = matched_twin(given, clean, seed=seed)
    column = begin(places, twin)
    reach = (max(tolerance[0], places.least_step / 2 * (1 + 1e-9)), tolerance[1])
    sweeps, steps, slopes = 0, 0, (0.0, 0.0)
    if places.flips:
        sweeps, steps, slopes = _run(column, places, targets, reach, seed=seed)
    labels = labels_of(column, places, twin)
    found = realised(coordinates, labels, clean)
    near = _distance((found.difficulty, found.coherence), targets, reach) <= 1
    return Exchanged(read_only(labels), found, reached=not places.flips or near, steps=steps, slopes=slopes)


def check_targets(difficulty: float, coherence: float, tolerance: tuple[float, float]) -> tuple[float, float]:
    """The two targets; ``BadUsage`` where a coordinate cannot be such, or a tolerance is not positive."""
    if not 0 <= difficulty <= 1:
        msg = f"difficulty must be an AUROC in [0, 1] (0.5 is no relation), got {difficulty!r}"
        raise BadUsage(msg)
    if not -1 <= coherence <= 1:
        msg = f"coherence must lie in [-1, 1] (0: no more than chance), got {coherence!r}"
        raise BadUsage(msg)
    if not all(part > 0 for part in tolerance):
        msg = f"tolerance must be two positive distances, got {tolerance!r}"
        raise BadUsage(msg)
    return float(difficulty), float(coherence)


def _run(
    column: Column, places: Places, targets: tuple[float, float], reach: tuple[float, float], *, seed: int
) -> tuple[int, int, tuple[float, float]]:
    """Run the chain until it has come to the targets and stayed, or does not come nearer: sweeps, steps and slopes."""
    least = (1 / (2 * places.chance**2) if places.chance else 0.0, _STIFF * places.flips)
    springs = tuple(max(_WITHIN / width**2, least) for width, least in zip(reach, least, strict=True))
    slopes = np.zeros(2)
    most, arrived, nearest, since = MOST_SWEEPS, None, np.inf, 0
    m = places.at_once
    batches = max(1, -(-2 * places.flips // m))
    for sweep in range(1, most + 1):
        uniform = uniforms(seed, f"exchange-{sweep}", 3 * m * batches).reshape(batches, 3, m)
        rate = _GAIN / batches / (1 if arrived is None else 1 + sweep - arrived)
        for part in uniform:
            now = np.array([column.difficulty, coherence_of(column, places)])
            slopes += rate * 2 * np.array(springs) * (np.array(targets) - now)
            step(column, places, Force((slopes[0], slopes[1]), springs, targets), part)
        away = _distance((column.difficulty, coherence_of(column, places)), targets, reach)
        if away <= 1 and arrived is None:
            arrived = sweep
        if away <= 1 and arrived is not None and sweep >= arrived + max(SETTLING, arrived):
            break
        if away < nearest - 0.1:
            nearest, since = away, sweep
        elif arrived is None and sweep - since > PATIENCE:
            break
    return sweep, sweep * batches * m, (float(slopes[0]), float(slopes[1]))


def _distance(now: tuple[float, float], targets: tuple[float, float], reach: tuple[float, float]) -> float:
    return max(abs(x - goal) / width for x, goal, width in zip(now, targets, reach, strict=True))
