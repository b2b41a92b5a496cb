"""What each of two processes does in tests of ranks.

Each task leaves ``RANK.npz`` in the folder, and what it was told of errors in ``RANK.json``.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from noisybench.data.loading import load_source
from noisybench.ground.errors import NoisybenchError
from noisybench.items import find
from noisybench.training import ranks
from noisybench.training.machine import Machine
from noisybench.training.recipe import Observe, Recipe
from noisybench.training.recorder import Recorder
from noisybench.training.susceptibility import Susceptibility
from noisybench.training.trace import Trace
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections

N, K, WIDTH, BATCH, EPOCHS = 37, 3, 5, 8, 2
PROBES = ("margin", "loss", "prediction", "gradient_norm", "curvature", "mean_probabilities", "self_influence")
"""Of logits alone, of gradients, of all samples at once, and of earlier epochs."""


def samples() -> tuple[Tensor, Tensor]:
    """Inputs (n, d) and labels (n,)."""
    stream = torch.Generator().manual_seed(3)
    return torch.randn(N, WIDTH, generator=stream), torch.randint(K, (N,), generator=stream)


def perceptron(*, norm: bool) -> nn.Sequential:
    """Fresh weights, alike on every rank."""
    torch.manual_seed(5)
    between = nn.BatchNorm1d(7) if norm else nn.ReLU()
    return nn.Sequential(nn.Linear(WIDTH, 7), between, nn.Tanh(), nn.Linear(7, K))


def columns_of(trace: Trace) -> dict[str, Any]:
    """Columns by name, as a file holds them."""
    return {name: trace[name] for name in trace.columns}


def train_in_parts(folder: Path, told: dict[str, str]) -> dict[str, Any]:
    """A loop by hand with DistributedDataParallel; the sampler repeats a sample to give each rank as many."""
    inputs, labels = samples()
    recorder = Recorder(labels.tolist(), PROBES[:3], num_classes=K, across_ranks=True)
    model = nn.parallel.DistributedDataParallel(perceptron(norm=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    data = TensorDataset(inputs, labels, torch.arange(N))
    sampler: DistributedSampler[tuple[Tensor, ...]] = DistributedSampler(data, seed=1)
    for epoch in range(1, EPOCHS + 1):
        sampler.set_epoch(epoch)
        for batch, expected, chosen in DataLoader(data, batch_size=BATCH, sampler=sampler):
            logits = model(batch)
            recorder.update(logits, chosen)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, expected).backward()
            optimizer.step()
        recorder.end_epoch(epoch=epoch)
    return columns_of(recorder.trace())


def observe_in_parts(folder: Path, told: dict[str, str]) -> dict[str, Any]:
    """Every probe of a model in DistributedDataParallel, whose batch norm has statistics of its own on each rank."""
    rank = distributed.get_rank()
    ranks.BLOCK = 64  # so that a column is sent in several blocks
    inputs, labels = samples()
    model = perceptron(norm=True)
    wrapped = nn.parallel.DistributedDataParallel(model)
    with torch.no_grad():
        wrapped.train()(inputs[rank::2])
        statistics = model.get_buffer("1.running_mean")
        statistics += rank
    before = statistics.clone()
    recorder = Recorder(labels.tolist(), PROBES, num_classes=K, folder=folder / "trace", across_ranks=True)
    for epoch in (1, 2):
        parts = inputs.split(4) if epoch == 1 else [inputs]  # of one batch, the second rank has none
        recorder.observe(wrapped, parts, epoch=epoch, learning_rate=0.1)
    if rank == 0:
        torch.save(model.state_dict(), folder / "weights.pt")
    told["kept"] = str(torch.equal(before, statistics))
    return columns_of(recorder.trace())


class Broken(nn.Module):
    """A model that fails on the second rank."""

    def forward(self, batch: Tensor) -> Tensor:
        """The first columns of a batch."""
        if distributed.get_rank() == 1:
            msg = "no memory left"
            raise RuntimeError(msg)
        return batch[:, :K]


def give_and_fail(folder: Path, told: dict[str, str]) -> dict[str, Any]:
    """What is refused, and what goes on after it; each error on both ranks."""
    rank = distributed.get_rank()
    inputs, labels = samples()
    answers = torch.arange(N * K).view(N, K).float().sin()
    own = torch.arange(N)[rank::2]

    @contextmanager
    def noted(name: str) -> Iterator[None]:
        try:
            yield
        except (NoisybenchError, OSError, RuntimeError) as error:
            told[name] = f"{type(error).__name__}: {error}"

    recorder = Recorder(labels.tolist(), PROBES[:2], num_classes=K, across_ranks=True)
    with noted("nothing"):
        recorder.end_epoch(epoch=1)
    recorder.update(answers[own[:-1]], own[:-1])
    with noted("missing"):
        recorder.end_epoch(epoch=1)
    recorder.update(answers[own[-1:]], own[-1:])  # the same epoch, now whole
    recorder.end_epoch(epoch=1)
    for _ in range(2):
        for part in own.split(4):
            recorder.update(answers[part], part)
    with noted("twice"):
        recorder.end_epoch(epoch=2)
    # Repeats, whose answers must not count: within a batch, on the same rank, and on the other one, which had it later.
    for part in own.split(4):
        recorder.update(answers[part], part)
    again = torch.tensor([0, 0, 1, 36])
    recorder.update(answers[again] + 9, again)
    recorder.end_epoch(epoch=2)
    # In the same turn on both ranks: the lower rank counts.
    everything = torch.arange(N)
    recorder.update(answers + rank, everything)
    recorder.end_epoch(epoch=3)

    alone = Recorder(labels.tolist(), PROBES[:2], num_classes=K)
    alone.update(answers[own], own)
    with noted("alone"):
        alone.end_epoch(epoch=1)

    (folder / "file").write_text("")
    unwritable = Recorder(labels.tolist(), ["loss"], folder=folder / "file" / "trace", across_ranks=True)
    with noted("unwritable"):
        unwritable.observe(perceptron(norm=False), inputs, epoch=1)

    with noted("broken"):
        recorder.observe(Broken(), inputs.split(4), epoch=4)
    with noted("parts"):
        recorder.observe(type("FSDPModule", (nn.Identity,), {})(), inputs, epoch=4)
    return columns_of(recorder.trace())


def one_run(
    folder: Path | None, *, ranks: int, observe: Observe = "after", objective: str = "cross_entropy", stop: bool = False
) -> Training:
    """Two epochs of a small network with batch norm, of whose 101 samples one was dropped; the last batch has 4."""
    source = load_source("digits", limit=101)
    drawn = build_variant(source, find("noises", "symmetric")(rate=0.2), seed=0)
    told = Corrections(drawn.variant_id, np.array([7]), drawn.labels[[7]], np.array([-1]), ("drop",))
    variant = correct_variant(drawn, told)
    probes = [find("probes", name) for name in ("margin", "loss", "curvature", "mean_probabilities")]
    recipe = Recipe(epochs=2, batch_size=32, lr=0.1, augmentation="crop")
    tracker = Susceptibility("authors", samples=32, lr=0.1)

    def progress() -> None:
        if stop:
            raise InterruptedError

    return train(
        source,
        variant,
        normed,
        recipe,
        probes,
        seed=1,
        machine=Machine(ranks=ranks),
        observe=observe,
        objective=objective,
        every={"curvature": 2},
        susceptibility=tracker,
        folder=folder,
        progress=progress,
    )


def normed(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """A convolution with batch norm, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, num_classes)
    )


