"""Training: the one loop. Every draw follows from (seed, purpose, epoch), and looking at it changes nothing."""

import hashlib
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from noisybench.checkpoint import Checkpoint, read_checkpoint, state_of, weights_of, write_checkpoint
from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Augmentation, Source, source_digest
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadUsage, NoisybenchError, TrainingFailed
from noisybench.ground.files import check_fields, read_columns, read_record, write_columns, write_json
from noisybench.ground.random_streams import derive
from noisybench.ground.version import __version__
from noisybench.inputs import Inputs
from noisybench.observing import Probe, Recorder, check_logits, evaluating
from noisybench.susceptibility import Susceptibility, SusceptibilityTracker
from noisybench.trace import Observation, Trace, epochs_observed
from noisybench.variants.variant import Variant, check_source

Observe = Literal["after", "during"]


class BuildModel(Protocol):
    """What a file of ``models/`` gives."""

    def __call__(self, *, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
        """A fresh model, its weights drawn from torch's own generator; input_shape is (c, h, w) or (d,)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run but the data, the model and the seed.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Samples per step.
        lr: Highest learning rate of SGD.
        momentum: Of SGD, Nesterov's.
        weight_decay: Of SGD, on every parameter.
        schedule: ``one_cycle`` climbs to ``lr`` in the first quarter and then falls to zero, both in a straight line.
        augmentation: What is done to training images.
        precision: Of training alone; observation is always float32. ``bfloat16`` is autocast, for GPUs.
    """

    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    augmentation: Augmentation = "none"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            object.__setattr__(self, name, whole(getattr(self, name), f"recipe: {name}"))
        lowest = {"epochs": 1, "batch_size": 2, "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if not least <= value < float("inf"):
                msg = f"recipe: {name} must be at least {least:g} and finite, got {value:g}"
                raise BadUsage(msg)
        if self.momentum >= 1:
            msg = f"recipe: momentum must be below 1, got {self.momentum:g}"
            raise BadUsage(msg)


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
    (``checkpoint.pt``). A call that finds a checkpoint goes on from it and ends with the same bytes as one that was never
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
                with _said(f"training failed in epoch {epoch}", but=OSError):  # such as a disk that is full
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


def surroundings(device: torch.device, threads: int) -> dict[str, Any]:
    """What decides the last bits of a run besides its recipe: versions, machine and threads."""
    if device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": device.type,
        "machine": machine,
        "threads": threads,
        "versions": {"noisybench": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
    }


def check_model(build: BuildModel, source: Source, *, device: str = "cpu") -> None:
    """Raise what ``train`` would for a model that cannot be built or run, or does not give a logit a class."""
    place = torch.device(device)
    with quiet_machine(place, 1):
        build_model(build, source, Inputs(source.inputs[:1], place))


def check_images(model: str, input_shape: tuple[int, ...], *, smallest: int) -> tuple[int, int, int]:
    """The (c, h, w) of ``input_shape``, for a model that takes images alone.

    Raises:
        BadUsage: The inputs are features, or too small.
    """
    if len(input_shape) != IMAGE_DIMENSIONS - 1 or min(input_shape[1:]) < smallest:
        msg = f"model '{model}' takes images of at least {smallest} × {smallest}, got inputs of shape {input_shape}; use mlp"
        raise BadUsage(msg)
    c, h, w = input_shape
    return c, h, w


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of one step of ``steps``, counted from 0.

    >>> [round(learning_rate(Recipe(lr=1.0), step, 8), 3) for step in range(8)]
    [0.25, 0.75, 0.917, 0.75, 0.583, 0.417, 0.25, 0.083]
    """
    if recipe.schedule == "constant":
        return recipe.lr
    done = (step + 0.5) / steps  # the middle of the step, so that neither end is a step of size zero
    return recipe.lr * min(done / 0.25, (1 - done) / 0.75)


@dataclass(slots=True)
class RunInProgress:
    """A run in progress."""

    source: Source
    variant: Variant
    recipe: Recipe
    model: nn.Module
    data: Inputs
    seed: int
    optimizer: torch.optim.SGD = field(init=False)
    labels: Tensor = field(init=False)
    test: tuple[Inputs, Tensor] | None = field(init=False, default=None)
    history: dict[str, list[float]] = field(init=False, default_factory=dict)
    seconds: dict[str, float] = field(init=False)
    _loss: float = field(init=False, default=float("nan"))
    _accuracy: float = field(init=False, default=float("nan"))

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )
        self.labels = torch.tensor(self.variant.labels, device=self.data.device)
        if self.source.test_inputs is not None and self.source.test_labels is not None:
            workers = self.data.loader_workers
            inputs = Inputs(self.source.test_inputs, self.data.device, like=self.data, loader_workers=workers)
            self.test = inputs, torch.tensor(self.source.test_labels, device=self.data.device)
        self.seconds = {"training": 0.0, "testing": 0.0}

    def epoch(self, epoch: int, recorder: Recorder | None) -> None:
        """One pass over the training set. ``recorder`` is given each batch's own logits."""
        began = time.perf_counter()
        recipe, device = self.recipe, self.data.device
        order = torch.randperm(len(self.data), generator=generator_of(self.seed, "order", epoch)).to(device)
        augment = generator_of(self.seed, "augment", epoch)
        torch.manual_seed(derive(self.seed, "layers", epoch))
        batches = batches_of(order, recipe.batch_size)
        total, hits = torch.zeros((), device=device), torch.zeros((), device=device)
        self.model.train()
        stream = zip(batches, self.data.stream(batches, recipe.augmentation, augment), strict=True)
        for step, (chosen, inputs) in enumerate(stream, start=(epoch - 1) * len(batches)):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, recipe.epochs * len(batches))
            labels = self.labels[chosen]
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                logits = check_logits(self.model(inputs), len(chosen), self.variant.num_classes)
            if not logits.requires_grad:
                msg = "the model's outputs depend on no parameter that is trained; expected logits with a gradient"
                raise TrainingFailed(msg)
            loss = F.cross_entropy(logits.float(), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(chosen)
            hits += (logits.detach().argmax(1) == labels).sum()
            if recorder is not None:
                recorder.update(logits, chosen)
        self._loss = float(total) / len(order)
        self._accuracy = float(hits) / len(order)
        self.seconds["training"] += time.perf_counter() - began
        if not np.isfinite(self._loss):
            msg = f"the training loss is {self._loss} in epoch {epoch}; lower the learning rate (now lr={recipe.lr:g})"
            raise TrainingFailed(msg)

    def note(self, epoch: int, seen: Observation, tracker: SusceptibilityTracker | None) -> None:
        """Add this epoch's line to the history."""
        row = {
            "epoch": float(epoch),
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "train_loss": self._loss,
            "train_accuracy": self._accuracy,
            "mislabeled_fit": float("nan"),
            "clean_fit": float("nan"),
            "test_accuracy": self._test(),
            "susceptibility": float("nan") if tracker is None else tracker.value,
            "susceptibility_drop": float("nan") if tracker is None else tracker.drop,
        }
        if "correct" in seen.values:
            correct, mislabeled = seen.values["correct"], self.variant.mislabeled
            row["mislabeled_fit"] = _mean(correct[mislabeled])
            row["clean_fit"] = _mean(correct[self.variant.known & ~mislabeled])
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)

    def _test(self) -> float:
        """Accuracy on the test set; NaN without one."""
        if self.test is None:
            return float("nan")
        began = time.perf_counter()
        inputs, labels = self.test
        hits = torch.zeros((), device=labels.device)
        with torch.no_grad(), evaluating(self.model, seed=0, device=labels.device):
            for batch, expected in zip(inputs.batches(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
                hits += (self.model(batch).argmax(1) == expected).sum()
        self.seconds["testing"] += time.perf_counter() - began
        return float(hits) / len(labels)


EVALUATION_BATCH = 128
"""Small enough that a batch of activations stays in a CPU's cache; 256 and 512 were slower, most of all for gradients."""


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
    path = folder / "checkpoint.pt"
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
    write_checkpoint(checkpoint, folder / "checkpoint.pt")


def _seconds(run: RunInProgress, recorder: Recorder, tracker: SusceptibilityTracker | None) -> dict[str, float]:
    """Seconds by purpose, those before a resume included."""
    total: dict[str, float] = {}
    for part in (run.seconds, recorder.seconds, {} if tracker is None else {"susceptibility": tracker.seconds}):
        for name, seconds in part.items():
            total[name] = total.get(name, 0.0) + seconds
    return total


def build_model(build: BuildModel, source: Source, data: Inputs) -> nn.Module:
    """A fresh model on the device of ``data``, seen to give a logit a class and to have something to train.

    Raises:
        TrainingFailed: It cannot be built or run, or gives something else.
    """
    model: Any  # until it is seen to be a module
    with _said(f"the model cannot be built for inputs of shape {source.input_shape}"):
        model = build(num_classes=source.num_classes, input_shape=source.input_shape)
    if not isinstance(model, nn.Module):
        msg = f"the model function gave {type(model).__name__}, expected a torch.nn.Module"
        raise TrainingFailed(msg)
    with _said("the model cannot be put on its device"):  # such as one whose parameters have no shape yet
        model = model.to(data.device)
        if data.is_image:
            model = model.to(memory_format=torch.channels_last)
    with (
        _said(f"the model cannot be run on inputs of shape {source.input_shape}"),
        torch.no_grad(),
        evaluating(model, seed=0, device=data.device),
    ):
        check_logits(model(data.batch(slice(0, 1))), 1, source.num_classes)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        msg = "the model has no parameter to train; give it one that requires a gradient"
        raise TrainingFailed(msg)
    return model


@contextmanager
def _said(what: str, *, but: type[Exception] = NoisybenchError) -> Iterator[None]:
    """Say in one sentence what a stranger's model or probe raised; our own errors already do."""
    try:
        yield
    except (NoisybenchError, but):
        raise
    except (Exception, SystemExit) as error:  # whatever it is
        msg = f"{what}: {type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
        raise TrainingFailed(msg) from error


def batches_of(order: Tensor, size: int) -> list[Tensor]:
    """Batches of ``size``; a last one of a single sample, which batch norm cannot take, joins the one before."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def generator_of(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A generator of torch's, on the CPU, for one purpose in one epoch."""
    return torch.Generator().manual_seed(derive(seed, purpose, epoch))


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


@contextmanager
def quiet_machine(device: torch.device, count: int) -> Iterator[None]:
    """So many threads, deterministic kernels, and torch's generators left as they were.

    Two threads on a small model were up to twice slower than one on a shared machine, and sums depend on their number.
    """
    threads = torch.get_num_threads()
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.set_num_threads(count)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
