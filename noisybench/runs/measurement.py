"""Measuring memorization: many models on random subsets, or ridge regression left out, laid beside the runs of a variant."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import a_path, check_kind
from noisybench.ground.durability import rename_durably, temporary
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData, BadUsage, Unfinished
from noisybench.ground.locks import locked
from noisybench.ground.mending import can_be_read
from noisybench.memorization.closed_form import (
    digest_of_features,
    leave_out_exactly,
    refit_subsets,
    setup_of_exact,
)
from noisybench.memorization.closed_form_plan import ClosedFormPlan
from noisybench.memorization.estimate import (
    Memorization,
    already_measured,
    estimate_memorization,
    read_memorization,
    write_memorization,
)
from noisybench.memorization.fitted_plan import FittedPlan
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import read_pool
from noisybench.memorization.reliability import Summary, summarise, summarise_exact
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.runs.folder import keep_variant
from noisybench.runs.pool_training import train_pool
from noisybench.training.machine import Machine, given_machine, limited_threads
from noisybench.variants.variant import Variant, check_source, check_variant

log = logging.getLogger("noisybench")


def measure_memorization(
    source: Source,
    variant: Variant,
    learner: SubsetPlan | FittedPlan | ClosedFormPlan,
    out: str | Path = "runs",
    *,
    models: int = 500,
    seed: int = 0,
    features: Features | None = None,
    ask_test: bool = False,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> tuple[Path, Summary]:
    """Measure memorization, and leave it beside the runs of the variant, where the board finds it.

    Args:
        source: See ``retrain``; also ``variant``, ``models``, ``seed`` and ``features``.
        variant: Whose labels.
        learner: Whose memorization: what is trained on random subsets, what scikit-learn fits to them, or what is solved
            again in closed form.
        out: Folder of runs.
        models: How many are trained, or solved on random subsets; nothing where each sample is left out exactly.
        seed: Of subsets and training.
        features: What the models see in place of the inputs; of a plan in closed form always, also where it is ``input``.
        ask_test: Ask the models about the test set as well, for ``influence_pairs``; of what is solved in closed form no.
        machine: How the models are trained; None takes one worker, on a GPU where there is one. In closed form its threads.
        progress: Called after each model.

    Returns:
        The measurement: its folder, with ``memorization.parquet`` in it, and its summary.

    Raises:
        BadData: The memorization by a learner of this name was measured with another seed or other options.
        Unfinished: The models of the machine's shard are there, and others are not.
    """
    check_variant(variant)
    mend = "plan_learner(source), plan_fitted(source) and plan_closed_form(source) give one, each with its features"
    check_kind(learner, (SubsetPlan, FittedPlan, ClosedFormPlan), "learner", mend)
    machine = given_machine(machine)
    home = a_path(out, "out") / variant.name
    name = (
        learner.folder(seed=seed) if isinstance(learner, ClosedFormPlan) else learner.folder(purpose="truth", seed=seed)
    )
    folder = home / "memorization" / name
    for path in sorted(folder.parent.glob("*/memorization.parquet")):
        if path.parent != folder and _learner_in(path) == learner.learner:
            raise BadData(already_measured(learner.learner.name, path.parent, folder))
    if isinstance(learner, ClosedFormPlan):
        _check_solved(learner, features, machine, ask_test=ask_test)
    check_source(source, variant)

    def keep() -> None:
        keep_variant(variant, home / "variant", source.sample_names)

    if isinstance(learner, ClosedFormPlan) and features is not None:
        with limited_threads(machine.threads):
            if learner.learner.is_exact:
                return folder, _leave_out(variant, learner, features, folder, keep)
            pace = refit_subsets(
                source, variant, learner, features, folder, models=models, seed=seed, progress=progress
            )
    elif not isinstance(learner, ClosedFormPlan):
        try:
            pace = train_pool(
                source,
                variant,
                learner,
                folder,
                models=models,
                seed=seed,
                purpose="truth",
                features=features,
                ask_test=ask_test,
                machine=machine,
                progress=progress,
            ).models_per_second
        except Unfinished:
            keep()
            raise
    keep()
    pool = read_pool(folder, variant, models=models)
    truth = estimate_memorization(pool, variant)
    _keep(truth, folder / "memorization.parquet")
    return folder, summarise(truth, pool, variant, models_per_second=pace)


def _check_solved(learner: ClosedFormPlan, features: Features | None, machine: Machine, *, ask_test: bool) -> None:
    """Raise ``BadUsage`` for what a measurement in closed form lacks, or has not."""
    if features is None:
        msg = "ridge regression needs features; plan_closed_form(source) gives them beside the plan"
        raise BadUsage(msg)
    if ask_test:
        msg = (
            f"models in closed form are not asked about a test set, got model '{learner.model}'; influence is measured of "
            f"models that are trained or fitted"
        )
        raise BadUsage(msg)
    if not machine.shard.is_whole:
        msg = "what is solved in closed form has no parts to share among jobs; leave the shard out"
        raise BadUsage(msg)


def _leave_out(
    variant: Variant, plan: ClosedFormPlan, features: Features, folder: Path, keep: Callable[[], None]
) -> Summary:
    """Leave out each sample exactly, unless that was done of the same features; the summary of what came out."""
    path = folder / "memorization.parquet"
    with locked(folder):
        if path.is_file():
            found = _found(path, variant, plan, features)
            if found is not None:
                keep()
                return summarise_exact(found, variant)
        done = leave_out_exactly(variant, plan, features)
        keep()
        write_memorization(done.memorization, path, answers=done.answers, metadata={"setup": json.dumps(done.record)})
        return summarise_exact(done.memorization, variant)


def _found(path: Path, variant: Variant, plan: ClosedFormPlan, features: Features) -> Memorization | None:
    """What is there already; None of a damaged file, which is made again, and one line says so.

    Raises:
        BadData: It is of other features.
    """
    try:
        found = read_memorization(path, variant.provenance.variant_id)
        setup = setup_of_exact(path)
    except BadData:
        log.warning("%s is damaged: it is made again", path)
        return None
    if setup.get("features_sha256") != digest_of_features(features):
        msg = f"{path} is of other features that are called '{plan.features}', too; give another --out, or delete it"
        raise BadData(msg)
    return found


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
