"""The standard protocol: a variant, a model and a recipe → a run folder with trace, history and scores."""

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from noisybench.data.source import Source
from noisybench.detection.scoring import REFERENCES, Detector, read_scores, score, scores_path, write_scores
from noisybench.ground.checks import whole
from noisybench.ground.engines.processes import Progress, check_sendable, run_tasks
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import check_fields, read_record, write_json
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find, names
from noisybench.runs.folder import (
    begin,
    begin_again,
    check_same_training,
    finish,
    is_finished,
    keep_variant,
    kinds_of,
    recognise,
)
from noisybench.runs.record import HOW_LABELS_CAME, WHAT_CAME_OUT, RunRecord, about_labels
from noisybench.training.checkpoint import CHECKPOINT, epochs_trained
from noisybench.training.machine import Machine, surroundings
from noisybench.training.model import BuildModel, check_model
from noisybench.training.observing import Probe
from noisybench.training.plan import Plan, Watch, plan_run
from noisybench.training.trace import Trace, read_trace
from noisybench.training.training import digest_of_test_set, due_columns, is_observed, train
from noisybench.variants.variant import Variant, check_source


def train_and_score(
    variants: Variant | Sequence[Variant],
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    detectors: str | Sequence[str] = "all",
    options: Mapping[str, str] | None = None,
    machine: Machine | None = None,
    out: str | Path = "runs",
    progress: Progress = lambda: None,
) -> list[Path]:
    """Train on each variant with each seed, and score every detector.

    A finished run is not repeated, and one that was stopped goes on from its last checkpoint and ends with the same
    bytes. Detectors that a finished run lacks are added from its trace; where they need a probe that was not recorded,
    the run is trained again, with the same end, and the probe's column is added to the trace.

    Args:
        variants: One or more variants of ``source``.
        source: Their inputs.
        model: See ``plan_run``; also ``recipe``, ``epochs`` and ``options``.
        recipe: Name of the recipe.
        epochs: None takes the recipe's.
        seeds: Of training; each is a run.
        detectors: Names, or ``all``.
        options: Fields of ``Recipe`` and ``Watch`` as text.
        machine: How the runs are run; None takes one worker, on a GPU where there is one.
        out: Folder of runs.
        progress: Called after each epoch of each run.

    Returns:
        The runs, by their folders, variant by variant.

    Raises:
        BadUsage: Seeds that repeat, two detectors of one name, or a name that does not exist.
        BadData: ``out`` holds runs of the same labels that were made differently, or another process works on one.
        Mismatch: A variant was made from another source.
    """
    planned = plan_evaluation(
        variants,
        source,
        model=model,
        recipe=recipe,
        epochs=epochs,
        seeds=seeds,
        detectors=detectors,
        options=options,
        machine=machine,
        out=out,
    )
    return carry_out(planned, progress)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Runs that are planned and checked, and not begun.

    Attributes:
        variants: Label columns of the source, each once.
        source: Their inputs.
        plan: What decides the runs but labels and seed.
        seeds: Seeds of training; each is a run of each variant.
        detectors: Name → what the catalog finds it by.
        machine: How the runs are run.
        out: Folder of runs.
    """

    variants: tuple[Variant, ...]
    source: Source
    plan: Plan
    seeds: tuple[int, ...]
    detectors: Mapping[str, str]
    machine: Machine
    out: Path

    @property
    def epochs(self) -> int:
        """Epochs of all runs together."""
        return len(self.variants) * len(self.seeds) * self.plan.recipe.epochs


def plan_evaluation(
    variants: Variant | Sequence[Variant],
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    detectors: str | Sequence[str] = "all",
    options: Mapping[str, str] | None = None,
    machine: Machine | None = None,
    out: str | Path = "runs",
) -> Evaluation:
    """What ``train_and_score`` would do, checked as far as that goes without a training; nothing is written.

    Args and errors are those of ``train_and_score``.
    """
    machine = machine or Machine(device="auto")
    plan = plan_run(source, model=model, recipe=recipe, epochs=epochs, options=options, device=machine.device)
    numbers, chosen = check_seeds(seeds), choose_detectors(detectors)
    given = [variants] if isinstance(variants, Variant) else variants
    different = {variant.provenance.variant_id: variant for variant in given}
    for variant in different.values():
        check_source(source, variant)
    if machine.workers > 1 and len(different) * len(numbers) > 1:
        check_sendable(plan.build, f"model '{plan.model}'")
    check_model(plan.build, source, device=machine.device)
    return Evaluation(tuple(different.values()), source, plan, numbers, chosen, machine, Path(out))


def carry_out(planned: Evaluation, progress: Progress = lambda: None) -> list[Path]:
    """The folders of the planned runs, each finished; see ``train_and_score``."""
    tasks: list[_Task] = []
    for variant in planned.variants:
        home = planned.out / variant.name
        kept = keep_variant(variant, home / "variant", planned.source)
        for seed in planned.seeds:
            own = replace(planned.machine, device=planned.machine.device_of(len(tasks)), workers=1)
            folder = home / planned.plan.folder / f"seed-{seed}"
            tasks.append(_Task(kept, planned.plan, seed, planned.detectors, own, folder))
    return run_tasks(_evaluate_one, tasks, planned.source, workers=planned.machine.workers, progress=progress)


def check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds as plain integers.

    Raises:
        BadUsage: None of them, one that is no whole number or negative, or one that is there twice.
    """
    try:
        given = tuple(seeds)
    except TypeError:
        msg = f"seeds must be several whole numbers, such as (0, 1, 2), got {seeds!r}"
        raise BadUsage(msg) from None
    numbers = tuple(whole(seed, "each of the seeds") for seed in given)
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 0:
        msg = f"seeds must be different and not negative, got {','.join(map(str, numbers)) or 'none'}"
        raise BadUsage(msg)
    return numbers


