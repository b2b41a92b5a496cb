"""The machine: how a run is run, which decides no label and no draw, and what of it decides the last bits."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from noisybench.ground.checks import check_kind, unknown, whole
from noisybench.ground.engine import Engine
from noisybench.ground.engines.processes import Processes
from noisybench.ground.engines.shards import WHOLE, Shard
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.freed_memory import keep_freed_memory
from noisybench.ground.random_streams import derive
from noisybench.ground.version import __version__


@dataclass(frozen=True, slots=True)
class Machine:
    """How runs are run. Device and threads decide the last bits of a sum, and are recorded with a run; the rest nothing.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; ``auto`` becomes ``cuda`` where there is a GPU, else ``cpu``.
        threads: Of torch in each process that trains a run, and of features and neighbours; a process that trains subset
            models has one.
        workers: Processes, each with a run or a block of models at a time.
        checkpoint_every: Epochs between two checkpoints; the last epoch always has one.
        loader_workers: Processes of each run that read ahead what does not lie in memory, see ``Inputs``.
        ranks: Processes of ``torch.distributed`` that train each run together, each on a part of every batch; they decide the
            last bits, and what layers such as dropout draw. Every one of them is given the same.
        engine: What carries out runs and blocks, such as ``Ray()``; None: ``Processes(workers)``.
        shard: Of all runs or blocks, those that are carried out, as ``Shard(2, 8)``; see ``docs/engines.md``.
        together: Subset models that are trained at a time by ``torch.func``; None takes as many as pay on a GPU, and one on a
            CPU, where that gains nothing. It decides last bits, and is recorded with a pool where it is more than one.
            Perceptrons by SGD are trained together whatever it is, by products of their own.
    """

    device: str = "cpu"
    threads: int = 1
    workers: int = 1
    checkpoint_every: int = 1
    loader_workers: int = 0
    ranks: int = 1
    engine: Engine | None = None
    shard: Shard = WHOLE
    together: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("workers", 1),
            ("threads", 1),
            ("checkpoint_every", 1),
            ("loader_workers", 0),
            ("ranks", 1),
        ):
            object.__setattr__(self, name, whole(getattr(self, name), name, least=least))
        if self.ranks > 1 and (self.workers > 1 or self.engine is not None):
            other = f"workers={self.workers}" if self.engine is None else f"engine={self.engine}"
            msg = f"{self.ranks} ranks train one run together, here, got {other}; leave that out"
            raise BadUsage(msg)
        if self.together is not None:
            object.__setattr__(self, "together", whole(self.together, "together", least=1))
        object.__setattr__(self, "device", choose_device(self.device))
        check_kind(self.shard, Shard, "shard", "Shard(2, 8) is the second of eight")
        if self.engine is not None and (isinstance(self.engine, type) or not hasattr(self.engine, "run")):
            msg = f"engine must be one, such as Processes(4) or Ray(), got {self.engine!r}"
            raise BadUsage(msg)
        if self.engine is not None and self.workers > 1:
            msg = f"workers are processes of this machine, and engine {self.engine} has its own; leave one of them out"
            raise BadUsage(msg)

    @property
    def runner(self) -> Engine:
        """What carries out runs and blocks."""
        return (self.engine or Processes(self.workers)).on(self.device, self.threads)

    def device_of(self, task: int) -> str:
        """Device of the task of that number: the tasks of ``cuda`` take the GPUs in turn, unless the engine gives each its own."""
        if self.device != "cuda" or self.runner.gives_devices:
            return self.device
        return f"cuda:{task // self.shard.of % torch.cuda.device_count()}"

    def of_task(self, number: int) -> "Machine":
        """How the task of that number is run, where it is."""
        return replace(self, device=self.device_of(number), workers=1, engine=None, shard=WHOLE)


def given_machine(machine: Machine | None) -> Machine:
    """The machine that a caller gave; of None one worker, on a GPU where there is one.

    Raises:
        BadUsage: It is something else.
    """
    if machine is None:
        return Machine(device="auto")
    check_kind(machine, Machine, "machine", "Machine(device='cpu', workers=2) is one")
    return machine


def choose_device(name: str) -> str:
    """The device of that name, ``auto`` being ``cuda`` where there is a GPU and else ``cpu``.

    Raises:
        UnknownName: It is no device's name.
        BadUsage: There is no such GPU, or it is no name at all.
    """
    check_kind(name, str, "device", "say auto, cpu, cuda or cuda:1")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and (kind == "cpu" or not number.isdecimal())):
        raise UnknownName(unknown(name, ("auto", "cpu", "cuda", "cuda:1"), "device"))
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and int(number or 0) >= count:
        there = f"cuda:0 to cuda:{count - 1}" if count else "no GPU"
        msg = f"device '{name}' is asked for, and torch finds {there}; say --device {'cuda' if count else 'cpu'}"
        raise BadUsage(msg)
    return name


def surroundings(name: str | torch.device, threads: int, ranks: int = 1) -> dict[str, Any]:
    """What decides the last bits of a run besides its recipe: versions, machine, threads and, if several, ranks."""
    device = torch.device(name)
    if device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        machine = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": device.type,
        "machine": machine,
        "threads": threads,
        **({"ranks": ranks} if ranks > 1 else {}),
        "versions": {"noisybench": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
    }


def generator_of(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A generator of torch's, on the CPU, for one purpose in one epoch."""
    return torch.Generator().manual_seed(derive(seed, purpose, epoch))


def seed_torch(seed: int, device: torch.device) -> None:
    """Put torch's own generator on a seed, and those of the GPUs where one is in use.

    ``torch.manual_seed`` seeds every kind of device that there could be, 0.4 ms against 2 µs, and where none of it is in
    use keeps a list of every time that it was asked to.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)


IN_TURN = RLock()
"""What torch has once a process (its generators, its number of threads) is one thread's at a time."""


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """So many threads for torch and for what NumPy and scikit-learn multiply with; afterwards as many as before.

    The last bits of a sum depend on their number, which is else that of the cores or of OMP_NUM_THREADS.
    """
    with IN_TURN:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with threadpool_limits(threads):
                yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def deterministic_torch(device: torch.device, threads: int) -> Iterator[None]:
    """So many threads and deterministic kernels; afterwards both, and torch's generators, are as they were.

    Other threads of the process wait meanwhile. Two of torch's threads on a small model were up to twice slower than one
    on a shared machine, and sums depend on their number. Freed memory stays with the process, see ``freed_memory``.
    """
    with IN_TURN:
        keep_freed_memory()
        threads_before = torch.get_num_threads()
        deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        try:
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                yield
        finally:
            torch.set_num_threads(threads_before)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was told, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """No autocast, TF32 or bf16: a difference of two nearly equal gradients has no digits to spare."""
    backends: Any = torch.backends
    # torch 2.9 renamed the switches, and refuses to have the new ones read after the old ones were set.
    renamed = hasattr(backends.cuda.matmul, "fp32_precision")
    if renamed:
        holders = [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]
    else:
        holders = [backends.cuda.matmul, backends.cudnn]
    switch, exact = ("fp32_precision", "ieee") if renamed else ("allow_tf32", False)
    before = [getattr(holder, switch) for holder in holders]
    try:
        for holder in holders:
            setattr(holder, switch, exact)
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for holder, value in zip(holders, before, strict=True):
            setattr(holder, switch, value)
