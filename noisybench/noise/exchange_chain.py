"""The chain of ``exchange`` under way: its slopes, which follow the targets, and the proposals that wait."""

from dataclasses import dataclass, field

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.noise.exchange_steps import Force, Geometry, Labeling, advance, coherence_of, renew

_STIFF = 100.0
"""Spring of coherence, for each flip: several times what holds it where clustering is a transition of first order; and of
difficulty, in parts of what chance alone would have."""
_WITHIN = 2.0
"""Springs are at least so strong that chance moves a coordinate by half its tolerance."""
_GAIN = 0.05
"""Feedback of the slopes in a sweep, in parts of the springs."""
_STEEP, _COLD = 200.0, 30.0
"""Bounds of the slopes: of difficulty, for the largest change by one exchange; of coherence, for each flip. Colder chains
freeze where they are."""
_LOAD = 0.15, 0.3
"""Proposals looked at together, in parts of those of which an accepted one touches each sample once: of few that are
accepted, and what is added where all are, which wait less for each other."""
_LEAST_SHARE = 0.02
"""Least share of accepted proposals that is counted on."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a chain shall come.

    Attributes:
        targets: Of difficulty and coherence.
        width: Distances that count as reached.
        springs: s and r of the law.
        limits: Bounds of its slopes.
    """

    targets: tuple[float, float]
    width: tuple[float, float]
    springs: tuple[float, float]
    limits: tuple[float, float]


def aim_at(places: Geometry, targets: tuple[float, float], width: tuple[float, float]) -> Aim:
    """The aim with springs and bounds that suit the number of flips and the tolerance."""
    by_chance = 1 / (2 * places.chance**2) if places.chance else 0.0
    stiff = (_STIFF * by_chance, _STIFF * places.flips)
    return Aim(
        targets=targets,
        width=width,
        springs=(max(_WITHIN / width[0] ** 2, stiff[0]), max(_WITHIN / width[1] ** 2, stiff[1])),
        limits=(_STEEP / places.largest_step, _COLD * places.flips),
    )


@dataclass(slots=True, eq=False)
class Chain:
    """A chain; ``sweep`` moves it on.

    Attributes:
        column: The labels, which are written to.
        places: What stays.
        aim: Where it shall come.
        slopes: a and b of the law, shape (2,).
        waiting: Proposals that are judged next, shape (3, w).
        share: Of proposals that are accepted, about.
    """

    column: Labeling
    places: Geometry
    aim: Aim
    slopes: Floats = field(default_factory=lambda: np.zeros(2))
    waiting: Floats = field(default_factory=lambda: np.empty((3, 0)))
    share: float = 0.5

    @property
    def coordinates(self) -> tuple[float, float]:
        """Difficulty and coherence as they are."""
        return self.column.difficulty, coherence_of(self.column, self.places)

    @property
    def distance(self) -> float:
        """Of the coordinate that is further off, in parts of its tolerance."""
        aim = self.aim
        return max(abs(x - goal) / w for x, goal, w in zip(self.coordinates, aim.targets, aim.width, strict=True))

    def sweep(self, uniform: Floats) -> None:
        """Propose exchanges, shape (3, m), and let the slopes follow what comes of them."""
        aim, m, at = self.aim, uniform.shape[1], 0
        springs, bounds, targets = np.array(aim.springs), np.array(aim.limits), np.array(aim.targets)
        touched = 4 * self.places.neighbours.shape[1] / len(self.column.flipped)  # share of samples, by one exchange
        while at < m:
            load = _LOAD[0] / self.share + _LOAD[1]
            many = int(load / touched) - self.waiting.shape[1]
            part = uniform[:, at : at + max(many, 0 if self.waiting.size else 1)]
            at += part.shape[1]
            drift = _GAIN * part.shape[1] / m * 2 * springs * (targets - self.coordinates)
            self.slopes = np.clip(self.slopes + drift, -bounds, bounds)
            force = Force((self.slopes[0], self.slopes[1]), aim.springs, aim.targets, aim.limits)
            judged = np.concatenate([self.waiting, part], axis=1)
            accepted, self.waiting = advance(self.column, self.places, force, judged)
            found = accepted / (judged.shape[1] - self.waiting.shape[1])
            self.share = max(0.9 * self.share + 0.1 * found, _LEAST_SHARE)
        renew(self.column, self.places)
