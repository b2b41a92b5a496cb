"""Training: the one loop. Every draw follows from (seed, purpose, epoch), and looking at it changes nothing."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from noisybench.data.source import Source, source_digest
from noisybench.ground.checks import whole
from noisybench.ground.files import check_fields, read_columns, read_record, write_columns, write_json
from noisybench.ground.random_streams import derive
from noisybench.training.batches import Inputs
from noisybench.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    read_checkpoint,
    state_of,
    weights_of,
    write_checkpoint,
)
from noisybench.training.loop import EVALUATION_BATCH, RunInProgress
from noisybench.training.machine import quiet_machine, surroundings
from noisybench.training.model import BuildModel, as_training_failed, build_model
from noisybench.training.observing import Probe, Recorder
from noisybench.training.recipe import Observe, Recipe
from noisybench.training.susceptibility import Susceptibility, SusceptibilityTracker
from noisybench.training.trace import Observation, Trace, epochs_observed
from noisybench.variants.variant import Variant, check_source

OLD_CHECKPOINT = "checkpoint.pt"
"""What version 0.1.0 wrote: it is never read, and goes when the first checkpoint of this version comes."""


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


def train(
    source: Source,
    variant: Variant,
    build: BuildModel,
    recipe: Recipe,
    probes: Sequence[Probe],
    *,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
    observe: Observe = "after",
    every: Mapping[str, int] | None = None,
    susceptibility: Susceptibility | None = None,
    folder: Path | None = None,
    checkpoint_every: int = 1,
    loader_workers: int = 0,
    made_by: Mapping[str, Any] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Training:
    """Train a fresh model on the variant's labels and observe it.

    With a ``folder``, each epoch leaves there, in this order, its part of the trace (``trace/``), its line of the history
    (``history.parquet``) and, every ``checkpoint_every`` epochs, the time spent (``timing.json``) and a checkpoint
    (``checkpoint.safetensors``). A call that finds a checkpoint goes on from it and ends with the same bytes as one that was never
    stopped; where the trace lacks a probe that is asked for now, the run is trained and observed again.
    What a model keeps outside its parameters and buffers is not resumed.

    Args:
        source: The inputs; its labels are not used.
        variant: The labels to train on.
        build: Builds the model.
        recipe: How to train.
        probes: What every training sample is asked.
        seed: Decides weights, order, augmentation and dropout, each through a stream of its own.
        device: Of torch.
        threads: Of torch on a CPU; the last bits of a sum depend on their number.
        observe: ``after`` each epoch, un-augmented and in eval mode, or ``during`` training, from the batches' own
            logits; probes that need more than logits observe after the epoch in both.
        every: Probe name → observe only every so many epochs, and after the last.
        susceptibility: How to track it; None does not.
        folder: Of this run alone; None keeps everything in memory.
        checkpoint_every: Epochs between two checkpoints; the last epoch always has one.
        loader_workers: Processes that read ahead what does not lie in memory, see ``Inputs``; no bit depends on it.
        made_by: Everything that decides the bytes, as JSON, which must be the same when the run goes on; None takes it
            from the other arguments.
        progress: Called after each epoch.

    Raises:
        Mismatch: The variant was made from another source.
        TrainingFailed: The model cannot be built or run, or its loss is not finite.
        BadData: The folder holds a run that was made differently, or a broken file.
    """
    check_source(source, variant)
    seed, threads = whole(seed, "seed", least=0), whole(threads, "threads", least=1)
    checkpoint_every = whole(checkpoint_every, "checkpoint_every", least=1)
    loader_workers = whole(loader_workers, "loader_workers", least=0)
    place = torch.device(device)
    with quiet_machine(place, threads):
        torch.manual_seed(derive(seed, "weights"))
        data = Inputs(source.inputs, place, loader_workers=loader_workers)
        model = build_model(build, source, data)
        run = RunInProgress(source, variant, recipe, model, data, seed)
        trace = None if folder is None else folder / "trace"
        recorder = Recorder(variant, probes, seed=seed, device=place, folder=trace, resume=True, keep=True)
        tracker = None
        if susceptibility is not None:
            tracker = SusceptibilityTracker(susceptibility, data, source.num_classes, recipe.augmentation, seed=seed)
        due = due_columns([probe.name for probe in recorder.probes], recipe.epochs, every or {})
        if made_by is None:
            made_by = {
                "variant_id": variant.provenance.variant_id,
                **asdict(recipe),
                "seed": seed,
                "observe": observe,
                "every": dict(every or {}),
                "probes": {probe.name: _options_of(probe) for probe in recorder.probes},
                "susceptibility": None if susceptibility is None else asdict(susceptibility),
                "test_sha256": digest_of_test_set(source),
                **surroundings(place, threads),
            }
        made_by = {**made_by, "layers": hashlib.sha256(repr(model).encode()).hexdigest()}
        done = 0 if folder is None else _resume(run, tracker, due, made_by, folder)
        for epoch in range(1, recipe.epochs + 1):
            if epoch > done:
                asked = [probe for probe in recorder.probes if probe.name in due[epoch]]
                with as_training_failed(
                    f"training failed in epoch {epoch}", but=OSError
                ):  # such as a disk that is full
                    if tracker is not None:
                        tracker.before_epoch(model, run.optimizer, epoch)
                    run.epoch(epoch, recorder if observe == "during" else None)
                    seen = _observe(recorder, run, asked, epoch, during=observe == "during")
                    if tracker is not None:
                        tracker.after_epoch(model, epoch)
                    run.note(epoch, seen, tracker)
                if folder is not None:
                    _write_history(run, folder)
                    if epoch % checkpoint_every == 0 or epoch == recipe.epochs:
                        _write_timing(_seconds(run, recorder, tracker), folder)
                        _write_checkpoint(run, tracker, made_by, folder)
            progress()
        if folder is not None and not (folder / "history.parquet").is_file():  # lost after the last checkpoint
            _write_history(run, folder)
    history = {name: np.array(values, dtype=np.float64) for name, values in run.history.items()}
    return Training(model, recorder.trace(), history, _seconds(run, recorder, tracker))


def digest_of_test_set(source: Source) -> str | None:
    """Digest of a source's test set; None where it has none."""
    if source.test_inputs is None or source.test_labels is None:
        return None
    return source_digest(source.test_inputs, source.test_labels)


