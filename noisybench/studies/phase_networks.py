"""Networks of the phase study: at some points of the main map an ordinary training, and memorization by subset models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import Features, Floats
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import COPIED
from noisybench.ground.lookup import find
from noisybench.ground.npy import read_array
from noisybench.memorization.estimate import read_memorization
from noisybench.memorization.pool import block_path, blocks
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.memorization_forecast import forecast_memorization
from noisybench.runs.reading import read_run
from noisybench.runs.training_run import Evaluation, carry_out, plan_evaluation
from noisybench.statistics.detection_metrics import auroc_within_class
from noisybench.statistics.ranking import rank
from noisybench.statistics.score_parts import split_auroc
from noisybench.studies.forecast import StudyForecast, forecast_trainings
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_maps import PhaseRecord
from noisybench.studies.phase_runs import ANSWERS, POINTS
from noisybench.studies.shares import are_finished, run_share
from noisybench.training.machine import Machine
from noisybench.training.plan import Plan, plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant, read_variant

RUNS = "runs"
"""Folder of the trainings in that of the study."""
FEATURES = "features"
"""Folder of kept features in it."""
DETECTORS = "fast"
"""Those that a single ordinary training feeds."""
CHECKPOINT_EVERY = 5
"""Epochs that a training which was stopped repeats at most."""
POOL_RECIPE = "overfit"
"""Of subset models: memorization is of models that fit what they see."""
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class NetworksAtWork:
    """What a worker needs beside its points, sent to it once.

    Attributes:
        grid: Of the study.
        out: Its folder.
        source: Inputs and right labels.
        plan: How each point is trained.
        learner: What its subset models are; None where there are none.
        features: What these see.
        device: Of trainings.
    """

    grid: PhaseGrid
    out: Path
    source: Source
    plan: Plan
    learner: SubsetPlan | None
    features: Features | None
    device: str

    def evaluation(self, variant: Variant, machine: Machine) -> Evaluation:
        """The training of a point, checked and not begun."""
        return plan_evaluation(
            variant, self.source, self.plan, machine=machine, seeds=(SEED,), detectors=DETECTORS, out=self.out / RUNS
        )


class NetworkTask(NamedTuple):
    """One point: a unit of work."""

    point: str
    number: int


def chosen_points(points: Sequence[PhaseRecord], number: int) -> list[PhaseRecord]:
    """So many points, spread evenly over what was reached: at most as many as there are.

    The first is the nearest to the origin, a difficulty of .5 and a coherence of 0; each further one is the point whose
    nearest chosen point is farthest, on coordinates scaled to [0, 1] (Gonzalez 1985, farthest-first traversal). Of equal
    ones the first by name.

    Args:
        points: Records of reached points, of one map.
        number: How many.
    """
    named = sorted(points, key=lambda one: one["point"])
    if not named or not number:
        return []
    places = np.array([(one["difficulty"], one["coherence"]) for one in named], dtype=np.float64)
    spread = np.ptp(places, axis=0)
    spread[spread == 0] = 1
    chosen = [int(np.argmin(np.hypot(*((places - (0.5, 0.0)) / spread).T)))]
    away = np.full(len(named), np.inf)
    while len(chosen) < min(number, len(named)):
        away = np.minimum(away, np.hypot(*((places - places[chosen[-1]]) / spread).T))
        away[chosen] = -1  # of equal places each is chosen once
        chosen.append(int(np.argmax(away)))
    return [named[place] for place in chosen]


def network_records(
    grid: PhaseGrid,
    points: Sequence[PhaseRecord],
    source: Source,
    out: Path,
    *,
    machine: Machine,
    progress: Progress = lambda: None,
) -> list[dict[str, Any]]:
    """Records of scores by networks: detectors of a training, and memorization by a pool, at evenly chosen points.

    Runs are ordinary ones below ``out/runs``: those that are finished are read.

    Args:
        grid: Of the study.
        points: Records of the reached points of the main map, whose variants lie below ``out/points``.
        source: Their inputs.
        out: Folder of the study.
        machine: How points are carried out.
        progress: Called after each epoch and each subset model.

    Raises:
        Unfinished: The points of the machine's shard are there, and others are not.
        TrainingFailed: A loss is not finite, or the model cannot be built.
    """
    chosen = chosen_points(points, grid.networks)
    if not chosen:
        return []
    work = networks_at_work(grid, source, out, machine)
    tasks = [NetworkTask(one["point"], number) for number, one in enumerate(chosen)]
    found = run_share(
        _carried_out,
        tasks,
        (work, machine),
        machine=machine,
        is_finished=lambda task: _is_finished(task, work),
        progress=progress,
        joined=COPIED,
    )
    return [
        {"record": "score", **_about(point), **record}
        for point, records in zip(chosen, found, strict=True)
        for record in records
    ]


def networks_at_work(grid: PhaseGrid, source: Source, out: Path, machine: Machine) -> NetworksAtWork:
    """What all points have in common: plans, and the features of subset models.

    Raises:
        UnknownName: No such model, recipe or option.
        BadUsage: A value that cannot be meant.
    """
    plan = plan_run(
        source, model=grid.model, recipe=grid.recipe, epochs=grid.epochs, options=grid.options, device=machine.device
    )
    learner, features = None, None
    if grid.pool_models:
        learner, features = plan_learner(
            source,
            model=grid.pool_model,
            recipe=POOL_RECIPE,
            epochs=grid.pool_epochs,
            features=grid.features,
            device=machine.device,
            cache=out / FEATURES,
            threads=machine.threads,
        )
    return NetworksAtWork(grid, out, source, plan, learner, features, machine.device)


def forecast_networks(
    grid: PhaseGrid,
    points: Sequence[PhaseRecord] | None,
    source: Source,
    out: Path,
    *,
    elsewhere: Path,
    machine: Machine,
) -> StudyForecast:
    """Points at which networks are trained, those of which everything is there, and how long the others take.

    The time is that of one training of a few epochs and of a few subset models, on labels of the grid's rate, which are
    made elsewhere and thrown away.

    Args:
        grid: Of the study.
        points: Records of the reached points of the main map; None where some are not finished, so that no network is.
        source: Its source.
        out: Its folder.
        elsewhere: Folder for what is thrown away.
        machine: How points are carried out.
    """
    due, finished = grid.networks, 0
    if points is not None:
        chosen = chosen_points(points, grid.networks)
        there = networks_at_work(grid, source, out, machine) if (out / RUNS).is_dir() else None
        tasks = [NetworkTask(one["point"], number) for number, one in enumerate(chosen)]
        due, finished = len(tasks), 0 if there is None else sum(_is_finished(task, there) for task in tasks)
    if finished == due:
        return StudyForecast(due, finished, 0.0, "")
    work = networks_at_work(grid, source, elsewhere, machine)
    variant = build_variant(source, find("noises", "symmetric")(rate=grid.rate), seed=grid.seed)
    training = forecast_trainings([work.evaluation(variant, Machine(machine.device, machine.threads))])
    seconds, basis = training.seconds or 0.0, training.basis
    if work.learner is not None:
        alone = Machine(machine.device, machine.threads)
        how: Mapping[str, Any] = {"models": grid.pool_models, "features": work.features, "machine": alone}
        seconds += forecast_memorization(source, variant, work.learner, elsewhere / RUNS, **how).seconds
        basis = f"{basis}, and a few subset models"
    return StudyForecast(due, finished, seconds * (due - finished), basis)


def _about(point: PhaseRecord) -> dict[str, Any]:
    """Where a score is, as its point says."""
    return {name: point[name] for name in ("map", "role", "point", "draw", "difficulty", "coherence")}


def _variant_of(task: NetworkTask, work: NetworksAtWork) -> Variant:
    return read_variant(work.out / POINTS / task.point / "variant")


def _is_finished(task: NetworkTask, work: NetworksAtWork) -> bool:
    variant = _variant_of(task, work)
    if not are_finished(work.evaluation(variant, Machine(work.device))):
        return False
    if work.learner is None:
        return True
    pool = work.out / RUNS / variant.name / "memorization" / work.learner.folder(purpose="truth", seed=SEED)
    parts = [block_path(pool, number, count) for number, count in blocks(work.grid.pool_models)]
    return all(path.is_file() for path in (pool / "memorization.parquet", *parts))


def _carried_out(task: NetworkTask, shared: tuple[NetworksAtWork, Machine], progress: Progress) -> list[dict[str, Any]]:
    """Train at a point, or find it trained: records of its scores."""
    work, machine = shared
    variant, own = _variant_of(task, work), machine.of_task(task.number)
    answers = read_array(work.out / POINTS / task.point / ANSWERS)
    records = [_record(variant, answers, *one) for one in _trained(work, variant, own, progress)]
    if work.learner is not None:
        folder, _ = measure_memorization(
            work.source, variant, work.learner, work.out / RUNS, models=work.grid.pool_models, features=work.features,
            machine=own, progress=progress,
        )  # fmt: skip
        values = read_memorization(folder / "memorization.parquet", variant.variant_id).values
        told = {"detector": "memorization", "kind": "memorization", "by": "pool", "model": work.learner.plan.model}
        records.append(_record(variant, answers, told, values))
    return records


def _trained(
    work: NetworksAtWork, variant: Variant, machine: Machine, progress: Progress
) -> Iterator[tuple[dict[str, Any], Floats]]:
    """What is told of each detector of a point's training, and its scores."""
    run = read_run(carry_out(work.evaluation(variant, machine), progress)[0])
    for name, kind in run.kinds.items():
        about = {"detector": name, "kind": kind, "by": "training", "model": work.plan.model}
        yield about, run.scores(name).values


def _record(variant: Variant, answers: Floats, about: Mapping[str, Any], values: Floats) -> dict[str, Any]:
    """AUROC of a score for the wrong labels, within the given label, and its parts; of the samples that have a value."""
    there = np.isfinite(values)
    score, wrong, given = values[there], variant.mislabeled[there], variant.labels[there]
    parts = split_auroc(score, wrong, given, answers[there])
    within = auroc_within_class(rank(score, wrong, given)).value
    return {
        **about, "auroc": parts.auroc, "auroc_within_given": within, "given_label": parts.given_label,
        "held_out_answers": parts.held_out_answers, "rest": parts.rest,
    }  # fmt: skip
