"""The runs that study ``reproduce`` has of its own: cross-entropy, ELR and CAR on the same wrong labels.

Each draw of the noise is trained once with each objective on all samples (what is fitted, and how well by-products find the
wrong labels), and many times on random subsets (memorization of Feldman and Zhang). Recipe, epochs and seeds are the same.

Kinds of records: ``source`` (one); ``training`` and ``pool`` (a draw × objective: what was measured, or why it was not);
``score`` (a draw × objective × detector).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from noisybench.data.loading import load_source
from noisybench.data.source import Source
from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.checks import check_rate, unknown, whole
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadUsage, TrainingFailed, UnknownName
from noisybench.ground.lookup import find
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.pool import block_path, blocks, read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan, plan_learner
from noisybench.runs.fit_words import RIGHT_SHARES
from noisybench.runs.folder import keep_variant
from noisybench.runs.reading import read_run
from noisybench.runs.training_run import Evaluation, carry_out, plan_evaluation
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.ranking import rank
from noisybench.studies.grid_checks import check_axis, check_fields_of
from noisybench.studies.shares import are_finished, run_share
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

PARTS = ("susceptibility", "curvature", "harm")
"""Studies that measure the claims of the other papers."""
DETECTORS: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": ("final_loss", "cumulative_loss"),
    "elr": ("objective_target",),
    "car": ("objective_target", "objective_indicator"),
}
"""Objective, with its default options → detectors that are scored on its training."""
AT_RIGHT = 0.95
"""Share of right labels fitted at which the wrong labels fitted are compared, one of ``RIGHT_SHARES``."""


@dataclass(frozen=True, slots=True)
class ReproduceGrid:
    """What study ``reproduce`` carries out.

    Each draw is other wrong labels and another training: intervals over draws cover both.

    Attributes:
        studies: Study → the preset of it that is carried out; one that is left out leaves its claims unmeasured.
        susceptibility_rates: Of symmetric noise on ``base``, one variant each, for the study of susceptibility.
        base: Source whose labels are made wrong.
        limit: Take its first samples alone.
        model: None takes what suits the source.
        rate: Of symmetric noise.
        draws: Numbers of the draws.
        epochs: Of each training, by recipe ``overfit``.
        models: Subset models of each draw and objective.
        fraction: Share of the samples in each subset.
    """

    studies: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(PARTS, "standard") | {"harm": "claims"})
    susceptibility_rates: tuple[float, ...] = (0.2, 0.5)
    base: str = "digits"
    limit: int | None = None
    model: str | None = None
    rate: float = 0.4
    draws: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    epochs: int = 45
    models: int = 10
    fraction: float = 0.7

    def __post_init__(self) -> None:
        check_fields_of(self)
        for name in self.studies:
            if name not in PARTS:
                raise UnknownName(unknown(name, PARTS, "study that measures claims"))
        check_axis(self.draws, "draws", ascending=True)
        check_axis(self.susceptibility_rates, "susceptibility_rates")
        for rate in (self.rate, *self.susceptibility_rates):
            if not check_rate(rate):
                msg = "rate and susceptibility_rates of the grid must lie above 0: claims are about wrong labels"
                raise BadUsage(msg)
        whole(self.draws[0], "draws", least=0)
        for name, least in (("epochs", 1), ("models", 2)):
            whole(getattr(self, name), name, least=least)
        if not 0 < self.fraction < 1:
            msg = f"fraction must lie strictly between 0 and 1 (0.7 is 70 % of the samples), got {self.fraction:g}"
            raise BadUsage(msg)

    def source(self) -> Source:
        """What is learned from."""
        return load_source(self.base, limit=self.limit)

    def labels(self, source: Source, draw: int) -> Variant:
        """Its labels in a draw."""
        return build_variant(source, find("noises", "symmetric")(rate=self.rate), seed=draw)

    @property
    def tasks(self) -> int:
        """Trainings and pools of the study's own."""
        return 2 * len(self.draws) * len(DETECTORS)

    @property
    def steps(self) -> int:
        """Epochs of the study's own trainings and its subset models together, by which progress is told."""
        return len(self.draws) * len(DETECTORS) * (self.epochs + self.models)