def _options_of(probe: Probe) -> dict[str, Any]:
    """The plain values that a probe is made with."""
    values = {name: getattr(probe, name) for name in getattr(probe, "__dataclass_fields__", ())}
    return {name: value for name, value in values.items() if isinstance(value, int | float | str | bool)}


def due_columns(columns: Sequence[str], epochs: int, every: Mapping[str, int]) -> dict[int, set[str]]:
    """Epoch → the columns that are observed after it; the last epoch has all.

    >>> [sorted(names) for names in due_columns(["loss", "curvature"], 3, {"curvature": 2}).values()]
    [['loss'], ['curvature', 'loss'], ['curvature', 'loss']]
    """
    return {
        epoch: {name for name in columns if epoch % every.get(name, 1) == 0 or epoch == epochs}
        for epoch in range(1, epochs + 1)
    }


def is_observed(trace: Path, due: Mapping[int, set[str]], *, until: int) -> bool:
    """Whether the trace in a folder has every column that is due in the epochs up to ``until``."""
    seen = epochs_observed(trace)
    return all(due[epoch] <= seen.get(epoch, set()) for epoch in range(1, until + 1))


def _observe(recorder: Recorder, run: RunInProgress, due: Sequence[Probe], epoch: int, *, during: bool) -> Observation:
    """The epoch's observation, written or kept as one."""
    if not during:
        return recorder.observe(run.model, run.data.batches(EVALUATION_BATCH), epoch=epoch, probes=due)
    return recorder.end_epoch(
        epoch=epoch,
        model=run.model,
        inputs=run.data.batches(EVALUATION_BATCH),
        probes=due,
    )


def _resume(
    run: RunInProgress,
    tracker: SusceptibilityTracker | None,
    due: Mapping[int, set[str]],
    made_by: Mapping[str, Any],
    folder: Path,
) -> int:
    """Put a run back to its last checkpoint; the epochs that need not be trained again."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return 0
    checkpoint = read_checkpoint(path)
    checkpoint.check(made_by, path)
    if not is_observed(folder / "trace", due, until=checkpoint.epoch):
        return 0
    checkpoint.restore(run.model, run.optimizer, path)
    for group in run.optimizer.param_groups:  # before the next step sets it, susceptibility may step at the last rate
        group["lr"] = checkpoint.history["learning_rate"][-1]
    run.history.update({name: list(values) for name, values in checkpoint.history.items()})
    run.seconds.update(_spent_before(folder))
    if tracker is not None:
        tracker.total = checkpoint.susceptibility
    return checkpoint.epoch


def _write_history(run: RunInProgress, folder: Path) -> None:
    """Write the history; later epochs of the same run, trained again for a further probe, keep theirs until then."""
    path = folder / "history.parquet"
    columns = {name: np.array(values, dtype=np.float64) for name, values in run.history.items()}
    if path.is_file():
        before = read_columns(path)[0]
        later = before["epoch"] > columns["epoch"][-1]
        columns = {name: np.concatenate([values, before[name][later]]) for name, values in columns.items()}
    write_columns(columns, path, metadata={"variant_id": run.variant.provenance.variant_id})


def _write_timing(purposes: Mapping[str, float], folder: Path) -> None:
    """Write what was spent so far; the one file of a run that is no part of any comparison of bytes.

    A run that is trained again for a further probe keeps what its first training took until it has taken more.
    """
    path = folder / "timing.json"
    before = _spent_before(folder)
    most = {name: max(before.get(name, 0.0), purposes.get(name, 0.0)) for name in sorted({*before, *purposes})}
    write_json({**(read_record(path) if path.is_file() else {}), "purposes": most}, path)


def _spent_before(folder: Path) -> dict[str, float]:
    """Seconds by purpose of the training so far; nothing where their file was lost."""
    path = folder / "timing.json"
    record = read_record(path) if path.is_file() else {}
    check_fields(record, {"purposes": Mapping[str, float]} if "purposes" in record else {}, path)
    return dict(record.get("purposes", {}))


def _write_checkpoint(
    run: RunInProgress, tracker: SusceptibilityTracker | None, made_by: Mapping[str, Any], folder: Path
) -> None:
    checkpoint = Checkpoint(
        epoch=len(run.history["epoch"]),
        made_by=made_by,
        weights=weights_of(run.model),
        optimizer=state_of(run.optimizer),
        history=run.history,
        susceptibility=0.0 if tracker is None else tracker.total,
    )
    (folder / OLD_CHECKPOINT).unlink(missing_ok=True)
    write_checkpoint(checkpoint, folder / CHECKPOINT)


def _seconds(run: RunInProgress, recorder: Recorder, tracker: SusceptibilityTracker | None) -> dict[str, float]:
    """Seconds by purpose, those before a resume included."""
    total: dict[str, float] = {}
    for part in (run.seconds, recorder.seconds, {} if tracker is None else {"susceptibility": tracker.seconds}):
        for name, seconds in part.items():
            total[name] = total.get(name, 0.0) + seconds
    return total
