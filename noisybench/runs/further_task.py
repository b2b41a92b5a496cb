"""One run of several trainings: begun, gone on with, mended, added to or recognised in its folder."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import Floats
from noisybench.ground.durability import synced_together
from noisybench.ground.engine import Progress
from noisybench.ground.files import write_columns, write_json
from noisybench.ground.locks import locked
from noisybench.ground.mending import can_be_read
from noisybench.ground.random_streams import derive
from noisybench.runs.column_scoring import score_added, score_columns
from noisybench.runs.costs import further_passes
from noisybench.runs.folder import PARTS, begin, digests_of, finish
from noisybench.runs.mending import begin_again, check_same_training, mend, recognise
from noisybench.runs.record import HOW_LABELS_CAME, WHAT_CAME_OUT, Regime, RunRecord, about_labels
from noisybench.runs.schemes import SCHEMES
from noisybench.runs.several_trainings import Scheme
from noisybench.runs.training_task import around
from noisybench.training.machine import Machine
from noisybench.training.phases import tested_accuracies, train_in_phases
from noisybench.training.plan import Plan
from noisybench.training.recipe import recorded
from noisybench.training.timing import TIMING, read_timing
from noisybench.training.trace import epochs_observed, mend_trace, read_trace, write_observation
from noisybench.training.training import digest_of_test_set
from noisybench.variants.variant import Variant

HISTORY = "history.parquet"


@dataclass(frozen=True, slots=True, eq=False)
class FurtherTask:
    """One run of several trainings: the unit that is distributed. It writes its own folder.

    Attributes:
        regime: Which.
        variant: The labels.
        plan: What decides the trainings; how they are watched plays no part.
        seed: Of the split or draw, and of the trainings.
        machine: How they are run.
        home: Folder of all that is known of the labels.
    """

    regime: Regime
    variant: Variant
    plan: Plan
    seed: int
    machine: Machine
    home: Path

    @property
    def scheme(self) -> Scheme:
        """What the run consists of."""
        return SCHEMES[self.regime]

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        plan = self.plan
        return self.home / self.scheme.folder(plan.model, plan.recipe_name, plan.trained) / f"seed-{self.seed}"


def carry_out_further(task: FurtherTask, source: Source, progress: Progress) -> Path:
    """Make, resume, add to, mend or recognise one run; leaves its folder finished.

    It is scored by every detector that its columns feed, whoever asked for it.
    """
    folder, scheme, epochs = task.folder, task.scheme, task.plan.recipe.epochs
    with locked(folder):
        wanted = _record(task, source)
        found = recognise(folder, wanted)
        if found is not None:
            mend(folder, found)
            if not found.is_ended:
                begin_again(folder, found, wanted)
                found = None
        observed = _is_observed(scheme, folder, epochs)
        if observed:
            for _ in range(scheme.lengths * epochs):
                progress()
        if found is not None and observed and _is_whole(folder, found):
            score_added(folder, found, task.variant)
        else:
            if found is not None and not observed:
                check_same_training(folder, found, wanted)
            record = found or wanted  # it says what trained the trace
            begin(folder, record)
            if not observed:
                _train(task, source, record, progress)
            _score(task, record)
        shutil.rmtree(folder / PARTS, ignore_errors=True)
    return folder


def _is_observed(scheme: Scheme, folder: Path, epochs: int) -> bool:
    """Whether the trace of a run has every column at each of its epochs; what is damaged of it is taken away.

    And its history, where that holds what the trace does not.
    """
    mend_trace(folder / "trace")
    if scheme.curve is not None and not can_be_read(folder / HISTORY):
        return False
    seen = epochs_observed(folder / "trace")
    return all(name in seen.get(epoch, set()) for name in scheme.columns for epoch in scheme.epochs_of(name, epochs))


def _is_whole(folder: Path, found: RunRecord) -> bool:
    """Whether all files of a finished run are those that it left."""
    return (folder / TIMING).is_file() and found.files_sha256 == digests_of(folder, found.detectors)


def _train(task: FurtherTask, source: Source, record: RunRecord, progress: Progress) -> None:
    """Each training from its last checkpoint on, then the trace of all; leaves trace and timing, and the parts."""
    folder, scheme, plan = task.folder, task.scheme, task.plan
    undecided = {*HOW_LABELS_CAME, *WHAT_CAME_OUT}
    made_by = {key: value for key, value in record.as_json().items() if key not in undecided}
    parts = scheme.plan(task.variant, task.seed)
    answers = [
        train_in_phases(
            source,
            task.variant,
            plan.build,
            plan.recipe,
            part,
            objective=plan.objective,
            seed=derive(task.seed, task.regime, number),
            machine=task.machine,
            folder=folder / PARTS / part.name,
            made_by=made_by,
            progress=progress,
        )
        for number, part in enumerate(parts)
    ]
    seconds = sum(_seconds_of(folder / PARTS / part.name) for part in parts)
    write_json({"seconds": seconds}, folder / TIMING, sync=False)
    with synced_together():
        for observation in scheme.join(answers, task.variant, task.seed):
            write_observation(observation, folder / "trace", variant_id=record.variant_id)
        if scheme.curve is not None:
            tested = np.array(tested_accuracies(folder / PARTS / parts[0].name))
            _write_history(task, {"test_accuracy": tested})


def _seconds_of(part: Path) -> float:
    spent: Mapping[str, float] = read_timing(part).get("purposes", {})
    return float(sum(spent.values()))


def _score(task: FurtherTask, record: RunRecord) -> None:
    """Write the history, every detector's scores and what they took, and run.json last."""
    folder = task.folder
    with synced_together():
        if task.scheme.curve is None:  # else it is there, with what the trace does not hold
            _write_history(task, {})
        kinds = score_columns(folder, task.variant)
    seconds = read_timing(folder).get("seconds")  # None where nobody knows any more
    passes = further_passes(task.regime, task.plan.recipe.epochs)
    costs = {name: {"seconds": seconds, "passes": passes} for name in kinds}
    write_json({"seconds": seconds, "detectors": costs}, folder / TIMING, sync=False)
    finish(folder, record, {name: name for name in sorted(kinds)}, kinds)


def _write_history(task: FurtherTask, further: Mapping[str, Floats]) -> None:
    """Write what follows from the trace epoch by epoch, and what is told beside."""
    history = {**task.scheme.history(read_trace(task.folder / "trace"), task.variant), **further}
    write_columns(history, task.folder / HISTORY, metadata={"variant_id": task.variant.provenance.variant_id})


def _record(task: FurtherTask, source: Source) -> RunRecord:
    """Everything that decides the bytes of a run."""
    plan, scheme = task.plan, task.scheme
    return RunRecord(
        regime=scheme.regime,
        features="input",
        **about_labels(task.variant),
        test_sha256=None if scheme.curve is None else digest_of_test_set(source),
        model=plan.model,
        recipe=plan.recipe_name,
        setup=scheme.setup(plan.trained),
        trained=plan.trained,
        **recorded(plan.recipe),
        **plan.chosen.recorded,
        observe=scheme.words,
        seed=task.seed,
        detectors={},
        **around(plan, task.machine),
    )
