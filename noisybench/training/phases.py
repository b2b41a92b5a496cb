"""Training in phases: one model is trained on some samples, then on others, and asked after every epoch.

What a run of several trainings consists of: each goes on from its last checkpoint, and ends with the same bytes as one
that was never stopped.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noisybench.data.source import Source, inputs_of, untested
from noisybench.ground.arrays import Floats32, Indices, Labels
from noisybench.ground.durability import synced_together
from noisybench.ground.errors import TrainingFailed
from noisybench.ground.files import write_json
from noisybench.ground.mending import take_away
from noisybench.ground.random_streams import derive
from noisybench.training.asking import check_logits
from noisybench.training.batches import Inputs
from noisybench.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    epochs_trained,
    read_checkpoint,
    state_of,
    write_checkpoint,
)
from noisybench.training.loop import EVALUATION_BATCH, RunInProgress
from noisybench.training.machine import Machine, deterministic_torch, generator_of, seed_torch
from noisybench.training.model import BuildModel, build_model, errors_as_training_failed
from noisybench.training.objective import Objective, plain_objective
from noisybench.training.observing import evaluating
from noisybench.training.recipe import Recipe
from noisybench.training.timing import TIMING, read_timing
from noisybench.training.trace import Observation, Trace, epochs_observed, mend_trace, read_trace, write_observation
from noisybench.variants.variant import Variant, check_source

Question = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""Logits (b, k) of some samples and their labels in the training (b,) → name of a column → its values (b,)."""


@dataclass(frozen=True, slots=True, eq=False)
class PhasedTraining:
    """One model that is trained in phases, each by the whole recipe, and asked about some samples after every epoch.

    Attributes:
        name: Its folder in that of the run.
        classes: Outputs of the model.
        phases: Samples that are trained on in each phase, ascending, shape (m,) each.
        labels: Label of every sample in this training, shape (n,).
        asked: Samples that are asked about, ascending, shape (a,).
        columns: Names of what ``ask`` gives.
        ask: What is recorded of the model's logits, un-augmented and in eval mode.
        tested: Whether the test set is asked too, after every epoch; see ``tested_accuracies``.
    """

    name: str
    classes: int
    phases: tuple[Indices, ...]
    labels: Labels
    asked: Indices
    columns: tuple[str, ...]
    ask: Question
    tested: bool = False


