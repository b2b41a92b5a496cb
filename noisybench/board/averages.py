"""Averages over runs: by label column, and which rows are complete."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from noisybench.memorization.learner import Learner
from noisybench.runs.folder import log
from noisybench.runs.reading import Maker, Run
from noisybench.runs.record import BY_SEED, NOBODY, Setup
from noisybench.statistics.column_means import Cells, LabelColumn


def is_matched(setup: Setup, whose: Learner | None) -> bool | None:
    """Whether a memorization is of the setup's own model, recipe and features; None where there is no memorization."""
    if whose is None or setup == NOBODY:
        return None
    return setup.learner.is_same_training(whose)


def versions_of(runs: Iterable[Run]) -> str:
    """The versions of noisybench that trained some runs, in words; empty where no record says it."""
    return ", ".join(sorted({run.version for run in runs} - {""}))


def counts_of(runs: Sequence[Run]) -> dict[str, Any]:
    """How many seeds, label columns and families there are in runs."""
    return {
        "seeds": len({run.seed for run in runs}),
        "variants": len({run.column.variant_id for run in runs}),
        "families": len({run.column[:2] for run in runs}),
    }


def names_shown(runs: Iterable[Run]) -> dict[tuple[Setup, str, Maker], str]:
    """Setup, detector and its maker → the name of its row: scores by different codes are of different detectors.

    One line for each name that several made says so, and how to make them one.
    """
    makers: dict[tuple[Setup, str], dict[Maker, None]] = {}
    for run in runs:
        for name in run.kinds:
            makers.setdefault((run.setup, name), {})[run.maker(name)] = None
    shown = {}
    for (setup, name), found in makers.items():
        for maker in found:
            origin, code = maker
            words = " ".join(filter(None, (origin, code[:8])))
            shown[setup, name, maker] = name if len(found) == 1 else f"{name} ({words})"
    for name in dict.fromkeys(name for (_, name), found in makers.items() if len(found) > 1):
        log.warning(
            "scores of '%s' were made by different codes, which stand in rows of their own; to average them, evaluate all "
            "of their runs again with one of them",
            name,
        )
    return shown


def cells_of(values: Iterable[tuple[Run, float]]) -> Cells:
    """The finite values, by label column."""
    cells: dict[LabelColumn, list[float]] = {}
    for run, value in values:
        if math.isfinite(value):
            cells.setdefault(run.column, []).append(value)
    return cells


def history_of(runs: Iterable[Run], name: str) -> Cells:
    """A quantity of the end of training, by label column."""
    return cells_of((run, run.history.get(name, math.nan)) for run in runs)


def which_complete(rows: Sequence[tuple[Setup, set[tuple[LabelColumn, int]]]], begun: Sequence[Run]) -> list[bool]:
    """Whether a row has all that any row of its regime has, and no run of its setup is unfinished.

    Trainings must have every label column with every seed that any of them has. A pool has averaged over many models
    and given scores are as they are, so that these need every label column, whatever the seeds.
    """
    columns = {column for _, cells in rows for column, _ in cells}
    seeds = set().union(*(cells for setup, cells in rows if setup.regime in BY_SEED))
    broken = {run.setup for run in begun}
    return [
        {column for column, _ in cells} == columns
        and (setup.regime not in BY_SEED or cells == seeds)
        and setup not in broken
        for setup, cells in rows
    ]
