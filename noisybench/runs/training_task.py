"""One run of the standard protocol: begun, gone on with, mended, added to or recognised in its folder."""

import logging
import resource
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from noisybench.data.source import Source
from noisybench.detection.scoring import Detector, read_scores, score, scores_path, write_scores
from noisybench.ground.durability import synced_together
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import write_json
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find, names
from noisybench.ground.mending import take_away
from noisybench.runs.costs import count_passes, looks
from noisybench.runs.detector_codes import is_made_by, made_by
from noisybench.runs.folder import begin, finish, kinds_of, suggestion_files, train_again
from noisybench.runs.mending import begin_again, check_same_training, mend, recognise
from noisybench.runs.record import HOW_LABELS_CAME, WHAT_CAME_OUT, RunRecord, about_labels, first_difference
from noisybench.runs.suggestion_files import write_suggestions
from noisybench.training.checkpoint import CHECKPOINT, epochs_trained
from noisybench.training.gathering import due_columns, is_observed
from noisybench.training.machine import Machine, surroundings
from noisybench.training.plan import Plan, watched_as
from noisybench.training.ranks import Ranks, training_ranks
from noisybench.training.recipe import recorded
from noisybench.training.timing import TIMING, read_timing
from noisybench.training.trace import epochs_observed, read_trace
from noisybench.training.training import Training, digest_of_test_set, restore_history, train
from noisybench.variants.variant import Variant

log = logging.getLogger("noisybench")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """One run: the unit that is distributed. It writes its own folder.

    Attributes:
        variant: The labels.
        plan: What decides the run besides labels and seed.
        seed: Of the training.
        detectors: Name → what the catalog finds it by.
        machine: How it is run.
        folder: Of the run.
        named: Those of the detectors that were asked for by their names, and not as part of a set.
    """

    variant: Variant
    plan: Plan
    seed: int
    detectors: Mapping[str, str]
    machine: Machine
    folder: Path
    named: Collection[str] = ()


def carry_out_one(task: TrainingTask, source: Source, progress: Progress) -> Path:
    """Make, resume, add to, mend or recognise one run; leaves its folder finished."""
    folder, epochs = task.folder, task.plan.recipe.epochs
    with locked(folder):
        record = _record(task, source)
        found = _found(task, record)
        listed = {} if found is None else _listed(task, found)
        asked = task.detectors if found is None else _addable(task, found, record)
        wanted = dict(sorted({**listed, **asked}.items()))
        here = _scored_here(task, wanted)
        read = {column for name in here for column in _detector(wanted[name]).needs}
        columns = sorted(read | RECORDED | {*task.plan.objective.leaves})
        trained = found is not None and _is_trained(task, found, record, columns, more=wanted != listed)
        own = any(":" in spec for spec in task.detectors.values())  # a user's own may have been edited
        costs = read_timing(folder).get("detectors", {})
        scored = all(name in costs and _is_scored(task, name, wanted[name]) for name in here)
        scored &= found is None or all(path.is_file() for path in suggestion_files(folder, found).values())
        if found is not None and trained and scored and wanted == found.detectors and not own:
            for _ in range(epochs):
                progress()
            return folder
        if found is None:
            begin(folder, record)
        elif not trained:
            check_same_training(folder, found, record)
            train_again(folder, found)
        record = found or record  # it says what trained the trace
        if not trained:
            _train(task, source, record, columns, progress)
        kinds = {} if found is None else kinds_of(folder, found)
        _score_all(task, wanted, listed)
        kinds |= {name: "control" if _detector(wanted[name]).control else "detector" for name in here}
        finish(folder, record, wanted, kinds)
    return folder


def _found(task: TrainingTask, record: RunRecord) -> RunRecord | None:
    """The record of a run that was finished, what is damaged of it taken away; None where one is begun or gone on with."""
    found = recognise(task.folder, record)
    if found is None:
        return None
    mend(task.folder, found)
    if found.detectors:
        return found
    begin_again(task.folder, found, record)
    return None


def _listed(task: TrainingTask, found: RunRecord) -> dict[str, str]:
    """The detectors of a finished run, but for those of the user's own that have lost files and that he does not name."""
    listed = dict(found.detectors)
    for name in {*listed} - {*_scored_here(task, listed)}:
        files = {
            "scores": scores_path(task.folder, name),
            "suggestions": suggestion_files(task.folder, found).get(name),
        }
        lost = next((what for what, path in files.items() if path is not None and not path.is_file()), None)
        if lost is not None:
            spec = listed.pop(name)
            log.warning("%s lost the %s of '%s': say --detectors %s again", task.folder, lost, name, spec)
    return listed