def train_in_phases(
    source: Source,
    variant: Variant,
    build: BuildModel,
    recipe: Recipe,
    wanted: PhasedTraining,
    *,
    seed: int,
    machine: Machine,
    folder: Path,
    made_by: Mapping[str, Any],
    objective: Objective | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Trace:
    """Train a fresh model in phases; the answers about the samples that are asked, columns (p · e, a).

    Every phase begins with a fresh optimiser and goes through the schedule of the recipe once. Each epoch leaves its
    answers in the folder, and every ``machine.checkpoint_every`` epochs a checkpoint.

    Args:
        source: The inputs; its labels are not used.
        variant: Whose training it is; its labels are not used.
        build: Builds the model.
        recipe: How each phase trains.
        wanted: On what, and what is asked.
        seed: Of this training; decides weights, order, augmentation and dropout.
        machine: How it is run.
        folder: Of this training alone.
        made_by: Everything that decides the bytes, as JSON, which must be the same when the training goes on.
        objective: What each phase minimises, begun anew in each; None is cross-entropy.
        progress: Called after each epoch.

    Raises:
        Mismatch: The variant was made from another source.
        TrainingFailed: The model cannot be built or run, or its loss or an answer is not finite.
        BadData: The folder holds a training that was made differently.
    """
    check_source(source, variant)
    inputs, epochs = inputs_of(source, "a training"), len(wanted.phases) * recipe.epochs
    seen = widened(source, wanted.classes)
    if wanted.tested:
        seen = replace(seen, test_inputs=source.test_inputs, test_labels=source.test_labels)
    device = torch.device(machine.device)
    _take_away_damaged(folder)
    with deterministic_torch(device, machine.threads):
        seed_torch(derive(seed, "weights"), device)
        data = Inputs(inputs, device, loader_workers=machine.loader_workers)
        model = build_model(build, seen, data)
        made_by = {**made_by, "training": wanted.name, "layers": hashlib.sha256(repr(model).encode()).hexdigest()}

        def begin(phase: int) -> RunInProgress:
            rows = torch.tensor(wanted.phases[phase], device=device)
            own = derive(seed, "phase", phase)
            return RunInProgress(
                seen, variant, recipe, model, data, own, rows, objective or plain_objective(), wanted.labels
            )

        done, seconds = _done(folder, made_by, wanted.columns), _seconds_before(folder)
        run = begin(max(done - 1, 0) // recipe.epochs)
        tested: list[float] = []
        if done:
            tested += tested_accuracies(folder)
            read_checkpoint(folder / CHECKPOINT).restore(run.weights, run.optimizer, folder / CHECKPOINT, run.state)
        for epoch in range(1, epochs + 1):
            if epoch > done:
                began = time.perf_counter()
                phase, within = divmod(epoch - 1, recipe.epochs)
                run = run if within else begin(phase)
                with errors_as_training_failed(f"training failed in epoch {epoch}", but=OSError):
                    run.epoch(within + 1, None)
                    answers = _answers(run, wanted, epoch=epoch, seed=seed)
                    if wanted.tested:
                        tested.append(run.test_accuracy())
                with synced_together():  # on the disk before the checkpoint, which counts on them, is begun
                    write_observation(Observation(epoch, answers), folder, variant_id=variant.provenance.variant_id)
                seconds += time.perf_counter() - began
                if epoch % machine.checkpoint_every == 0 or epoch == epochs:
                    write_json({"purposes": {"training": seconds}}, folder / TIMING, sync=False)
                    _write_checkpoint(run, epoch, made_by, folder / CHECKPOINT, tested)
            progress()
    return read_trace(folder)


def tested_accuracies(folder: Path) -> list[float]:
    """Accuracy on the test set after each epoch up to the checkpoint of a training; empty of one that does not ask it."""
    return [*read_checkpoint(folder / CHECKPOINT).history.get("test_accuracy", [])]


def widened(source: Source, classes: int) -> Source:
    """A source as a model of so many outputs sees it, without a test set."""
    names = list(source.class_names)
    while len(names) < classes:
        names.append(next(name for name in _fresh_names() if name not in names))
    return replace(untested(source), class_names=tuple(names))


def _fresh_names() -> "Sequence[str]":
    return [f"threshold samples{'+' * i}" for i in range(10)]


def _answers(run: RunInProgress, wanted: PhasedTraining, *, epoch: int, seed: int) -> dict[str, Floats32]:
    """What the model says of the samples that are asked about, in eval mode and without augmentation."""
    data, device = run.data, run.data.device
    asked = torch.tensor(wanted.asked, device=device).split(EVALUATION_BATCH)
    found: dict[str, list[Tensor]] = {name: [] for name in wanted.columns}
    own = derive(seed, "observe", epoch)
    with torch.no_grad(), evaluating(run.model, seed=own, device=device):
        stream = data.stream(asked, "none", generator_of(seed, "observe", epoch))
        for chosen, inputs in zip(asked, stream, strict=True):
            logits = check_logits(run.model(inputs), len(chosen), wanted.classes).float()
            if not logits.isfinite().all():
                msg = f"the model gives outputs that are not finite in epoch {epoch}; lower the learning rate"
                raise TrainingFailed(msg)
            for name, values in wanted.ask(logits, run.labels[chosen]).items():
                found[name].append(values)
    return {name: torch.cat(parts).cpu().numpy().astype(np.float32) for name, parts in found.items()}


def _done(folder: Path, made_by: Mapping[str, Any], columns: Sequence[str]) -> int:
    """Epochs that need not be trained again."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return 0
    checkpoint = read_checkpoint(path)
    checkpoint.check(made_by, path)
    seen = epochs_observed(folder)
    whole = all({*columns} <= seen.get(epoch, set()) for epoch in range(1, checkpoint.epoch + 1))
    return checkpoint.epoch if whole else 0


def _take_away_damaged(folder: Path) -> None:
    """Remove what cannot be read of what an earlier call left, so that it is trained again."""
    mend_trace(folder)
    path = folder / CHECKPOINT
    if path.is_file() and not epochs_trained(path):
        take_away(path)


def _seconds_before(folder: Path) -> float:
    """Seconds of the training so far; 0 where their file was lost."""
    return float(read_timing(folder).get("purposes", {}).get("training", 0.0))


def _write_checkpoint(
    run: RunInProgress, epoch: int, made_by: Mapping[str, Any], path: Path, tested: list[float]
) -> None:
    history = {"epoch": [float(number) for number in range(1, epoch + 1)]}
    checkpoint = Checkpoint(
        epoch=epoch,
        made_by=made_by,
        history=history | ({"test_accuracy": tested} if tested else {}),
        susceptibility=0.0,
        weights=run.weights,
        optimizer=state_of(run.optimizer),
        objective=run.state,
    )
    write_checkpoint(checkpoint, path)
