"""The maps of the phase study, read from its results alone: points by target, and what each score says there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from noisybench.studies.grids import grid_of_results
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_points import MAIN
from noisybench.studies.results import StudyResults

STUDY = "phase"
PhaseRecord = Mapping[str, Any]


class MapTarget(NamedTuple):
    """A place of a map that was asked for."""

    difficulty: float
    coherence: float


class Scored(NamedTuple):
    """What is told of a score at some point: the detector, and by what it was made."""

    detector: str
    by: str


@dataclass(frozen=True, repr=False)
class PhaseMaps:
    """The results of the phase study, by where they stand.

    Attributes:
        results: As they were read.
        grid: Of them.
        points: Records of points.
        scores: Records of scores.
    """

    results: StudyResults
    grid: PhaseGrid
    points: Sequence[PhaseRecord]
    scores: Sequence[PhaseRecord]

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the maps beside the main one."""
        return tuple(dict.fromkeys(one["map"] for one in self.points if one["map"] != MAIN))

    def detectors(self, kind: str = "detector", by: str = "features") -> tuple[str, ...]:
        """Names of all detectors of a kind that were scored so, in their order."""
        found = (one["detector"] for one in self.scores if (one["kind"], one["by"]) == (kind, by))
        return tuple(dict.fromkeys(found))

    def at_targets(self, field: str, *, by: str, where: str = MAIN) -> dict[str, dict[MapTarget, dict[int, float]]]:
        """Detector → target → draw → the value of a field; nothing of targets that were not reached."""
        places = {one["point"]: one for one in self.points if one["role"] == "target" and one["map"] == where}
        found: dict[str, dict[MapTarget, dict[int, float]]] = {}
        for one in self.scores:
            place = places.get(one["point"])
            if place is None or one["by"] != by or field not in one:
                continue
            target = MapTarget(place["target_difficulty"], place["target_coherence"])
            found.setdefault(one["detector"], {}).setdefault(target, {})[one["draw"]] = one[field]
        return found

    def at(self, field: str, *, role: str, where: str, by: str = "features") -> dict[str, list[float]]:
        """Detector → the values of a field at the points of a role, a draw each."""
        found: dict[str, list[float]] = {}
        for one in self.scores:
            if (one["role"], one["map"], one["by"]) == (role, where, by) and field in one:
                found.setdefault(one["detector"], []).append(one[field])
        return found

    def placed(self, *, role: str, where: str) -> list[PhaseRecord]:
        """Records of the points of a role in a map that have coordinates."""
        return [one for one in self.points if (one["role"], one["map"]) == (role, where) and one["reached"]]


def phase_maps_of(results: StudyResults) -> PhaseMaps:
    """The maps that results hold.

    Raises:
        BadData: The results are of another grid, or of none that can be meant.
    """
    grid = grid_of_results(results, STUDY, PhaseGrid)
    return PhaseMaps(results, grid, results.of("point"), results.of("score"))


def mean_or_nan(values: Iterable[float]) -> float:
    """Mean, NaN of none."""
    found = [*values]
    return float(np.mean(found)) if found else float("nan")


def with_spread(values: Sequence[float]) -> str:
    """For people: the mean, and where there are several draws the least and the greatest in brackets."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{mean_or_nan(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def decimals(value: float | None, digits: int = 3) -> str:
    """For people: a number, a dash for none."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"


OfTargets = Mapping[MapTarget, Mapping[int, float]]
"""Target → draw → a value."""


def change_along(values: OfTargets, axis: str, draw: int) -> float:
    """How much a value changes from the lowest to the highest reached target of an axis, the other target being equal.

    Mean over the targets of the other axis of which two or more were reached in the draw; NaN where there is none.

    Args:
        values: Of one detector.
        axis: ``difficulty`` or ``coherence``.
        draw: Of the labels.
    """
    lines: dict[float, dict[float, float]] = {}
    for target, of_draws in values.items():
        if draw in of_draws:
            own, other = (target.difficulty, target.coherence) if axis == "difficulty" else target[::-1]
            lines.setdefault(other, {})[own] = of_draws[draw]
    return mean_or_nan(line[max(line)] - line[min(line)] for line in lines.values() if len(line) > 1)


def in_every_row(targets: Iterable[MapTarget]) -> list[MapTarget]:
    """Those of the reached targets whose difficulty was reached at every coherence that any was: what rows compare over.

    Means of whole rows would mix the two axes, since high rows lack the hard targets. All of them where no difficulty was
    reached in every row.
    """
    found = [*targets]
    rows = {one.coherence: {other.difficulty for other in found if other.coherence == one.coherence} for one in found}
    alike = set[float].intersection(*rows.values()) if rows else set[float]()
    return [one for one in found if one.difficulty in alike] if alike else found


class Lead(NamedTuple):
    """Which detector leads at a target, by its mean over the draws that reached it.

    Attributes:
        target: Of the main map.
        best: The detector of the highest mean AUROC.
        of_draws: Its AUROC in each draw.
        second: The next.
        ahead: By how much it is ahead of that in each draw.
    """

    target: MapTarget
    best: str
    of_draws: tuple[float, ...]
    second: str
    ahead: tuple[float, ...]


def leads(maps: PhaseMaps) -> list[Lead]:
    """The lead at every reached target of the main map, among detectors of frozen features."""
    values = maps.at_targets("auroc", by="features")
    asked = [values[name] for name in maps.detectors() if name in values]
    names = [name for name in maps.detectors() if name in values]
    found = []
    for target in dict.fromkeys(target for one in asked for target in one):
        table = [
            (mean_or_nan(one[target].values()), name) for one, name in zip(asked, names, strict=True) if target in one
        ]
        if len(table) < 2:  # noqa: PLR2004 - nobody to be ahead of
            continue
        (_, best), (_, second) = sorted(table, key=lambda row: (-row[0], row[1]))[:2]
        own, other = values[best][target], values[second][target]
        found.append(Lead(target, best, tuple(own.values()), second, tuple(own[draw] - other[draw] for draw in own)))
    return sorted(found)


def nearest_target(maps: PhaseMaps, name: str) -> PhaseRecord | None:
    """The reached target of a named variant's own map whose realised coordinates are nearest to the variant's."""
    own = maps.placed(role="named", where=name)
    if not own:
        return None

    def away(one: PhaseRecord) -> float:
        return float(np.hypot(*(one[field] - own[0][field] for field in ("difficulty", "coherence"))))

    return min(maps.placed(role="target", where=name), key=away, default=None)