def _addable(task: TrainingTask, found: RunRecord, record: RunRecord) -> dict[str, str]:
    """The detectors that are asked for, but for those of a set that need columns of another training; a line names them.

    A run that other versions or another machine trained would not be trained again to the same end.
    """
    asked = dict(task.detectors)
    if first_difference(found, record) is None:
        return asked
    further = {*asked} - {*found.detectors, *task.named}
    lacking = sorted(name for name in further if missing_columns(task.folder, _detector(asked[name]).needs, task.plan))
    if lacking:
        log.warning(
            "%s: left out %s: its trace lacks what they read, and other versions or another machine trained it; "
            "another --out trains a new one",
            task.folder,
            ", ".join(lacking),
        )
    return {name: spec for name, spec in asked.items() if name not in lacking}


def missing_columns(folder: Path, columns: Collection[str], plan: Plan) -> set[str]:
    """Which of some columns the trace of a run lacks at some epoch at which its plan observes them.

    Raises:
        BadData: An epoch's file is damaged.
    """
    names_of = sorted({*columns})
    due = due_columns([plan.watch.probe(name) for name in names_of], plan.recipe.epochs, plan.watch.every(names_of))
    seen = epochs_observed(folder / "trace")
    return {name for epoch, wanted in due.items() for name in wanted - seen.get(epoch, set())}


def _is_trained(task: TrainingTask, found: RunRecord, record: RunRecord, columns: Sequence[str], *, more: bool) -> bool:
    """Whether a finished run has all that a training leaves: history, checkpoint, and the columns at each epoch.

    Args:
        task: The run.
        found: Its record.
        record: What it would be were it made now.
        columns: Those that are needed.
        more: Whether a detector is asked for that it has no scores of.
    """
    folder, epochs = task.folder, task.plan.recipe.epochs
    path = folder / CHECKPOINT
    kept = epochs_trained(path, {"variant_id": found.variant_id, "seed": found.seed, "setup": found.setup})
    if kept == epochs and not (folder / "history.parquet").is_file():
        restore_history(folder, task.variant)
    probes, every = [task.plan.watch.probe(name) for name in columns], task.plan.watch.every(columns)
    due = due_columns(probes, epochs, every)
    if not (folder / "history.parquet").is_file() or not is_observed(folder / "trace", due, until=epochs):
        return False
    if kept is not None:
        return kept == epochs or not more  # a training for a further probe, stopped, has still to leave its checkpoint
    again = first_difference(found, record) is None
    if path.is_file():
        take_away(path, "the run is trained again" if again else "other versions trained it, so it stays without")
    elif again:
        log.warning("%s is missing: the run is trained again", path)
    return not again


RECORDED = {"correct", "prediction"}
"""Columns of every trace: what was fitted, and what the model says instead."""


def _detector(spec: str) -> Detector:
    found: Detector = find("detectors", spec)
    return found


