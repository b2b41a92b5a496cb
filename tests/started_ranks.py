"""Two processes that train together, with the environment in which ``torchrun`` and ``accelerate launch`` start theirs."""

import os
import socket
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

LIBRARIES = ["torch._dynamo", "torchvision.models", "sklearn", "scipy.stats", "pyarrow.parquet"]
"""What the process has imported from which others are forked."""


def run_on_two_ranks(program: Callable[[Path], None], folder: Path, **environment: str) -> None:
    """Have two processes call ``program(folder)``, and wait for both.

    They are forked from one that has imported the libraries, once for many tests: each import takes seconds.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "GLOO_SOCKET_IFNAME": "lo",
        **environment,
    }
    context = get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    ranks = [
        context.Process(target=_begin, args=(program, folder, {**told, "RANK": str(rank), "LOCAL_RANK": str(rank)}))
        for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(100)
    assert [rank.exitcode for rank in ranks] == [0, 0]


def _begin(program: Callable[[Path], None], folder: Path, environment: dict[str, str]) -> None:
    import torch

    os.environ.update(environment)
    torch.set_num_threads(1)
    program(folder)
