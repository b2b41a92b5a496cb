"""Training: the one loop. Every draw follows from (seed, purpose, epoch), and looking at it changes nothing."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from noisybench.data.source import Source, inputs_of, source_digest
from noisybench.ground.checks import whole
from noisybench.ground.durability import synced_together
from noisybench.ground.files import read_columns, write_columns
from noisybench.ground.mending import can_be_read
from noisybench.ground.random_streams import derive
from noisybench.training.batches import Inputs
from noisybench.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    read_checkpoint,
    state_of,
    write_checkpoint,
)
from noisybench.training.gathering import asked_columns, due_columns, is_observed, remembering
from noisybench.training.left_files import check_nothing_vanished, take_away_damaged
from noisybench.training.loop import EVALUATION_BATCH, RunInProgress
from noisybench.training.machine import Machine, deterministic_torch, seed_torch, surroundings
from noisybench.training.model import BuildModel, build_model, errors_as_training_failed
from noisybench.training.objective import CROSS_ENTROPY, Objective, able_to_read, choose_objective
from noisybench.training.observing import evaluating
from noisybench.training.probe import Probe
from noisybench.training.ranks import ALONE, training_ranks
from noisybench.training.readings import recall, track
from noisybench.training.recipe import Observe, Recipe, recorded
from noisybench.training.recorder import Recorder
from noisybench.training.susceptibility import Susceptibility, SusceptibilityTracker, measured_as
from noisybench.training.timing import spent_before, write_purposes
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant, check_source

OLD_CHECKPOINT = "checkpoint.pt"
"""Name of what version 0.1.0 wrote: it is never read, and goes when the first checkpoint of this version comes."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What one training run leaves.

    Attributes:
        model: Trained for all epochs; the declared last one, never the best one.
        trace: What the probes saw.
        history: Column → one value an epoch, shape (e,), float64; NaN where it is unknown. The shares of wrong and of
            right labels fitted are those observed: with ``observe="during"`` of the augmented batches in train mode.
        seconds: What was spent, by purpose: training, testing, susceptibility, logits, and each costly probe.
    """

    model: nn.Module
    trace: Trace
    history: Mapping[str, NDArray[np.float64]]
    seconds: Mapping[str, float]

    def __repr__(self) -> str:
        epochs = max((len(values) for values in self.history.values()), default=0)
        return f"Training({type(self.model).__name__}, {epochs} epochs, {self.trace!r})"


def train(
    source: Source,
    variant: Variant,
    build: BuildModel,
    recipe: Recipe,
    probes: Sequence[Probe],
    *,
    seed: int,
    machine: Machine = Machine(),
    objective: str | Objective = CROSS_ENTROPY,
    observe: Observe = "after",
    every: Mapping[str, int] | None = None,
    test_every: int = 1,
    susceptibility: Susceptibility | None = None,
    folder: Path | None = None,
    made_by: Mapping[str, Any] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Training:
    """Train a fresh model on the variant's labels and observe it.

    With a ``folder``, each epoch leaves there, in this order, its part of the trace (``trace/``), its line of the history
    (``history.parquet``) and, every ``machine.checkpoint_every`` epochs, the time spent (``timing.json``) and a checkpoint
    (``checkpoint.safetensors``). A call that finds a checkpoint goes on from it and ends with the same bytes as one that
    was never stopped; where the trace lacks a probe that is asked for now, the run is trained and observed again.
    What a model keeps outside its parameters and buffers is not resumed.

    Several processes of ``torch.distributed`` train one run where each calls this alike, with ``Machine(ranks=…)`` of as
    many: each runs the model on a part of every batch, asks the probes about a part of the samples and has the whole result;
    the first alone writes files, and all must see the folder. The recipe is the same on any number of ranks, statistics of
    batch norm included; gradients differ by the order of their sums, and dropout draws other masks.

    Args:
        source: The inputs; its labels are not used.
        variant: The labels to train on; samples that a person dropped are observed, and in no batch.
        build: Builds the model.
        recipe: How to train.
        probes: What every training sample is asked.
        seed: Decides weights, order, augmentation and dropout, each through a stream of its own.
        machine: How it is run: all but its workers, of which one run has one.
        objective: What is minimised: the name of an objective, or one with its options.
        observe: ``after`` each epoch, un-augmented and in eval mode, or ``during`` training, from the batches' own
            logits; probes that need more than logits observe after the epoch in both.
        every: Probe name → observe only every so many epochs, and after the last.
        test_every: Epochs between two tests, after the last of which there always is one; the history has NaN between.
        susceptibility: How to track it; None does not.
        folder: Of this run alone; None keeps everything in memory.
        made_by: Everything that decides the bytes, as JSON, which must be the same when the run goes on; None takes it
            from the other arguments.
        progress: Called after each epoch.

    Raises:
        Mismatch: The variant was made from another source.
        TrainingFailed: The model cannot be built or run, or its loss is not finite.
        BadData: The folder holds a run that was made differently, or a broken file.
        BadUsage: There are other ranks than the machine says, or more than samples in a batch.
    """
    ranks = training_ranks(machine)
    check_source(source, variant)
    inputs, wanted = inputs_of(source, "a training"), choose_objective(objective).objective
    seed, device = whole(seed, "seed", least=0), torch.device(machine.device)
    with deterministic_torch(device, machine.threads):
        seed_torch(derive(seed, "weights"), device)
        if folder is not None:
            ranks.on_first(partial(take_away_damaged, folder))
        data = Inputs(inputs, device, loader_workers=machine.loader_workers)
        rows = torch.tensor(np.flatnonzero(~variant.dropped), device=device) if variant.dropped.any() else None
        run = RunInProgress(
            source, variant, recipe, build_model(build, source, data), data, seed, rows, wanted, ranks=ranks
        )
        probes = able_to_read(probes, wanted, run.state, run.task)
        watched = _watch(run, probes, observe=observe, every=every or {}, susceptibility=susceptibility, folder=folder)
        if made_by is None:
            made_by = _made_by(watched, every or {}, susceptibility, machine)
            made_by |= {} if test_every == 1 else {"test_every": test_every}
        made_by = {**made_by, "layers": hashlib.sha256(repr(run.model).encode()).hexdigest()}
        done = 0 if folder is None else _resume(watched, made_by, folder)
        ranks.check_same(done, f"epochs in {folder}")
        for epoch in range(1, recipe.epochs + 1):
            if epoch > done:
                with synced_together():  # on the disk before the checkpoint, which counts on them, is begun
                    watched.train_epoch(epoch, tested=epoch % test_every == 0 or epoch == recipe.epochs)
                    if folder is not None:
                        ranks.on_first(partial(_write_history, run, folder))
                if folder is not None and (epoch % machine.checkpoint_every == 0 or epoch == recipe.epochs):
                    ranks.on_first(partial(_leave_checkpoint, watched, made_by, folder))
            progress()
        if folder is not None:
            ranks.on_first(partial(_end, watched, folder))
    history = {name: np.array(values, dtype=np.float64) for name, values in run.history.items()}
    return Training(run.model, watched.recorder.trace(), history, watched.seconds)


@dataclass(frozen=True, slots=True)
class _WatchedRun:
    """A run in progress and all that looks at it.

    Attributes:
        run: What is trained.
        recorder: Asks the probes.
        tracker: Of susceptibility; None where it is not tracked.
        observe: When the probes of logits are asked.
        asked: Epoch → names of the probes that are asked.
        due: Epoch → names of the columns that are written.
    """

    run: RunInProgress
    recorder: Recorder
    tracker: SusceptibilityTracker | None
    observe: Observe
    asked: Mapping[int, set[str]]
    due: Mapping[int, set[str]]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by purpose, those before a resume included."""
        total: dict[str, float] = {}
        tracking = {} if self.tracker is None else {"susceptibility": self.tracker.seconds}
        for part in (self.run.seconds, self.recorder.seconds, tracking):
            for name, seconds in part.items():
                total[name] = total.get(name, 0.0) + seconds
        return total

    def train_epoch(self, epoch: int, *, tested: bool) -> None:
        """One epoch, observed, ``tested`` where it is due, and noted in the history.

        Raises:
            TrainingFailed: The model or a probe fails, or the loss is not finite.
        """
        with errors_as_training_failed(f"training failed in epoch {epoch}", but=OSError):  # such as a disk that is full
            if self.tracker is not None:
                self.tracker.before_epoch(self.run.model, self.run.optimizer, epoch)
            self.run.epoch(epoch, self.recorder if self.observe == "during" else None)
            seen = self._look(epoch)
            if self.tracker is not None:
                self.tracker.after_epoch(self.run.model, epoch)
            self.run.note(epoch, seen, self.tracker, tested=tested)

    def _ask_dropped(self, epoch: int) -> None:
        """Record the logits of samples that are in no batch of training: after the epoch, un-augmented, in eval mode."""
        run, dropped = self.run, np.flatnonzero(self.run.variant.dropped)
        if not dropped.size or not run.ranks.is_first:
            return
        with torch.no_grad(), evaluating(run.model, seed=epoch, device=run.data.device):
            for chosen in torch.tensor(dropped, device=run.data.device).split(EVALUATION_BATCH):
                self.recorder.update(run.model(run.data.batch(chosen)), chosen)

    def _look(self, epoch: int) -> Observation:
        """The epoch's observation, written or kept as one."""
        asked = [probe for probe in self.recorder.probes if probe.name in self.asked[epoch]]
        model, inputs = self.run.model, self.run.data.batches(EVALUATION_BATCH)
        rate = self.run.optimizer.lr
        if self.observe == "after":
            return self.recorder.observe(model, inputs, epoch=epoch, probes=asked, learning_rate=rate)
        self._ask_dropped(epoch)
        return self.recorder.end_epoch(epoch=epoch, model=model, inputs=inputs, probes=asked, learning_rate=rate)


