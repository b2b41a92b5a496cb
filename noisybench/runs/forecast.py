"""Forecast: what an evaluation costs and what of it is there already, before anything is trained or written."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from noisybench.data.source import Source
from noisybench.ground.errors import BadData
from noisybench.ground.lookup import find, names
from noisybench.runs.costs import Costs, costs_of
from noisybench.runs.detector_choice import choose_detectors
from noisybench.runs.folder import RECORD, whole_record
from noisybench.runs.training_run import Evaluation
from noisybench.runs.training_task import RECORDED, around, missing_columns
from noisybench.training.model import BuildModel
from noisybench.training.objective import CROSS_ENTROPY, Objective
from noisybench.training.plan import Plan, plan_run


class Repeats(NamedTuple):
    """Observed trainings of a plan that are there already.

    Attributes:
        runs: How many there will be.
        finished: Those that need no training.
        again: Finished ones that are trained again, with the same end.
        lacking: Columns for which they are.
    """

    runs: int
    finished: int
    again: int
    lacking: tuple[str, ...]


def detector_costs(
    source: Source,
    detectors: str | Sequence[str] = "standard",
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    options: Mapping[str, str] | None = None,
    objective: str | Objective = CROSS_ENTROPY,
    objective_options: Mapping[str, str] | None = None,
) -> Costs:
    """What each detector would add to a run of ``evaluate``, in multiples of its training; nothing is trained.

    >>> from noisybench import detector_costs, load_source
    >>> options = {"curvature_every": "5", "curvature_draws": "10"}
    >>> costs = detector_costs(load_source("digits", limit=100), ["aum", "loss_curvature"], epochs=30, options=options)
    >>> {name: (cost.passes, round(cost.trainings, 2)) for name, cost in costs.detectors.items()}
    {'aum': (30.0, 0.0), 'loss_curvature': (66.0, 2.2)}

    Args:
        source: What would be trained on, which decides the recipe.
        detectors: Names, and sets: ``fast``, ``standard`` and ``all``.
        model: See ``plan_run``; also ``recipe``, ``epochs`` and ``options``.
        recipe: Name of the recipe.
        epochs: None takes the recipe's.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        objective: What would be minimised, which decides whether there is a target or an indicator for a detector to read.
        objective_options: Its options as text.

    Raises:
        UnknownName: No such detector, model, recipe, objective or option.
        BadUsage: See ``evaluate``.
    """
    plan = plan_run(
        source,
        model=model,
        recipe=recipe,
        epochs=epochs,
        options=options,
        objective=objective,
        objective_options=objective_options,
    )
    return _costs(plan, choose_detectors(detectors, plan.objective.leaves), source)


def costs_of_evaluation(planned: Evaluation) -> Costs:
    """What each detector of a plan adds to a run."""
    return _costs(planned.plan, planned.detectors, planned.source)


def _costs(plan: Plan, detectors: Mapping[str, str], source: Source) -> Costs:
    return costs_of(
        detectors,
        recorded=RECORDED,
        epochs=plan.recipe.epochs,
        watch=plan.watch,
        num_classes=source.num_classes,
    )


def repeats_of(planned: Evaluation) -> Repeats:
    """What of a plan is there already, and what is trained again for the columns that it lacks; nothing is written."""
    homes = [planned.out / variant.name / planned.plan.folder for variant in planned.variants]
    folders = [home / f"seed-{seed}" for home in homes for seed in planned.seeds]
    here = around(planned.plan, planned.machine)
    finished, again = 0, 0
    lacking: set[str] = set()
    for folder in folders:
        found = whole_record(folder) if (folder / RECORD).is_file() else None
        if found is None or not found.detectors:
            continue
        same = all(
            getattr(found, name) == value for name, value in here.items()
        )  # else it stays as it is, or is refused
        asked = [spec for name, spec in planned.detectors.items() if same or name in planned.named]
        try:
            missing = _missing_columns(folder, found.detectors, planned, asked)
        except BadData:  # a damaged file, which is told when it is mended
            continue
        finished, again = finished + (not missing), again + (bool(missing) and same)
        lacking |= missing if same else set()
    return Repeats(len(folders), finished, again, tuple(sorted(lacking)))


def _missing_columns(folder: Path, listed: Mapping[str, str], planned: Evaluation, asked: Collection[str]) -> set[str]:
    """Columns that a finished run lacks at some epoch.

    Args:
        folder: Of the run.
        listed: Its detectors: name → what the catalog finds it by. Code of others is not imported.
        planned: The plan.
        asked: What the catalog finds those by that are to be added.

    Raises:
        BadData: An epoch's file is damaged.
    """
    installed = names("detectors")
    known = {spec for spec in listed.values() if spec in installed} | {*asked}
    items = [find("detectors", spec) for spec in sorted(known)]
    columns = {column for item in items if "training" in item.fed_by for column in item.needs} | RECORDED
    return missing_columns(folder, columns, planned.plan)
