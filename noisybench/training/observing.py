"""Observing: ask a model about every training sample, without changing the model or anything it draws from."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from noisybench.ground.arrays import Labels
from noisybench.ground.checks import check_kind, whole
from noisybench.ground.errors import TrainingFailed
from noisybench.ground.random_streams import derive
from noisybench.training.asking import Batch
from noisybench.training.gathering import Memory, Values, merge_parts
from noisybench.training.machine import seed_torch
from noisybench.training.probe import Probe
from noisybench.training.ranks import ALONE, Ranks, whole_model
from noisybench.training.sample_order import (
    SampleInputs,
    batches_in_order,
    check_loader,
    count,
    generators_kept,
    split,
)
from noisybench.training.trace import Observation


@contextmanager
def evaluating(model: nn.Module, *, seed: int, device: torch.device) -> Iterator[None]:
    """Put ``model`` in eval mode and torch's generators on ``seed``; then put both back as they were."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            torch.autocast(device.type, enabled=False),
        ):
            seed_torch(seed, device)
            yield
    finally:
        for module, training in modes:
            module.training = training


def observe(
    model: nn.Module,
    inputs: SampleInputs,
    labels: Tensor,
    probes: Sequence[Probe],
    *,
    epoch: int,
    num_classes: int | None = None,
    clean: Labels | None = None,
    seed: int = 0,
    batch_size: int = 256,
    learning_rate: float | None = None,
    seconds: dict[str, float] | None = None,
    memory: Memory | None = None,
    kept: Tensor | None = None,
    ranks: Ranks = ALONE,
) -> Observation:
    """Every probe's value for every sample, in order and without augmentation.

    Args:
        model: Left as it was: same mode, same weights, same batch-norm statistics, same random generators.
        inputs: Shape (n, ...), float, normalised as in training, or a tensor of every input that the model takes by
            name; or batches of such in sample order, whose labels, as pairs (inputs, labels) or under the name
            ``labels``, must then be those of the samples. A loader that shuffles is refused.
        labels: Given labels, shape (n,), int64, on the device of ``model``.
        probes: What is asked.
        epoch: Epochs trained so far.
        num_classes: Logits that the model must give for each sample; None takes more than the labels need.
        clean: Shape (n,): labels that the pairs of a loader may hold instead; below 0 is unknown.
        seed: For probes that draw.
        batch_size: Samples at a time where ``inputs`` is one tensor; no value depends on it.
        learning_rate: Of the optimizer at the end of the epoch, for probes that weigh epochs by it.
        seconds: Where the time is added up, under ``logits``, the name of each probe that needs more, and that of each
            pass that several of those share.
        memory: What probes remember of earlier epochs, by name, which is brought up to date; None remembers nothing.
        kept: Samples that a person did not drop, shape (m,), ascending: probes that compare the samples of an epoch with
            each other see these alone. None are all.
        ranks: Processes that share the work: each asks every so-manieth batch, and all return the whole. What probes
            remember is then on the first alone.

    Raises:
        BadUsage: An epoch that is no whole number, or negative; or a loader that gives the samples in another order.
        BadData: The inputs are more or fewer than the labels, or a batch is neither inputs nor a pair.
        Mismatch: A loader's own labels are not those of the samples.
        TrainingFailed: A probe gave a value that is not finite, or the model's output has the wrong shape.
    """
    epoch = whole(epoch, "epoch", least=0)
    check_kind(labels, Tensor, "labels", "torch.tensor(variant.labels) gives them")
    check_loader(inputs)
    parts = split(inputs, batch_size)
    own = derive(seed, "probe", epoch)
    answers = {probe.name: Values(probe, len(labels)) for probe in probes}
    beside: dict[str, list[tuple[int, Tensor]]] = {}
    memory = {} if memory is None else memory
    spent = {"logits": 0.0} if seconds is None else seconds
    model = whole_model(model, ranks)
    drawn = derive(seed, "observe", epoch) % 2**63
    began = time.perf_counter()
    with generators_kept(inputs), ranks.same_buffers(model), evaluating(model, seed=drawn, device=labels.device):
        with ranks.agreeing():
            for number, (start, part) in enumerate(batches_in_order(parts, labels, clean=clean)):
                if number % ranks.world != ranks.rank:
                    continue
                asked = labels[start : start + count(part)]
                batch = Batch(
                    model, part, asked, start=start, seed=own, num_classes=num_classes, learning_rate=learning_rate
                )
                if probes and (batch.start == 0 or any(not probe.passes for probe in probes)):
                    _ = batch.logits  # in the first batch always, else nobody may look at their shape
                    began = _spend(spent, "logits", began)
                for probe in probes:
                    answers[probe.name].put(start, len(asked), probe(batch))
                    began += _spend_shared(spent, batch)
                    began = _spend(spent, probe.name if probe.gradient else "logits", began)
                for name, values in batch.beside.items():
                    beside.setdefault(name, []).append((start, values.detach()))
                began = _spend(spent, "logits", began)
        columns = {}
        for probe in probes:
            answers[probe.name].merge(ranks, labels.device)
            with ranks.agreeing():
                if ranks.is_first:
                    column = answers.pop(probe.name).column(labels, memory, kept)
                    columns[probe.name] = _to_numpy(probe.name, column, epoch)
            began = _spend(spent, probe.name if probe.gradient else "logits", began)
        further = merge_parts(beside, len(labels), ranks, labels.device)
        with ranks.agreeing():
            columns.update({name: _to_numpy(name, values, epoch) for name, values in further.items()})
    return Observation(epoch, ranks.from_first(columns))


def _spend(seconds: dict[str, float], name: str, began: float) -> float:
    """Add the time since ``began`` to a name; the time now."""
    now = time.perf_counter()
    seconds[name] = seconds.get(name, 0.0) + now - began
    return now


def _spend_shared(seconds: dict[str, float], batch: Batch) -> float:
    """Add the time of passes that probes share to the names of these; how much that is."""
    shared = dict(batch.seconds)
    batch.seconds.clear()
    for name, time_taken in shared.items():
        seconds[name] = seconds.get(name, 0.0) + time_taken
    return sum(shared.values())


def _to_numpy(name: str, values: Tensor, epoch: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    array = values.cpu().numpy().astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))
    if bad.size:
        msg = (
            f"probe '{name}' gave a value that is not finite for sample {bad[0]} in epoch {epoch} "
            f"({bad.size} such samples); the model has diverged: lower the learning rate"
        )
        raise TrainingFailed(msg)
    return array