class OwnTask(NamedTuple):
    """A training, or a pool of subset models: a unit of work, which finds its own folder finished or finishes it."""

    what: Literal["training", "pool"]
    draw: int
    objective: str
    variant: Variant
    grid: ReproduceGrid
    out: Path
    device: str

    def planned(self, source: Source) -> Evaluation:
        """Its training."""
        grid = self.grid
        plan = plan_run(
            source,
            model=grid.model,
            recipe="overfit",
            epochs=grid.epochs,
            options={"susceptibility": "off"},
            objective=self.objective,
            device=self.device,
        )
        return plan_evaluation(
            self.variant,
            source,
            plan,
            machine=Machine(self.device),
            seeds=(self.draw,),
            detectors=DETECTORS[self.objective],
            out=self.out,
        )

    def learner(self, source: Source) -> SubsetPlan:
        """What is trained on its subsets."""
        grid = self.grid
        return plan_learner(
            source,
            model=grid.model,
            epochs=grid.epochs,
            device=self.device,
            fraction=grid.fraction,
            objective=self.objective,
        )[0]

    def pool_folder(self, source: Source) -> Path:
        """Where its subset models are."""
        folder = self.learner(source).folder(purpose="truth", seed=self.draw)
        return self.out / self.variant.name / "memorization" / folder

    def blocks_left(self, source: Source) -> int:
        """Subset models of its pool that are in no block yet."""
        folder = self.pool_folder(source)
        return sum(
            count for number, count in blocks(self.grid.models) if not block_path(folder, number, count).is_file()
        )


def own_tasks(grid: ReproduceGrid, source: Source, out: Path, machine: Machine) -> list[OwnTask]:
    """Every training and every pool of a grid."""
    kinds: tuple[Literal["training", "pool"], ...] = ("training", "pool")
    variants = {draw: grid.labels(source, draw) for draw in grid.draws}
    cells = [(what, draw, objective) for what in kinds for draw in grid.draws for objective in DETECTORS]
    return [
        OwnTask(what, draw, objective, variants[draw], grid, out, machine.device_of(number))
        for number, (what, draw, objective) in enumerate(cells)
    ]


def own_records(
    grid: ReproduceGrid, out: Path, *, machine: Machine, progress: Progress = lambda: None
) -> list[dict[str, Any]]:
    """What the study's own runs gave; those that are not finished are trained below ``out``."""
    source = grid.source()
    tasks = own_tasks(grid, source, out, machine)
    for variant in {task.draw: task.variant for task in tasks}.values():
        keep_variant(variant, out / variant.name / "variant")  # here, so that no two processes write it

    def is_finished(task: OwnTask) -> bool:
        return are_finished(task.planned(source)) if task.what == "training" else not task.blocks_left(source)

    found = run_share(_records_of, tasks, source, machine=machine, is_finished=is_finished, progress=progress)
    about = {"record": "source", "samples": len(source.labels), "model": tasks[0].planned(source).plan.model}
    return [about, *(record for records in found for record in records)]


def _records_of(task: OwnTask, source: Source, progress: Progress) -> list[dict[str, Any]]:
    """What one task gave, or why it gave nothing."""
    about = {"draw": task.draw, "objective": task.objective}
    try:
        return (_training if task.what == "training" else _pool)(task, source, about, progress)
    except TrainingFailed as error:
        return [{"record": task.what, **about, "failure": str(error)}]


def _training(task: OwnTask, source: Source, about: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
    run = read_run(carry_out(task.planned(source), progress)[0])
    fits = {name: run.history[name] for name in ("mislabeled_fit", "clean_fit", "test_accuracy")}
    at = run.at_right[RIGHT_SHARES.index(AT_RIGHT)]
    scores = [
        {"record": "score", **about, "detector": name, "auroc": _auroc(run.scores(name).values, task.variant)}
        for name in DETECTORS[task.objective]
    ]
    return [{"record": "training", **about, **fits, "wrong_at_right": at}, *scores]


def _auroc(values: Floats, variant: Variant) -> float:
    known = variant.known
    return auroc(rank(values[known], variant.mislabeled[known])).value


def _pool(task: OwnTask, source: Source, about: Mapping[str, Any], progress: Progress) -> list[dict[str, Any]]:
    grid, folder = task.grid, task.pool_folder(source)
    learner, machine = task.learner(source), Machine(task.device)
    retrain(
        source,
        task.variant,
        learner,
        folder,
        models=grid.models,
        seed=task.draw,
        purpose="truth",
        machine=machine,
        progress=progress,
    )
    found = estimate_memorization(read_pool(folder, task.variant, models=grid.models), task.variant)
    wrong, right = task.variant.mislabeled, task.variant.known & ~task.variant.mislabeled
    told: dict[str, Any] = {"record": "pool", **about, "models": found.models}
    for name, which in (("wrong", wrong), ("right", right)):
        told |= {
            f"{name}_memorization": mean_known(found.values, which),
            f"{name}_seen": mean_known(found.p_in, which),
            f"{name}_unseen": mean_known(found.p_out, which),
        }
    return [told]


def mean_known(values: Floats, which: Bools) -> float:
    """Mean of the chosen values that are known, both of shape (n,); NaN where none is."""
    known = values[which & ~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def planned_runs(grid: ReproduceGrid, out: Path, machine: Machine) -> tuple[Source, Sequence[OwnTask]]:
    """The source and every task of a grid, none of them begun by this; nothing is written."""
    source = grid.source()
    return source, own_tasks(grid, source, out, machine)
