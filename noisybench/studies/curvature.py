"""Curvature: whether the curvature of the loss in the input finds planted errors and duplicates, and agrees with memorization.

Source: Garg, Ravikumar and Roy 2024, arXiv:2307.05831.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from noisybench.ground.checks import a_path
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import each_share
from noisybench.studies.claims import hypotheses_of
from noisybench.studies.curvature_cells import MEMORIZES, Readings
from noisybench.studies.curvature_claims import measured_curvature
from noisybench.studies.curvature_picture import draw_panels, draw_sheets
from noisybench.studies.curvature_records import records_of
from noisybench.studies.curvature_runs import (
    AUTHORS_STEP,
    OWN_STEP,
    CurvatureGrid,
    GridLabels,
    GridPlace,
    measure_truths,
    tasks_of,
    train_all,
    tuned_on,
)
from noisybench.studies.curvature_tables import (
    agreement_table,
    duplicates_table,
    epochs_table,
    fit_table,
    flips_table,
    rivals_table,
    steps_table,
    top_kinds_table,
    tops_table,
)
from noisybench.studies.forecast import StudyForecast, forecast_trainings
from noisybench.studies.grids import choose_grid, grid_of_results
from noisybench.studies.hypotheses import Effect, claims_table, judge_hypotheses, verdicts_of
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine, given_machine

PRESETS: Mapping[str, CurvatureGrid] = {
    "quick": CurvatureGrid(
        limit=200,
        epochs=20,
        rates=(0.05,),
        steps=(AUTHORS_STEP, OWN_STEP),
        directions=2,
        every=10,
        activations=("relu",),
        draws=(0, 1),
        models=20,
    ),
    "standard": CurvatureGrid(),
    "images": CurvatureGrid(
        sources=("mnist", "cifar10"),
        limit=1_000,
        rates=(0.05,),
        steps=(AUTHORS_STEP, OWN_STEP),
        directions=3,
        epochs=30,
        every=10,
        activations=("relu",),
        draws=(0, 1),
        models=0,
    ),
    "full": CurvatureGrid(
        sources=("cifar10", "cifar100"),
        model="resnet18",
        epochs=300,
        duplicates=0.005,
        directions=10,
        every=4,
        draws=(0, 1, 2),
        models=2_000,
        options={
            "batch_size": "128",
            "schedule": "multi_step",
            "milestones": "0.5,0.75",
            "momentum": "0.9",
            "augmentation": "crop_flip",
        },
    ),
}
"""Name → what is trained. ``standard`` and ``images`` are sized for CPUs; ``full`` is of the size of the paper."""

TABLES = (
    "claims", "fit", "flips", "epochs", "duplicates", "rivals", "steps", "agreement", "tops", "top_kinds",
)  # fmt: skip
"""Names of its tables, that which csv takes unless another is asked for first."""


def curvature(
    preset: str | Path | CurvatureGrid,
    out: str | Path = "studies/curvature",
    *,
    plot: str | Path | None = None,
    sheet: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """Whether curvature finds planted errors and conflicting duplicates, and agrees with memorization.

    Runs are kept below ``out``: a study that was stopped goes on, and finished trainings are not repeated. What they gave
    is ``out/results.parquet``, of which ``curvature_findings`` makes the findings again.

    Args:
        preset: A key of ``PRESETS``, or a grid.
        out: Folder of the study.
        plot: A .png, .svg or .pdf file for the picture.
        sheet: Such a file for the most curved images.
        machine: How the networks are trained; None takes one worker, on a GPU where there is one.
        progress: Called after each epoch of each training, and after each subset model.

    Raises:
        UnknownName: There is no such preset, source or model.
        BadUsage: A preset of another kind, or another kind of picture.
        BadData: The files of a source are missing.
        MissingPackage: A picture needs matplotlib.
        Unfinished: The runs of the machine's shard are there, and others are not.
    """
    grid, out = choose_grid(preset, PRESETS), a_path(out, "out")
    pictures = [None if path is None else check_picture(path) for path in (plot, sheet)]
    machine = given_machine(machine)
    labelled = grid.labelled()
    parts: tuple[Any, Any] = (train_all, measure_truths)
    told = {"machine": machine, "progress": progress}
    trained, truths = each_share(partial(part, grid, labelled, out, **told) for part in parts)
    records = [*_sources(grid, labelled), *records_of(grid, labelled, trained, truths)]
    write_results(results_of("curvature", grid, records), out)
    results = read_results(out, "curvature")
    if pictures[0] is not None:
        draw_curvature(results, pictures[0])
    if pictures[1] is not None:
        draw_most_curved(results, pictures[1])
    return curvature_findings(results)


def forecast_curvature(
    preset: str | Path | CurvatureGrid, out: str | Path = "studies/curvature", machine: Machine | None = None
) -> StudyForecast:
    """What ``curvature`` would train: its runs, those that are finished, and how long the others take; nothing is written.

    Subset models are told of, and their time is not reckoned: perceptrons are trained many at a time.

    Raises:
        UnknownName: There is no such preset.
    """
    grid, out, machine = choose_grid(preset, PRESETS), a_path(out, "out"), given_machine(machine)
    labelled = grid.labelled()
    tasks = tasks_of(grid, labelled, out, machine)
    found = forecast_trainings([task.planned(labelled[task.place].source) for task in tasks])
    pools = sum(place[1] == grid.centre(place[0]).rate for place in labelled)
    if not grid.models or found.runs == found.finished:
        return found
    without = f"without {pools} times {grid.models} subset models"
    return found._replace(basis="; ".join(phrase for phrase in (found.basis, without) if phrase))


def curvature_findings(results: StudyResults) -> StudyFindings:
    """Tables and verdicts of what the runs gave.

    Raises:
        BadData: The results are not what this study leaves.
    """
    found = Readings(results, grid_of_results(results, "curvature", CurvatureGrid))
    judged = judge_hypotheses(hypotheses_of("curvature"), measured_curvature(found))
    caption = (
        "Claims on curvature: effects are turned so that the claim says that they are above zero. Reproduced: the interval "
        "lies above zero and the null, after Holm's correction; not reproduced: wholly below the smallest effect of interest."
    )
    return StudyFindings(
        study="curvature",
        about=" ".join(_about(found)),
        tables=(
            claims_table(judged, "claims", caption),
            fit_table(found),
            flips_table(found),
            epochs_table(found),
            duplicates_table(found),
            rivals_table(found),
            steps_table(found),
            agreement_table(found),
            tops_table(found),
            top_kinds_table(found),
        ),
        verdicts=verdicts_of(judged),
    )


def measure_curvature(results: StudyResults) -> Mapping[str, Effect | str]:
    """Name of each hypothesis on curvature → what was measured, or in words why it was not."""
    return measured_curvature(Readings(results, grid_of_results(results, "curvature", CurvatureGrid)))


def draw_curvature(results: StudyResults, path: str | Path) -> None:
    """Draw AUROC by epoch and by rate into a .png, .svg or .pdf file.

    Raises:
        BadUsage: Another kind of picture.
        MissingPackage: It needs matplotlib.
    """
    picture = check_picture(path)
    draw_panels(Readings(results, grid_of_results(results, "curvature", CurvatureGrid)), picture)


def draw_most_curved(results: StudyResults, path: str | Path) -> None:
    """Draw the most curved images of each source, with their labels, into a .png, .svg or .pdf file.

    Raises:
        BadUsage: Another kind of picture.
        BadData: No source has images.
        MissingPackage: It needs matplotlib.
    """
    picture = check_picture(path)
    draw_sheets(Readings(results, grid_of_results(results, "curvature", CurvatureGrid)), picture)


def _sources(grid: CurvatureGrid, labelled: Mapping[GridPlace, GridLabels]) -> Iterator[dict[str, Any]]:
    """A record of each source: at which step it is looked at, and on what ours was chosen where that is this set."""
    for name in grid.sources:
        centre = grid.centre(name)
        one = next(one for place, one in labelled.items() if place[:2] == (name, centre.rate))
        plan = grid.plan(one.source, centre, "cpu")
        yield {
            "record": "source", "source": name, "rate": centre.rate, "step": centre.step, "tuned_on": tuned_on(name),
            "samples": len(one.variant.labels), "model": plan.model, "epochs": plan.recipe.epochs,
        }  # fmt: skip


def _about(found: Readings) -> Iterator[str]:
    """What was run, in sentences."""
    grid = found.grid
    for name, one in found.sources.items():
        runs = sum(each["source"] == name for each in found.of("run"))
        labels = (
            "its own labels"
            if one.get("rate") is None
            else (
                f"symmetric flips at {', '.join(f'{rate:g}' for rate in grid.rates)} and {grid.duplicates:.1%} exact copies under "
                f"conflicting labels"
            )
        )
        yield (
            f"'{name}': {runs} trainings of {one['model']} on {one['samples']:,} samples for {one['epochs']} epochs (recipe "
            f"{grid.recipe}), with {labels}; all else is compared at step {one['step']:g}"
            + (f", for {OWN_STEP:g} was chosen on this very set ({one['tuned_on']})." if "tuned_on" in one else ".")
        )
    fits = [float(one["mislabeled_fit"]) for one in found.of("run") if "mislabeled_fit" in one]
    if fits and sum(fits) / len(fits) < MEMORIZES:
        yield f"Only {sum(fits) / len(fits):.0%} of the wrong labels were fitted: nothing was memorized to speak of."
    failures = found.of("failure")
    if failures:
        yield f"{len(failures)} trainings failed, the first because: {failures[0]['why']}."
