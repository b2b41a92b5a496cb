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
from noisybench.noise.exchange_steps import Column, Force, Places, advance, begin, coherence_of, labels_of, places_of
from noisybench.statistics.coherence import Coordinates, Realised, realised

MOST_SWEEPS = 400
"""Sweeps after which a target counts as out of reach."""
PATIENCE = 40
"""Sweeps without coming nearer after which it does, too."""
SETTLING = 4
"""Fewest sweeps after the target is reached; else as many as it took to reach it."""
_STIFF = 100.0
"""Spring of coherence, for each flip: several times what holds it where clustering is a transition of first order."""
_WITHIN = 2.0
"""Springs are at least so strong that chance alone moves a coordinate by half its tolerance."""
_GAIN = 0.05
"""Feedback of the slopes in a sweep, in parts of the springs."""
_STEEP, _COLD = 200.0, 30.0
"""Bounds of the slopes: of difficulty, for the largest change by one exchange; of coherence, for each flip."""
_LOAD = 0.15
"""Proposals looked at together, in parts of those of which each sample is touched once."""


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
    steps, slopes = 0, (0.0, 0.0)
    if places.flips:
        steps, slopes = _run(column, places, targets, reach, seed=seed)
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
) -> tuple[int, tuple[float, float]]:
    """Run the chain until it has come to the targets and stayed, or does not come nearer: steps and slopes."""
    least = (1 / (2 * places.chance**2) if places.chance else 0.0, _STIFF * places.flips)
    springs = (max(_WITHIN / reach[0] ** 2, _STIFF * least[0]), max(_WITHIN / reach[1] ** 2, _STIFF * places.flips))
    limits = (_STEEP / places.largest_step, _COLD * places.flips)
    slopes, goal, total = np.zeros(2), np.array(targets), 0
    arrived, inside, nearest, since = 0, 0, np.inf, 0
    waiting, share, spread = np.empty((3, 0)), 0.5, len(column.flipped) * _LOAD / (4 * places.neighbours.shape[1])
    for sweep in range(1, MOST_SWEEPS + 1):
        fresh, at = uniforms(seed, f"exchange-{sweep}", 3 * places.flips).reshape(3, -1), 0
        while at < places.flips:
            many = max(1, int(spread / share) - waiting.shape[1])
            part = fresh[:, at : at + many]
            at += part.shape[1]
            away = goal - (column.difficulty, coherence_of(column, places))
            slopes += _GAIN * part.shape[1] / places.flips * 2 * np.array(springs) * away
            slopes = np.clip(slopes, -np.array(limits), limits)
            force = Force((slopes[0], slopes[1]), springs, targets, limits)
            judged = np.concatenate([waiting, part], axis=1)
            accepted, waiting = advance(column, places, force, judged)
            share = 0.9 * share + 0.1 * max(accepted / (judged.shape[1] - waiting.shape[1]), 0.02)
        off = _distance((column.difficulty, coherence_of(column, places)), targets, reach)
        inside = inside + 1 if off <= 1 else 0
        arrived = arrived or (sweep if inside else 0)
        if inside >= SETTLING and sweep >= 2 * arrived:
            break
        if off < nearest - 0.1:
            nearest, since = off, sweep
        elif not arrived and sweep - since > PATIENCE:
            break
    return sweep * places.flips, (float(slopes[0]), float(slopes[1]))


def _distance(now: tuple[float, float], targets: tuple[float, float], reach: tuple[float, float]) -> float:
    return max(abs(x - goal) / width for x, goal, width in zip(now, targets, reach, strict=True))