def _train(task: TrainingTask, source: Source, record: RunRecord, columns: Sequence[str], progress: Progress) -> None:
    """Train and observe, from the last checkpoint on; leaves trace, history, checkpoint and timing."""
    folder, undecided = task.folder, {*HOW_LABELS_CAME, *WHAT_CAME_OUT}
    made_by = {key: value for key, value in record.as_json().items() if key not in undecided}
    training_ranks(task.machine).told_by_all((folder, columns, made_by))  # to those that help, see ``help_train``
    training = _trained(task, source, columns, made_by, progress)
    timing = {
        **read_timing(folder),
        "seconds": sum(training.seconds.values()),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    write_json(timing, folder / TIMING, sync=False)


def _trained(
    task: TrainingTask, source: Source, columns: Sequence[str], made_by: Mapping[str, Any], progress: Progress
) -> Training:
    """The training of a run, of which every rank does a part."""
    plan = task.plan
    return train(
        source,
        task.variant,
        plan.build,
        plan.recipe,
        [plan.watch.probe(name) for name in columns],
        seed=task.seed,
        machine=task.machine,
        objective=plan.objective,
        observe=plan.watch.observe,
        every=plan.watch.every(columns),
        test_every=plan.watch.test_every,
        susceptibility=plan.watch.tracker(),
        folder=task.folder,
        made_by=made_by,
        progress=progress,
    )


def help_train(tasks: Sequence[TrainingTask], source: Source, ranks: Ranks) -> None:
    """Train with the first rank what it trains of some runs, until it says that it has carried out all of them."""
    while (told := ranks.told_by_all(None)[0]) is not None:
        folder, columns, made_by = told
        task = next(task for task in tasks if task.folder == folder)
        _trained(task, source, columns, made_by, lambda: None)


def _score_all(task: TrainingTask, wanted: Mapping[str, str], listed: Mapping[str, str]) -> None:
    """Score every detector of this call that is not scored yet, write down what that took, and what each suggests.

    Args:
        task: The run.
        wanted: Name of each detector → what the catalog finds it by.
        listed: The same of those that a finished run has scores of.
    """
    trace = read_trace(task.folder / "trace")
    timing = read_timing(task.folder)
    costs = timing.setdefault("detectors", {})
    with synced_together():
        for name in _scored_here(task, wanted):
            spec = wanted[name]
            # A score follows from its trace; a user's own detector may have been edited since.
            renewed = ":" in spec or listed.get(name, spec) != spec  # or another one had its name
            if renewed or name not in costs or not _is_scored(task, name, spec):
                detector = _detector(spec)
                began = time.perf_counter()
                found = score(trace, detector)
                seconds = time.perf_counter() - began
                if found.values.shape != task.variant.labels.shape:
                    msg = f"detector '{name}' gave {len(found.values)} scores, expected one for each of {len(task.variant.labels)} samples"
                    raise BadData(msg)
                write_scores(found, scores_path(task.folder, name), made_by(spec))
                costs[name] = _cost(detector.needs, task, timing.get("purposes"), seconds)
                write_json(timing, task.folder / TIMING, sync=False)
        here = [wanted[name] for name in _scored_here(task, wanted)]
        write_suggestions(task.folder, trace, {spec: _detector(spec) for spec in here}, task.variant)


def _is_scored(task: TrainingTask, name: str, spec: str) -> bool:
    """Whether the scores of a detector are there, can be read, and are of the run's labels and of its present code."""
    path = scores_path(task.folder, name)
    try:
        return read_scores(path).variant_id == task.variant.provenance.variant_id and is_made_by(path, spec)
    except (BadData, Mismatch):
        return False


def _scored_here(task: TrainingTask, wanted: Mapping[str, str]) -> list[str]:
    """The detectors to be scored in this call. A record may not name code to import: only who calls may."""
    installed = names("detectors")
    return [name for name, spec in wanted.items() if spec in installed or task.detectors.get(name) == spec]


def _cost(
    needs: Sequence[str], task: TrainingTask, purposes: Mapping[str, float] | None, scoring: float
) -> dict[str, float | None]:
    """Seconds and extra passes over the training set that a detector adds to plain training, were it asked for alone.

    Args:
        needs: Columns of the detector.
        task: The run: what was trained, and how it was observed.
        purposes: Seconds by purpose; None where nobody knows any more, and so nobody the detector's seconds.
        scoring: Seconds of scoring.
    """
    spent, plan = purposes or {}, task.plan
    probes = [plan.watch.probe(name) for name in needs]
    timed = {probe.name for probe in probes if probe.gradient}
    timed |= {shared for probe in probes for shared in getattr(probe, "shares", {})}
    if any(looks(probe, plan.watch) for probe in probes):
        timed.add("logits")  # one pass an epoch serves every probe of logits and features
    seconds = scoring + sum(spent.get(name, 0.0) for name in sorted(timed))
    passes = count_passes(needs, plan.recipe.epochs, plan.watch, task.variant.num_classes)
    return {"seconds": None if purposes is None else seconds, "passes": passes}


def _record(task: TrainingTask, source: Source) -> RunRecord:
    """Everything that decides the bytes of a run."""
    plan = task.plan
    return RunRecord(
        regime="training",
        features="input",
        **about_labels(task.variant),
        test_sha256=digest_of_test_set(source),
        model=plan.model,
        recipe=plan.recipe_name,
        setup=plan.setup,
        trained=plan.trained,
        **recorded(plan.recipe),
        **plan.chosen.recorded,
        **watched_as(plan.watch),
        seed=task.seed,
        detectors={},
        **around(plan, task.machine),
    )


def around(plan: Plan, machine: Machine) -> dict[str, Any]:
    """What decides the last bits of a run besides labels, seed and recipe: versions, machine and threads."""
    found = surroundings(machine.device, machine.threads, machine.ranks)
    package = plan.model.partition(":")[0]
    if package in ("torchvision", "timm"):  # whose next version may build another model under the same name
        found["versions"] |= {package: version(package)}
    return found