def _watch(
    run: RunInProgress,
    probes: Sequence[Probe],
    *,
    observe: Observe,
    every: Mapping[str, int],
    susceptibility: Susceptibility | None,
    folder: Path | None,
) -> _WatchedRun:
    """A run with what is to look at it, its trace in the folder where there is one."""
    trace = None if folder is None else folder / "trace"
    device, seed = run.data.device, run.seed
    epochs = run.recipe.epochs
    recorder = Recorder(
        run.variant,
        probes,
        seed=seed,
        device=device,
        folder=trace,
        resume=True,
        keep=True,
        epochs=epochs,
        across_ranks=run.ranks != ALONE,
    )
    tracker = None
    if susceptibility is not None:
        augmentation = run.recipe.augmentation
        tracker = track(susceptibility, run.source, run.data, augmentation, seed=seed, rows=run.rows)
    asked, due = (columns(recorder.probes, epochs, every) for columns in (asked_columns, due_columns))
    return _WatchedRun(run, recorder, tracker, observe, asked, due)


def _made_by(
    watched: _WatchedRun, every: Mapping[str, int], susceptibility: Susceptibility | None, machine: Machine
) -> dict[str, Any]:
    """Everything that decides the bytes of a run but the layers of its model, as JSON."""
    run = watched.run
    return {
        "variant_id": run.variant.provenance.variant_id,
        **recorded(run.recipe),
        "seed": run.seed,
        "observe": watched.observe,
        "every": dict(every),
        "probes": {probe.name: _options_of(probe) for probe in watched.recorder.probes},
        "susceptibility": None if susceptibility is None else measured_as(susceptibility),
        "objective": repr(run.objective),
        "test_sha256": digest_of_test_set(run.source),
        **surroundings(run.data.device, machine.threads, machine.ranks),
    }