def choose_detectors(detectors: str | Sequence[str]) -> dict[str, str]:
    """Name of each detector → what the catalog finds it by.

    Args:
        detectors: Names, or ``all`` that need no pool.

    Raises:
        BadUsage: A name that does not exist or is taken, a detector that needs a pool, or two detectors of one name.
    """
    wanted = names("detectors") if detectors == "all" else ((detectors,) if isinstance(detectors, str) else detectors)
    found = {spec: find("detectors", spec) for spec in wanted}
    pooled = [detector.name for detector in found.values() if detector.needs_pool]
    if detectors == "all":
        wanted = [spec for spec in wanted if not found[spec].needs_pool]
    elif pooled:
        msg = f"detector '{pooled[0]}' needs a pool of models; 'noisybench memorize VARIANT --pool detector' scores it"
        raise BadUsage(msg)
    chosen = {found[spec].name: spec for spec in wanted}
    if len(chosen) < len(wanted):
        mend = "rename your own" if len(set(wanted)) == len(wanted) else "name each once"
        msg = f"two of the detectors {', '.join(wanted)} have one name; {mend}"
        raise BadUsage(msg)
    for name, spec in chosen.items():
        ours = name in names("detectors") and find("detectors", name) != found[spec]
        if ours or name in REFERENCES or name.startswith("memorization by "):
            msg = f"detector {spec} is called '{name}', as one of noisybench's detectors or references; rename your own"
            raise BadUsage(msg)
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One run: the unit that is distributed. It writes its own folder."""

    variant: Variant
    plan: Plan
    seed: int
    detectors: Mapping[str, str]  # name → what the catalog finds it by
    machine: Machine
    folder: Path


def _evaluate_one(task: _Task, source: Source, progress: Progress) -> Path:
    """Make, resume, add to or recognise one run; leaves its folder finished."""
    folder, epochs = task.folder, task.plan.recipe.epochs
    with locked(folder):
        record = _record(task, source)
        found = recognise(folder, record)
        finished = found is not None and is_finished(folder, found)
        if found is not None and not finished:
            begin_again(folder, found, record)
        listed = dict(found.detectors) if found is not None and finished else {}
        wanted = dict(sorted({**listed, **task.detectors}.items()))
        here = _scored_here(task, wanted)
        columns = sorted({column for name in here for column in _detector(wanted[name]).needs} | RECORDED)
        due = due_columns(columns, epochs, task.plan.watch.every)
        # A training for a further probe, stopped after its last look, has still to leave its checkpoint.
        ended = wanted == listed or epochs_trained(folder / CHECKPOINT) in (None, epochs)
        trained = finished and ended and is_observed(folder / "trace", due, until=epochs)
        own = any(":" in spec for spec in task.detectors.values())  # a user's own may have been edited
        scored = all(_is_scored(task, name) for name in here)
        if trained and scored and wanted == listed and not own:
            for _ in range(epochs):
                progress()
            return folder
        if found is not None and finished:
            if not trained:
                check_same_training(folder, found, record)
            record = found  # it says what trained the trace
        else:
            begin(folder, record)
        if not trained:
            _train(task, source, record, columns, progress)
        kinds = {} if found is None or not finished else kinds_of(folder, found)
        _score_all(task, wanted, listed)
        kinds |= {name: "control" if _detector(wanted[name]).control else "detector" for name in here}
        finish(folder, record, wanted, kinds)
    return folder


RECORDED = {"correct", "prediction"}
"""Columns of every trace: what was fitted, and what the model says instead."""


def _detector(spec: str) -> Detector:
    found: Detector = find("detectors", spec)
    return found


def _train(task: _Task, source: Source, record: RunRecord, columns: Sequence[str], progress: Progress) -> None:
    """Train and observe, from the last checkpoint on; leaves trace, history, checkpoint and timing."""
    plan, folder = task.plan, task.folder
    undecided = {*HOW_LABELS_CAME, *WHAT_CAME_OUT}
    training = train(
        source,
        task.variant,
        plan.build,
        plan.recipe,
        [_probe(name, plan.watch) for name in columns],
        seed=task.seed,
        machine=task.machine,
        observe=plan.watch.observe,
        every=plan.watch.every,
        susceptibility=plan.watch.tracker(),
        folder=folder,
        made_by={key: value for key, value in record.as_json().items() if key not in undecided},
        progress=progress,
    )
    timing = {
        **_timing(folder),
        "seconds": sum(training.seconds.values()),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(timing, folder / "timing.json")


def _score_all(task: _Task, wanted: Mapping[str, str], listed: Mapping[str, str]) -> None:
    """Score every detector of this call that is not scored yet, and write down what that took.

    Args:
        task: The run.
        wanted: Name of each detector → what the catalog finds it by.
        listed: The same of those that a finished run has scores of.
    """
    trace = read_trace(task.folder / "trace")
    timing = _timing(task.folder)
    costs = timing.setdefault("detectors", {})
    for name in _scored_here(task, wanted):
        spec = wanted[name]
        # A score follows from its trace; a user's own detector may have been edited since.
        renewed = ":" in spec or listed.get(name, spec) != spec  # or another one had its name
        if renewed or name not in costs or not _is_scored(task, name):
            detector = _detector(spec)
            began = time.perf_counter()
            found = score(trace, detector)
            seconds = time.perf_counter() - began
            if found.values.shape != task.variant.labels.shape:
                msg = f"detector '{name}' gave {len(found.values)} scores, expected one for each of {len(task.variant.labels)} samples"
                raise BadData(msg)
            write_scores(found, scores_path(task.folder, name))
            costs[name] = _cost(trace, detector.needs, task.plan.watch, timing.get("purposes", {}), seconds)
            write_json(timing, task.folder / "timing.json")


def _is_scored(task: _Task, name: str) -> bool:
    """Whether the scores of a detector are there, can be read and are of the run's labels."""
    try:
        return read_scores(scores_path(task.folder, name)).variant_id == task.variant.provenance.variant_id
    except (BadData, Mismatch):
        return False


