"""Susceptibility: does the loss drop on random labels track how much of the wrong labels is fitted, and does it choose models?

Settings are the units, the seeds of each averaged. Susceptibilities are compared within a variant only.

Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noisybench.ground.checks import a_path
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.studies.claims import hypotheses_of
from noisybench.studies.forecast import StudyForecast
from noisybench.studies.grids import choose_grid, grid_of_results
from noisybench.studies.hypotheses import Effect, claims_table, judge_hypotheses, verdicts_of
from noisybench.studies.results import StudyResults, results_of, write_results
from noisybench.studies.study import StudyFindings, StudyTable
from noisybench.studies.susceptibility_grid import PRESETS, SusceptibilityGrid
from noisybench.studies.susceptibility_picture import draw_susceptibility
from noisybench.studies.susceptibility_pools import Trained, trained_of
from noisybench.studies.susceptibility_regions import (
    all_regrets,
    region_effects,
    region_table,
    selection_table,
    threshold_table,
)
from noisybench.studies.susceptibility_runs import forecast_runs, read_variants, run_settings
from noisybench.studies.susceptibility_tables import change_table, correlation_effects, correlation_table
from noisybench.training.machine import Machine, given_machine

STUDY = "susceptibility"
TABLES = ("correlations", "changes", "regions", "thresholds", "selection", "settings", "claims", "verdicts")
"""Names of its tables, that which csv takes unless another is asked for first."""


def forecast_susceptibility(
    variants: Sequence[str | Path],
    preset: str | Path | SusceptibilityGrid = "standard",
    out: str | Path = "studies/susceptibility",
    *,
    data: str | Path | None = None,
    machine: Machine | None = None,
) -> StudyForecast:
    """Runs of the study, those that are finished, and about how long the others take; arguments as of ``susceptibility``."""
    grid, folder = choose_grid(preset, PRESETS), a_path(out, "out")
    labelled = read_variants(variants, None if data is None else a_path(data, "data"))
    labelled = [one._replace(source=grid.seen(one.source)) for one in labelled]
    return forecast_runs(grid, labelled, folder, given_machine(machine).device)


def susceptibility(
    variants: Sequence[str | Path],
    preset: str | Path | SusceptibilityGrid = "standard",
    out: str | Path = "studies/susceptibility",
    *,
    plot: str | Path | None = None,
    data: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """Whether susceptibility tracks the share of wrong labels fitted over settings, and whether it chooses good models.

    Runs are kept below ``out``: a study that was stopped goes on, and finished trainings are not repeated. Tables, picture and
    verdicts are made from ``out/results.parquet`` alone.

    Args:
        variants: Their folders.
        preset: ``quick``, ``standard`` or ``full``, a .json file of a grid, or a ``SusceptibilityGrid``.
        out: Folder of runs and results.
        plot: A .png, .svg or .pdf file for the picture.
        data: Where the files of the source of all variants are; None takes where they were.
        machine: How settings are trained; None takes one worker, on a GPU where there is one.
        progress: Called after each epoch of each training.

    Raises:
        UnknownName: There is no such preset.
        BadUsage: A setting cannot be trained on a variant, no variant or one twice, or another kind of picture.
        BadData: A folder is no variant, or its source cannot be read.
        Unfinished: The runs of the machine's shard are there, and others are not.
    """
    grid, folder = choose_grid(preset, PRESETS), a_path(out, "out")
    if plot is not None:
        check_picture(a_path(plot, "plot"))
    labelled = read_variants(variants, None if data is None else a_path(data, "data"))
    labelled = [one._replace(source=grid.seen(one.source)) for one in labelled]
    records = run_settings(grid, labelled, folder, machine=given_machine(machine), progress=progress)
    results = results_of(STUDY, grid, records)
    write_results(results, folder)
    if plot is not None:
        draw_susceptibility(results, a_path(plot, "plot"))
    return susceptibility_findings(results)


def susceptibility_findings(results: StudyResults) -> StudyFindings:
    """Tables and verdicts of results, without any run."""
    trained = trained_of(results)
    tested = _tested(trained)
    regrets = all_regrets(tested) if tested else None
    judged = judge_hypotheses(hypotheses_of(STUDY), correlation_effects(trained) | region_effects(tested))
    tables = [correlation_table(trained), change_table(trained)]
    if regrets is not None:
        tables += [region_table(tested), threshold_table(tested), selection_table(tested, regrets)]
    caption = "Hypotheses on susceptibility, each with the smallest effect of interest that stood before anything was measured."
    tables += [_setting_table(trained), claims_table(judged, "claims", caption)]
    return StudyFindings(STUDY, _about(results, trained), tuple(tables), verdicts_of(judged))


def measure_susceptibility(results: StudyResults) -> dict[str, Effect | str]:
    """Name of each hypothesis → what was measured, or in words why it was not."""
    trained = trained_of(results)
    return correlation_effects(trained) | region_effects(_tested(trained))


def _tested(trained: Sequence[Trained]) -> list[Trained]:
    """Those with a test set."""
    return [one for one in trained if np.isfinite(one.mean("test_accuracy")).any()]


def _setting_table(trained: Sequence[Trained]) -> StudyTable:
    """Every setting of every variant, the mean over its seeds."""
    fields = {
        "susceptibility": "zeta.authors.training", "train_accuracy": "train_accuracy", "mislabeled_fit": "mislabeled_fit",
        "clean_fit": "clean_fit", "test_accuracy": "test_accuracy",
    }  # fmt: skip
    records = []
    for one in trained:
        means = {name: one.mean(field) for name, field in fields.items()}
        for place, setting in enumerate(one.settings):
            found = {name: float(values[place]) for name, values in means.items()}
            known = {name: None if np.isnan(value) else value for name, value in found.items()}
            records.append({"variant": one.variant, "setting": setting.name, **setting._asdict(), **known})
    header = (
        "variant",
        "setting",
        "susceptibility",
        "training accuracy",
        "wrong labels fitted",
        "right labels fitted",
        "test accuracy",
    )
    lines = tuple(
        (one["variant"], one["setting"], *("–" if one[name] is None else f"{one[name]:.3f}" for name in fields))
        for one in records
    )
    caption = "Every setting, mean over its seeds: susceptibility (the authors' step on training images, nats) and what was fitted."
    return StudyTable("settings", caption, tuple(records), header, lines)


def _about(results: StudyResults, trained: Sequence[Trained]) -> str:
    """What was run, in sentences."""
    grid = grid_of_results(results, STUDY, SusceptibilityGrid)
    what = (
        f"{len(grid.settings)} settings ({', '.join(grid.models)}; learning rates {', '.join(f'{one:g}' for one in grid.learning_rates)}; "
        f"{', '.join(grid.schedules)}; {', '.join(grid.recipes)}; {', '.join(grid.objectives)}"
        f"{'; every second combination' if grid.half else ''}), {len(grid.seeds)} seed{'s' * (len(grid.seeds) > 1)}, "
        f"{grid.epochs} epochs, on {'; '.join(one.variant for one in trained)}."
    )
    said = [what]
    said += [one.nothing for one in trained if one.nothing]
    said += [f"{one.variant}: no test set, so no model is chosen on it." for one in trained if not one.about["tested"]]
    failed: dict[str, list[str]] = {}
    for record in results.of("failure"):
        what = f"{record['what']} of '{record['setting']}' on {record['variant']}"
        failed.setdefault(what, []).append(record["why"])
    said += [f"{what} failed and is left out: {why[0]}." for what, why in failed.items()]
    return " ".join(said)
