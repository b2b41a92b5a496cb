"""Where each human column lies within its twins: permutation p-values, and Holm's correction within families."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.statistics.replication import holm
from noisybench.studies.atlas_grid import HUMAN, KINDS, PUBLISHED, UNCONTESTED, AtlasGrid
from noisybench.studies.atlas_records import ESTIMANDS
from noisybench.studies.grids import grid_of_results
from noisybench.studies.results import StudyResults

PLACED: Mapping[str, str] = {
    "difficulty": "difficulty coordinate",
    "coherence": "coherence coordinate",
    "memorization": "memorization of the given label",
    "clean_damage": "clean damage",
    "label_swap": "label swap",
    "test_accuracy": "test accuracy of heads",
}
"""Quantities of the family of places: coordinates, and what heads on features do."""
FOUND: Mapping[str, str] = {
    "auroc": "mean AUROC of the detectors",
    "auroc_within_given": "the same within the given label",
}
"""Quantities of the family of detection."""
QUANTITIES: Mapping[str, str] = {**PLACED, **FOUND}
BELOW = ("test_accuracy", *FOUND)
"""Quantities that people's labels are expected to have less of than their twins: found less well, and costing accuracy. Of all
others they are expected to have more: they are the side that p-values are of, which stood before anything was measured."""
TEST_VERSIONS: Mapping[str, str] = {
    "test_accuracy": "as published",
    "test_accuracy_left_out": "confirmed test errors left out",
    "test_accuracy_put_right": "confirmed test errors put right",
}
COLUMN_FIELDS = (
    *dict.fromkeys((*PLACED, *TEST_VERSIONS)),
    "agreement",
    "expected",
    *(f"{name}_se" for name in ESTIMANDS),
)
"""Numbers of a record of a column."""
LEVEL = 0.05
DETECTOR = "detector"
"""Role of what is averaged; the others are controls."""


class Placement(NamedTuple):
    """A human value within its twins.

    Attributes:
        set: Name of the human column.
        truth: By which labels are wrong.
        kind: Of the twins.
        quantity: What was measured: a key of ``QUANTITIES``, or the name of a detector.
        human: People's value.
        twins: Of the twins, shape (t,).
        p: Permutation p-value of the expected side.
        adjusted: The same after Holm's correction in its family.
        contrary: That of the other side, corrected in the same way.
    """

    set: str
    truth: str
    kind: str
    quantity: str
    human: float
    twins: Floats
    p: float
    adjusted: float
    contrary: float

    @property
    def side(self) -> int:
        """1 where people's value is significant on the expected side, -1 where on the other, 0 where on neither."""
        return int(self.adjusted <= LEVEL) - int(self.contrary <= LEVEL)


def expected_side(quantity: str) -> int:
    """1 where people's value is expected above that of twins, -1 where below; of a detector's AUROC below."""
    return -1 if quantity.rpartition(".")[2] in BELOW else 1


def permutation_p(human: float, twins: Floats, side: int) -> float:
    """One-sided p-value by rank: (1 + number of twins at least as extreme) / (1 + twins).

    Under the null that people's column is drawn as a twin is, it is at most α with chance α. NaN where a value is unknown.

    >>> permutation_p(5.0, np.arange(4.0), 1), permutation_p(5.0, np.arange(4.0), -1)
    (0.2, 1.0)

    Args:
        human: People's value.
        twins: Of the twins, shape (t,).
        side: 1 where large values are extreme, -1 where small ones.
    """
    if not len(twins) or not math.isfinite(human) or not np.isfinite(twins).all():
        return math.nan
    return (1 + int((side * twins >= side * human).sum())) / (1 + len(twins))


def twins_needed(family: int) -> int:
    """Fewest twins with which one of so many quantities can be significant after Holm's correction."""
    return math.ceil(family / LEVEL) - 1


