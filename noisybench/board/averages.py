"""Averages over runs: by label column, and which rows are complete."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from noisybench.runs.reading import Run
from noisybench.runs.record import NOBODY, Learner
from noisybench.statistics.resampling import Cells, LabelColumn


def is_matched(learner: Learner, whose: str) -> bool | None:
    """Whether a memorization is of the learner's own model, recipe, epochs and features; None where there is none."""
    if not whose or learner == NOBODY:
        return None
    own = f"{learner.model}, {learner.recipe}, {learner.epochs} epochs ({learner.trained}), "
    return whose.startswith(own) and whose.endswith(f", on {learner.features}")


def counts_of(runs: Sequence[Run]) -> dict[str, Any]:
    """How many seeds, label columns and families there are in runs."""
    return {
        "seeds": len({run.seed for run in runs}),
        "variants": len({run.column.variant_id for run in runs}),
        "families": len({run.column[:2] for run in runs}),
    }


def cells_of(values: Iterable[tuple[Run, float]]) -> Cells:
    """The finite values, by label column."""
    cells: dict[LabelColumn, list[float]] = {}
    for run, value in values:
        if math.isfinite(value):
            cells.setdefault(run.column, []).append(value)
    return cells


def _history(runs: Iterable[Run], name: str) -> Cells:
    return cells_of((run, run.history.get(name, math.nan)) for run in runs)


def which_complete(rows: Sequence[tuple[Learner, set[tuple[LabelColumn, int]]]], begun: Sequence[Run]) -> list[bool]:
    """Whether a row has all that any row of its regime has, and no run of its learner is unfinished.

    A training must have every label column with every seed that any training has. A pool has averaged over many models
    and given scores are as they are, so that these need every label column, whatever the seeds.
    """
    columns = {column for _, cells in rows for column, _ in cells}
    seeds = set().union(*(cells for learner, cells in rows if learner.regime == "training"))
    broken = {run.learner for run in begun}
    return [
        {column for column, _ in cells} == columns
        and (learner.regime != "training" or cells == seeds)
        and learner not in broken
        for learner, cells in rows
    ]