def train_together(folder: Path, told: dict[str, str]) -> dict[str, Any]:
    """Runs of ``train``: observed after each epoch, stopped after the first and gone on with; during; and by peer loss."""
    values: dict[str, Any] = {}
    with suppress(InterruptedError):
        one_run(folder / "after", ranks=2, stop=True)
    told["trace"] = str(sorted(path.name for path in (folder / "after" / "trace").iterdir()))
    distributed.barrier()
    for name, options in RUNS.items():
        run = one_run(folder / name, ranks=2, **options)
        values |= {f"{name}.{column}": run.trace[column] for column in run.trace.columns}
        values |= {f"{name}.history.{column}": run.history[column] for column in run.history}
        values |= {f"{name}.weights.{key}": value.numpy() for key, value in run.model.state_dict().items()}
    return values


RUNS: dict[str, dict[str, Any]] = {
    "after": {},
    "during": {"observe": "during"},
    "peer": {"objective": "peer_loss"},
}


TASKS: dict[str, Callable[[Path, dict[str, str]], dict[str, Any]]] = {
    task.__name__: task for task in (train_in_parts, observe_in_parts, give_and_fail, train_together)
}


def do_all(home: Path) -> None:
    """Carry out the tasks, one after another."""
    distributed.init_process_group("gloo")
    for name, task in TASKS.items():
        folder = home / name
        folder.mkdir(exist_ok=True)
        distributed.barrier()
        told: dict[str, str] = {}
        values = task(folder, told)
        rank = os.environ["RANK"]
        np.savez(folder / f"{rank}.npz", **values)
        (folder / f"{rank}.json").write_text(json.dumps(told))
    distributed.destroy_process_group()