class AtlasReadings:
    """The records of an atlas, read by set, truth and kind."""

    def __init__(self, results: StudyResults) -> None:
        self.grid: AtlasGrid = grid_of_results(results, "atlas", AtlasGrid)
        self.sets = {one["set"]: one for one in results.of("set")}
        self.columns = results.of("column")
        self.scores = results.of("score")
        self.samples = results.of("sample")
        self.images = results.of("image")

    @cached_property
    def detectors(self) -> dict[str, str]:
        """Name of each detector and control → its role."""
        return {one["detector"]: one["role"] for one in self.scores}

    @cached_property
    def _values(self) -> dict[tuple[str, str, str, str], list[float]]:
        """Set, truth, kind and quantity → values by draw; those of detection, and of each detector, of who was scored.

        What a column does not know is NaN, and nothing is placed among twins of which one is: those that are left are no
        draws of the permutation.
        """
        found: dict[tuple[str, str, str, str], list[float]] = {}
        for one in self.columns:
            for name in COLUMN_FIELDS:
                found.setdefault(_key(one, name), []).append(float(one.get(name, math.nan)))
        sums: dict[tuple[str, str, str, str], dict[int, list[float]]] = {}
        for one in self.scores:
            for field in FOUND:
                value = float(one.get(field, math.nan))
                found.setdefault(_key(one, f"{one['detector']}.{field}"), []).append(value)
                if one["role"] == DETECTOR:
                    sums.setdefault(_key(one, field), {}).setdefault(int(one["draw"]), []).append(value)
        found |= {key: [float(np.mean(own)) for own in draws.values()] for key, draws in sums.items()}
        return {key: own for key, own in found.items() if not np.isnan(own).all()}

    def values(self, set_: str, truth: str, kind: str, quantity: str) -> Floats:
        """Values of every draw, shape (t,); empty where nothing is known."""
        return np.array(self._values.get((set_, truth, kind, quantity), []), dtype=np.float64)

    def human(self, set_: str, truth: str, quantity: str) -> float:
        """People's value; NaN where nothing is known."""
        own = self.values(set_, truth, HUMAN, quantity)
        return float(own[0]) if len(own) else math.nan

    def truths(self, set_: str) -> list[str]:
        """By which truths a set was measured."""
        return [truth for truth in (PUBLISHED, UNCONTESTED) if len(self.values(set_, truth, HUMAN, "difficulty"))]

    def places(self, set_: str, truth: str, kind: str) -> list[Placement]:
        """The quantities of a set and kind: places corrected together, and those of detection each alone."""
        families = ([*PLACED], *([name] for name in FOUND))
        return [one for family in families for one in self._family(set_, truth, kind, family)]

    def detector_places(self, set_: str, truth: str, kind: str, field: str = "auroc") -> list[Placement]:
        """Each detector's AUROC, all of them one family."""
        names = [name for name, role in self.detectors.items() if role == DETECTOR]
        return self._family(set_, truth, kind, [f"{name}.{field}" for name in names])

    def every_place(self, truth: str = PUBLISHED) -> Iterator[Placement]:
        """Of all sets and kinds."""
        for name in self.sets:
            for kind in KINDS:
                yield from self.places(name, truth, kind)

    def _family(self, set_: str, truth: str, kind: str, quantities: Sequence[str]) -> list[Placement]:
        """Quantities that are known, corrected together."""
        found = []
        for quantity in quantities:
            human, twins = self.human(set_, truth, quantity), self.values(set_, truth, kind, quantity)
            p, other = (permutation_p(human, twins, sign * expected_side(quantity)) for sign in (1, -1))
            if math.isfinite(p):
                found.append(Placement(set_, truth, kind, quantity, human, twins, p, math.nan, other))
        adjusted, contrary = (holm(values) for values in ([one.p for one in found], [one.contrary for one in found]))
        return [
            one._replace(adjusted=float(p), contrary=float(other))
            for one, p, other in zip(found, adjusted, contrary, strict=True)
        ]


def _key(record: Mapping[str, Any], quantity: str) -> tuple[str, str, str, str]:
    return record["set"], record["truth"], record["kind"], quantity