def digest_of_test_set(source: Source) -> str | None:
    """Digest of a source's test set; None where it has none."""
    if source.test_inputs is None or source.test_labels is None:
        return None
    return source_digest(source.test_inputs, source.test_labels)


def _options_of(probe: Probe) -> dict[str, Any]:
    """The plain values that a probe is made with."""
    values = {name: getattr(probe, name) for name in getattr(probe, "__dataclass_fields__", ())}
    return {name: value for name, value in values.items() if isinstance(value, int | float | str | bool)}


def _resume(watched: _WatchedRun, made_by: Mapping[str, Any], folder: Path) -> int:
    """Put a run back to its last checkpoint; the epochs that need not be trained again."""
    run = watched.run
    path = folder / CHECKPOINT
    if not path.is_file():
        return 0
    checkpoint = read_checkpoint(path)
    checkpoint.check(made_by, path)
    if not is_observed(folder / "trace", watched.due, until=checkpoint.epoch):
        return 0
    if not _recall(watched, checkpoint):
        return 0
    checkpoint.restore(run.weights, run.optimizer, path, run.state)
    # Before the next step sets it, susceptibility may step at the last rate.
    run.optimizer.lr = checkpoint.history["learning_rate"][-1]
    run.history.update({name: list(values) for name, values in checkpoint.history.items()})
    run.seconds.update(spent_before(folder))
    if watched.tracker is not None:
        recall(watched.tracker, checkpoint.susceptibility, checkpoint.history)
    return checkpoint.epoch