def _timing(folder: Path) -> dict[str, Any]:
    """What a run took so far; empty where the file was lost, or is damaged: no result depends on it."""
    path = folder / "timing.json"
    kinds = {"purposes": Mapping[str, float], "detectors": Mapping[str, Mapping[str, float | int | None]]}
    try:
        record = read_record(path)
        check_fields(record, {name: kind for name, kind in kinds.items() if name in record}, path)
    except BadData:
        return {}
    return record


def _scored_here(task: _Task, wanted: Mapping[str, str]) -> list[str]:
    """The detectors to be scored in this call. A record may not name code to import: only who calls may."""
    return [name for name, spec in wanted.items() if ":" not in spec or task.detectors.get(name) == spec]


def _cost(
    trace: Trace, needs: Sequence[str], watch: Watch, spent: Mapping[str, float], scoring: float
) -> dict[str, float]:
    """Seconds and extra passes over the training set that a detector adds to plain training."""
    probes = [_probe(name, watch) for name in needs]
    seconds, passes = scoring, 0.0
    for probe in probes:
        if probe.gradient:
            seconds += spent.get(probe.name, 0.0)
            passes += probe.passes * len(trace.column(probe.name).epochs)
    plain = [len(trace.column(probe.name).epochs) for probe in probes if not probe.gradient]
    if plain and watch.observe == "after":  # one pass an epoch serves every probe of the logits
        seconds += spent.get("logits", 0.0)
        passes += max(plain)
    return {"seconds": seconds, "passes": passes}


def _probe(name: str, watch: Watch) -> Probe:
    return watch.curvature() if name == "curvature" else find("probes", name)


def _record(task: _Task, source: Source) -> RunRecord:
    """Everything that decides the bytes of a run."""
    plan = task.plan
    around = surroundings(task.machine.device, task.machine.threads)
    package = plan.model.partition(":")[0]
    if package in ("torchvision", "timm"):  # whose next version may build another model under the same name
        around["versions"] |= {package: version(package)}
    return RunRecord(
        regime="training",
        features="input",
        **about_labels(task.variant),
        test_sha256=digest_of_test_set(source),
        model=plan.model,
        recipe=plan.recipe_name,
        setup=plan.setup,
        trained=plan.trained,
        **asdict(plan.recipe),
        **asdict(plan.watch),
        seed=task.seed,
        detectors={},
        **around,
    )
