"""Measuring memorization: many models on random subsets, laid beside the runs of a variant."""

import logging
from pathlib import Path

from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import a_path, check_kind
from noisybench.ground.durability import rename_durably, temporary
from noisybench.ground.engines.processes import Progress
from noisybench.ground.errors import BadData
from noisybench.ground.mending import can_be_read
from noisybench.memorization.estimate import (
    Memorization,
    already_measured,
    estimate_memorization,
    read_memorization,
    write_memorization,
)
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import read_pool
from noisybench.memorization.reliability import Summary, summarise
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.runs.folder import keep_variant
from noisybench.training.machine import Machine
from noisybench.variants.variant import Variant, check_variant

log = logging.getLogger("noisybench")


def measure_memorization(
    source: Source,
    variant: Variant,
    learner: SubsetPlan,
    out: str | Path = "runs",
    *,
    models: int = 500,
    seed: int = 0,
    features: Features | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> tuple[Path, Summary]:
    """Measure memorization, and leave it beside the runs of the variant, where the board finds it.

    Args:
        source: See ``retrain``; also ``variant``, ``learner``, ``models``, ``seed`` and ``features``.
        variant: Whose labels.
        learner: Whose memorization.
        out: Folder of runs.
        models: How many are trained.
        seed: Of subsets and training.
        features: What the models see in place of the inputs.
        machine: How the models are trained; None takes one worker, on a GPU where there is one.
        progress: Called after each model.

    Returns:
        The measurement: its folder, with ``memorization.parquet`` in it, and its summary.

    Raises:
        BadData: The memorization by a learner of this name was measured with another seed or other options.
    """
    check_variant(variant)
    check_kind(learner, SubsetPlan, "learner", "plan_learner(source) gives one")
    home = a_path(out, "out") / variant.name
    folder = home / "memorization" / learner.folder(purpose="truth", seed=seed)
    for path in sorted(folder.parent.glob("*/memorization.parquet")):
        if path.parent != folder and _learner_in(path) == learner.learner:
            raise BadData(already_measured(learner.learner.name, path.parent, folder))
    done = retrain(
        source,
        variant,
        learner,
        folder,
        models=models,
        seed=seed,
        features=features,
        machine=machine or Machine(device="auto"),
        progress=progress,
    )
    keep_variant(variant, home / "variant", source.sample_names)
    pool = read_pool(folder, variant, models=models)
    truth = estimate_memorization(pool, variant)
    _keep(truth, folder / "memorization.parquet")
    return folder, summarise(truth, pool, variant, models_per_second=done.models_per_second)


def _learner_in(path: Path) -> Learner | None:
    """Whose memorization a file is; None of a damaged one, which the command that made it mends."""
    try:
        return read_memorization(path).learner
    except BadData as error:
        log.warning("%s", error)
        return None


def _keep(truth: Memorization, path: Path) -> None:
    """Write an estimate, unless it is there; one that is damaged is written again, and one line says so."""
    with temporary(path) as fresh:
        write_memorization(truth, fresh)
        if path.is_file():
            if path.read_bytes() == fresh.read_bytes():
                return
            if not can_be_read(path):
                log.warning("%s is damaged: it is made again", path)
        rename_durably(fresh, path)
