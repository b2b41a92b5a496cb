"""Numbers of the curvature study by draw and training, their means and intervals: from its records alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noisybench.statistics.column_means import LEVEL, student
from noisybench.studies.curvature_records import LAST, MEMORIZATION
from noisybench.studies.curvature_runs import CURVATURE, RIVALS, CurvatureCell, CurvatureGrid
from noisybench.studies.results import StudyResults

ByRun = Mapping[tuple[int, int], float]
"""(draw, seed of training) → a number."""


class Spread(NamedTuple):
    """A mean and its 95 % interval.

    Attributes:
        value: Mean of the means of the draws; NaN of nothing.
        low: NaN where there is one number, and no interval over samples.
        high: The other end.
        over: What the interval covers, in words; empty where there is none.
    """

    value: float
    low: float
    high: float
    over: str

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        return f"{self.value:.3f}" if math.isnan(self.low) else f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


SHARES = (0.0, 1.0)
"""Least and greatest value of a share, and of an AUROC."""
MEMORIZES = 0.5
"""Share of the wrong labels fitted below which the study says that nothing was memorized, in place of correlating."""
NOTHING = Spread(math.nan, math.nan, math.nan, "")


def by_run(records: Iterable[Mapping[str, Any]], field: str, **where: Any) -> dict[tuple[int, int], float]:  # noqa: ANN401
    """A number of each record that has certain values, by draw and seed; unknown ones are left out.

    Several of one draw and seed give their mean.

    Args:
        records: Of one kind.
        field: Of the number.
        where: Field → value; None is that of a field without one.
    """
    found: dict[tuple[int, int], list[float]] = {}
    for one in records:
        if one.get(field) is not None and all(one.get(key) == value for key, value in where.items()):
            found.setdefault((int(one["draw"]), int(one["seed"])), []).append(float(one[field]))
    return {key: sum(values) / len(values) for key, values in found.items()}


def minus(cells: ByRun, others: ByRun) -> dict[tuple[int, int], float]:
    """Differences of what has the same draw and seed.

    What was measured once a draw, as memorization, stands against the mean over the seeds of that draw.
    """
    if len({seed for _, seed in others}) == 1 < len({seed for _, seed in cells}):
        cells = {(draw, seed): value for (draw, seed) in others for value in [_mean_of_draw(cells, draw)]}
    return {key: value - others[key] for key, value in cells.items() if key in others and not math.isnan(value)}


def _mean_of_draw(cells: ByRun, draw: int) -> float:
    own = [value for (each, _), value in cells.items() if each == draw]
    return float(np.mean(own)) if own else math.nan


def mean_over(several: Sequence[ByRun]) -> dict[tuple[int, int], float]:
    """Means over several quantities, of draws and seeds that all of them have."""
    if not several:
        return {}
    keys = [key for key in several[0] if all(key in one for one in several)]
    return {key: float(np.mean([one[key] for one in several])) for key in keys}


def draw_values(cells: ByRun) -> list[float]:
    """The mean of each draw over its trainings; of one draw alone, the value of each training."""
    draws = sorted({draw for draw, _ in cells})
    return [_mean_of_draw(cells, draw) for draw in draws] if len(draws) > 1 else [*cells.values()]


def spread(cells: ByRun, *, bounds: tuple[float, float] = (-1, 1), own: tuple[float, float] | None = None) -> Spread:
    """Mean and interval: over draws, each the mean of its trainings; of one draw over its trainings; of one, over samples.

    Args:
        cells: By draw and seed.
        bounds: Least and greatest value.
        own: Interval over samples, for where there is one number.
    """
    if not cells:
        return NOTHING
    draws = sorted({draw for draw, _ in cells})
    seeds = len({seed for _, seed in cells})
    means = np.array(draw_values(cells))
    over = f"{len(draws)} draws" + (f", {seeds} trainings each" if seeds > 1 else "")
    over = over if len(draws) > 1 else f"{len(cells)} trainings of one draw"
    middle = float(means.mean())
    if len(means) == 1:
        ends = (math.nan, math.nan) if own is None else own
        return Spread(middle, *ends, "" if own is None else "samples, of one draw and training")
    reach = float(student(len(means) - 1, LEVEL)) * float(means.std(ddof=1)) / math.sqrt(len(means))
    return Spread(middle, max(middle - reach, bounds[0]), min(middle + reach, bounds[1]), over)


def setting_of(record: Mapping[str, Any]) -> CurvatureCell:
    """The cell of a record."""
    return CurvatureCell(
        record["source"], record.get("rate"), record["activation"], record["weight_decay"], record["step"]
    )


class Readings:
    """The records of a study, and spreads of what they hold.

    Attributes:
        grid: That they are of.
        sources: Name of each source → its record.
    """

    def __init__(self, results: StudyResults, grid: CurvatureGrid) -> None:
        self.grid = grid
        self.sources = {str(one["source"]): one for one in results.of("source")}
        self._kinds: dict[tuple[str, CurvatureCell | None], list[Mapping[str, Any]]] = {}
        for one in results.records:
            keys: list[tuple[str, CurvatureCell | None]] = [(one["record"], None)]
            if "weight_decay" in one:
                keys.append((one["record"], setting_of(one)))
            for key in keys:
                self._kinds.setdefault(key, []).append(one)

    def of(self, kind: str, setting: CurvatureCell | None = None) -> Sequence[Mapping[str, Any]]:
        """The records of one kind, those of one cell where one is named."""
        return self._kinds.get((kind, setting), [])

    def cells(self, kind: str, setting: CurvatureCell, field: str, **where: Any) -> dict[tuple[int, int], float]:  # noqa: ANN401
        """A number of the records of a cell that have certain values, by draw and seed."""
        return by_run(self.of(kind, setting), field, **where)

    def fitted(self, cell: CurvatureCell) -> float:
        """Mean share of the wrong labels that the trainings of a cell fit; NaN where there are none."""
        each = self.cells("run", cell, "mislabeled_fit")
        return sum(each.values()) / len(each) if each else math.nan

    def centre(self, source: str) -> CurvatureCell:
        """The cell that all others of a source differ from in one thing."""
        grid, own = self.grid, self.sources[source]
        return CurvatureCell(source, own.get("rate"), grid.activations[0], grid.weight_decays[0], own["step"])

    def settings(self, source: str) -> list[CurvatureCell]:
        """The cells of a source that were trained, in the order of the grid."""
        return list(dict.fromkeys(setting_of(one) for one in self.of("run") if one["source"] == source))

    def rates(self, source: str) -> list[float | None]:
        """Rates of planted flips, ascending; None of a variant that was given."""
        own = self.sources[source].get("rate")
        return [None] if own is None else [*self.grid.rates]

    def measures(self, setting: CurvatureCell) -> list[str]:
        """What scores the samples of a cell, curvature first."""
        there = {one["measure"] for one in self.of("score", setting)}
        return [one for one in (CURVATURE, LAST, *RIVALS, MEMORIZATION) if one in there]

    def scores(self, setting: CurvatureCell, measure: str, target: str) -> dict[tuple[int, int], float]:
        """AUROC by draw and seed."""
        return self.cells("score", setting, "auroc", measure=measure, target=target)

    def auroc(self, setting: CurvatureCell, measure: str, target: str) -> Spread:
        """Mean AUROC with its interval; over samples where there is one training of one draw."""
        ends = [
            (one["low"], one["high"])
            for one in self.of("score", setting)
            if "low" in one and (one["measure"], one["target"]) == (measure, target)
        ]
        return spread(self.scores(setting, measure, target), bounds=SHARES, own=ends[0] if ends else None)
