"""The machine: what decides the last bits of a run besides its recipe."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from noisybench.ground.random_streams import derive
from noisybench.ground.version import __version__


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


def generator_of(seed: int, purpose: str, epoch: int) -> torch.Generator:
    """A generator of torch's, on the CPU, for one purpose in one epoch."""
    return torch.Generator().manual_seed(derive(seed, purpose, epoch))


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
