"""The runs of the susceptibility study: every setting on every variant, and what each training leaves as plain records."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.checks import a_path, as_list
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.ground.files import read_columns
from noisybench.runs.folder import keep_variant
from noisybench.runs.record import Regime
from noisybench.runs.schemes import SCHEMES
from noisybench.runs.stopping import CURVES
from noisybench.runs.training_run import Evaluation, carry_out, plan_evaluation
from noisybench.statistics.stopping import WINDOW, changed_predictions, label_wave, moving_mean
from noisybench.studies.forecast import StudyForecast, forecast_trainings
from noisybench.studies.shares import are_finished, run_share
from noisybench.studies.susceptibility_grid import PRIMARY, GridSetting, SusceptibilityGrid
from noisybench.training.machine import Machine
from noisybench.training.trace import read_trace
from noisybench.variants.location import by_source, source_of
from noisybench.variants.variant import Variant

SCORED = ("final_loss",)
"""Detector of every run: the cheapest, as none is asked for."""


class NoisySource(NamedTuple):
    """A variant, its source, and what both are called in tables."""

    variant: Variant
    source: Source

    @property
    def name(self) -> str:
        """Source, noise and share of wrong labels."""
        variant = self.variant
        known = variant.known
        share = f"{variant.mislabeled[known].mean():.0%} wrong" if known.any() else "wrong labels unknown"
        return f"{variant.provenance.source} {variant.provenance.noise}, {len(variant.labels):,} samples, {share}"


class SettingTask(NamedTuple):
    """Trainings of one setting on one variant with one seed: a unit of work, which finds its folders finished or finishes them."""

    place: int
    """Of the variant."""
    setting: GridSetting
    seed: int
    grid: SusceptibilityGrid
    variant: Variant
    out: Path
    device: str


def read_variants(folders: Sequence[str | Path], data: Path | None = None) -> list[NoisySource]:
    """The variants of some folders with their sources.

    Raises:
        BadUsage: No folder is named, or one variant twice.
        BadData: A folder is no variant, or its source cannot be read.
    """
    one_alone = isinstance(folders, str | Path)
    given = [folders] if one_alone else as_list(folders, "variants", "give the folders of variants, as ['variants/x']")
    if not given:
        msg = "study susceptibility takes the folders of variants; 'noisybench build' makes one"
        raise BadUsage(msg)
    found = []
    for members in by_source([a_path(one, "a variant") for one in given], data):
        path, first = next(iter(members.items()))
        source = source_of(first, path, data)
        found += [NoisySource(variant, source) for variant in members.values()]
    if len({one.variant.provenance.variant_id for one in found}) < len(given):
        msg = "the same labels are named twice; name each variant once"
        raise BadUsage(msg)
    return found


def planned_settings(
    grid: SusceptibilityGrid, labelled: Sequence[NoisySource], out: Path, device: str = "cpu"
) -> Iterator[Evaluation]:
    """Every setting on every variant with every seed; rivals, which are planned apart, not among them."""
    for one in labelled:
        for setting in grid.settings:
            yield _planned(grid, one, setting, seeds=grid.seeds, out=out, device=device)


def _planned(
    grid: SusceptibilityGrid, one: NoisySource, setting: GridSetting, *, seeds: Sequence[int], out: Path, device: str
) -> Evaluation:
    plan = grid.plan(one.source, setting, device)
    machine = Machine(device)
    return plan_evaluation(one.variant, one.source, plan, machine=machine, seeds=seeds, detectors=SCORED, out=out)


def forecast_runs(grid: SusceptibilityGrid, labelled: Sequence[NoisySource], out: Path, device: str) -> StudyForecast:
    """Runs, finished ones and the time of the others; a rival takes as long as the trainings it consists of."""
    planned = []
    for one in planned_settings(grid, labelled, out, device):
        rivals = tuple(_regime(rule) for rule in grid.rivals_on(len(one.source.labels)))
        planned.append(replace(one, seeds=grid.seeds[:1], rules=rivals))
        planned += [replace(one, seeds=grid.seeds[1:])] if len(grid.seeds) > 1 else []
    return forecast_trainings(planned)


def _check_settings(grid: SusceptibilityGrid, one: NoisySource, out: Path, device: str) -> None:
    """Raise unless each setting can be trained on a variant, and no two are the same training."""
    folders: dict[str, GridSetting] = {}
    for setting in grid.settings:
        folder = _planned(grid, one, setting, seeds=grid.seeds, out=out, device=device).plan.folder
        if folder in folders:
            msg = f"settings '{folders[folder].name}' and '{setting.name}' are the same training; leave one out of the grid"
            raise BadUsage(msg)
        folders[folder] = setting


def _regime(rule: str) -> Regime:
    return next(one for one in SCHEMES if one == rule)


def run_settings(
    grid: SusceptibilityGrid,
    labelled: Sequence[NoisySource],
    out: Path,
    *,
    machine: Machine,
    progress: Progress = lambda: None,
) -> list[dict[str, Any]]:
    """Train what is not finished, and read everything: records of kinds ``variant``, ``run``, ``epoch`` and ``failure``."""
    for one in labelled:
        # Here, so that a setting that cannot be trained is refused at once, and no two processes write a variant.
        _check_settings(grid, one, out, machine.device)
        keep_variant(one.variant, out / one.variant.name / "variant", one.source.sample_names)
    tasks = [
        SettingTask(place, setting, seed, grid, one.variant, out, machine.device_of(number))
        for place, one in enumerate(labelled)
        for number, (seed, setting) in enumerate((seed, setting) for seed in grid.seeds for setting in grid.settings)
    ]
    sources = {place: one.source for place, one in enumerate(labelled)}

    def is_finished(task: SettingTask) -> bool:
        own = _planned_task(task, sources[task.place])
        return are_finished(replace(own, rules=tuple(_regime(rule) for rule in _rivals(task))))

    found = run_share(_train, tasks, sources, machine=machine, is_finished=is_finished, progress=progress)
    told = [_about(one) for one in labelled]
    return [*told, *(record for records in found for record in records)]


def _about(one: NoisySource) -> dict[str, Any]:
    """The record of a variant."""
    variant, source = one.variant, one.source
    known = variant.known
    return {
        "record": "variant",
        "variant": one.name,
        "variant_id": variant.provenance.variant_id,
        "samples": len(variant.labels),
        "classes": variant.num_classes,
        "wrong": int(variant.mislabeled.sum()),
        "wrong_share": float(variant.mislabeled[known].mean()) if known.any() else None,
        "tested": 0 if source.test_labels is None else len(source.test_labels),
    }


def _planned_task(task: SettingTask, source: Source) -> Evaluation:
    """The run of a task, without its rivals."""
    one = NoisySource(task.variant, source)
    return _planned(task.grid, one, task.setting, seeds=(task.seed,), out=task.out, device=task.device)


def _rivals(task: SettingTask) -> Sequence[str]:
    """Rules of stopping with trainings of their own, which the first seed has."""
    grid = task.grid
    return grid.rivals_on(len(task.variant.labels)) if task.seed == grid.seeds[0] else ()


def _train(task: SettingTask, sources: Mapping[int, Source], progress: Progress) -> list[dict[str, Any]]:
    """Train one setting, or find it trained, and tell what it left."""
    one = NoisySource(task.variant, sources[task.place])
    key = {"variant": one.name, "setting": task.setting.name, "seed": task.seed}
    own = _planned_task(task, one.source)
    try:
        folder = carry_out(own, progress)[0]
    except TrainingFailed as error:
        return [{"record": "failure", **key, "what": "training", "why": str(error)}]
    records: list[dict[str, Any]] = []
    rivals: dict[str, float] = {}
    for rule in _rivals(task):
        planned = replace(own, rules=(_regime(rule),))
        try:
            path = carry_out(planned, progress)[-1]
        except TrainingFailed as error:
            records.append({"record": "failure", **key, "what": rule, "why": str(error)})
            continue
        rivals[rule] = float(read_columns(path / "history.parquet")[0][CURVES[_regime(rule)]][-1])
    history = {name: np.asarray(values, dtype=np.float64) for name, values in _history(folder).items()}
    asked = {"model": task.setting.model, "learning_rate": task.setting.learning_rate}
    asked |= {name: getattr(task.setting, name) for name in ("schedule", "recipe", "objective")}
    last = {name: float(values[-1]) for name, values in history.items()}
    run = {"record": "run", **key, **asked, **_kept(last), "sum_of_losses": float(history["train_loss"].sum())}
    records.append(
        run | _wave(folder, history["test_accuracy"]) | {f"rival.{rule}": score for rule, score in rivals.items()}
    )
    for row in range(len(history["epoch"])):
        line = _kept({name: float(values[row]) for name, values in history.items()})
        records.append({"record": "epoch", **key, "epoch": row + 1, **line})
    return records


def _history(folder: Path) -> Mapping[str, Any]:
    columns: Mapping[str, Any] = read_columns(folder / "history.parquet")[0]
    return columns


def _kept(row: Mapping[str, float]) -> dict[str, float]:
    """What is told of an epoch, susceptibility under the names of its readings."""
    readings = {name.partition(".")[2]: value for name, value in row.items() if name.startswith("susceptibility.")}
    told = {
        name: row[name] for name in ("train_accuracy", "mislabeled_fit", "clean_fit", "test_accuracy", "train_loss")
    }
    return (
        told | {f"zeta.{PRIMARY}": row["susceptibility"]} | {f"zeta.{name}": value for name, value in readings.items()}
    )


def _wave(folder: Path, tested: Any) -> dict[str, float]:  # noqa: ANN401 - an array
    """Where Label Wave stops: share of predictions that still change there, and the test accuracy of that epoch."""
    predictions = read_trace(folder / "trace").column("prediction").values
    stop = label_wave(predictions)
    if stop.epoch is None:
        return {}
    changes = moving_mean(changed_predictions(predictions), WINDOW)[stop.epoch - 1] / predictions.shape[1]
    return {"wave_epoch": float(stop.epoch), "wave_changes": float(changes), "wave_test": float(tested[stop.epoch - 1])}