def _memory(watched: _WatchedRun) -> dict[str, Tensor]:
    """What the probes remember as a checkpoint keeps it; after the last epoch nobody asks for it any more."""
    if len(watched.run.history["epoch"]) == watched.run.recipe.epochs:
        return {}
    return {name: torch.empty(0) if kept is None else kept for name, kept in watched.recorder.memory.items()}


def _recall(watched: _WatchedRun, checkpoint: Checkpoint) -> bool:
    """Put back what the probes remembered; whether the checkpoint has it of each that was asked before."""
    recorder, until = watched.recorder, checkpoint.epoch
    names = remembering(recorder.probes)
    asked = {name for epoch, probes in watched.asked.items() if epoch <= until for name in probes}
    if until < watched.run.recipe.epochs and not names & asked <= {*checkpoint.memory}:
        return False
    kept = {name: checkpoint.memory.get(name, torch.empty(0)) for name in names}
    recorder.memory = {
        name: memory.to(recorder.labels.device, copy=True) if memory.numel() else None for name, memory in kept.items()
    }
    return True


def _leave_checkpoint(watched: _WatchedRun, made_by: Mapping[str, Any], folder: Path) -> None:
    write_purposes(watched.seconds, folder)
    _write_checkpoint(watched, made_by, folder)


def _end(watched: _WatchedRun, folder: Path) -> None:
    """Write a history that was lost after the last checkpoint, and look whether all is there."""
    if not (folder / "history.parquet").is_file():
        _write_history(watched.run, folder)
    check_nothing_vanished(folder, watched.due)


def _write_history(run: RunInProgress, folder: Path) -> None:
    """Write the history; later epochs of the same run, trained again for a further probe, keep theirs until then."""
    _write_columns(run.history, run.variant, folder)


def restore_history(folder: Path, variant: Variant) -> None:
    """Write the history that was lost as the checkpoint of the last epoch holds it."""
    _write_columns(read_checkpoint(folder / CHECKPOINT).history, variant, folder)


def _write_columns(history: Mapping[str, list[float]], variant: Variant, folder: Path) -> None:
    path = folder / "history.parquet"
    columns = {name: np.array(values, dtype=np.float64) for name, values in history.items()}
    if can_be_read(path):
        before = read_columns(path)[0]
        later = before["epoch"] > columns["epoch"][-1]
        unknown = np.full(len(later), np.nan)  # of a column that had not been thought of
        columns = {name: np.concatenate([values, before.get(name, unknown)[later]]) for name, values in columns.items()}
    write_columns(columns, path, metadata={"variant_id": variant.provenance.variant_id})


def _write_checkpoint(watched: _WatchedRun, made_by: Mapping[str, Any], folder: Path) -> None:
    """Write where the run stands, in place of what an earlier version left."""
    run = watched.run
    checkpoint = Checkpoint(
        epoch=len(run.history["epoch"]),
        made_by=made_by,
        weights=run.weights,
        optimizer=state_of(run.optimizer),
        objective=run.state,
        history=run.history,
        susceptibility=0.0 if watched.tracker is None else watched.tracker.total,
        memory=_memory(watched),
    )
    (folder / OLD_CHECKPOINT).unlink(missing_ok=True)
    write_checkpoint(checkpoint, folder / CHECKPOINT)
