"""Processes that ``torchrun`` or ``accelerate launch`` started, which train one model together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import NamedTuple

from noisybench.ground.errors import BadUsage

TOLD = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells a process in its environment; one variable alone may be of another program."""
LONGEST = timedelta(days=1)
"""That a rank waits for another one: the first may be busy for hours with what it trains alone."""


class Launched(NamedTuple):
    """This process among those of a launcher; the one of an ordinary command."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """Number among those of this machine, and of its GPU."""


def launched() -> Launched:
    """What a launcher told this process."""
    try:
        told = {name: os.environ[name] for name in TOLD}
        return Launched(int(told["RANK"]), int(told["WORLD_SIZE"]), int(told["LOCAL_RANK"]))
    except (KeyError, ValueError):
        return Launched()


def check_launched(command: str | None) -> None:
    """Refuse a command that several processes cannot do together.

    Raises:
        BadUsage: It is not ``evaluate``.
    """
    world = launched().world
    if world > 1 and command != "evaluate":
        msg = (
            f"a launcher has started {world} processes, of which each would do all of '{command}'; of the commands "
            f"'evaluate' alone trains one model in several, so start this one by itself"
        )
        raise BadUsage(msg)


@contextmanager
def together() -> Iterator[None]:
    """Join the other processes; only the first is heard, and errors of any."""
    from torch import distributed

    if not distributed.is_available():
        msg = (
            "this torch has no torch.distributed, so that no processes can train together; start the command by itself"
        )
        raise BadUsage(msg)
    distributed.init_process_group(timeout=LONGEST)  # gloo for the CPU, and NCCL where there is a GPU
    try:
        if launched().rank:
            with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
                yield
        else:
            yield
    finally:
        distributed.destroy_process_group()


def own_device(device: str, workers: int | None) -> str:
    """The device of this process: of several on a machine with GPUs, each has one.

    Raises:
        BadUsage: One GPU is named for all of them, or there are fewer; or they shall have workers.
    """
    here = launched()
    if here.world == 1:
        return device
    if workers is not None:
        msg = f"{here.world} processes train one model together, got --workers {workers}; leave it out"
        raise BadUsage(msg)
    from noisybench.training.machine import choose_device

    chosen = choose_device(device)
    if chosen == "cpu":
        return chosen
    if chosen != "cuda":
        msg = f"--device {device} is one GPU for {here.world} processes, of which each needs its own; say --device cuda"
        raise BadUsage(msg)
    import torch

    own = choose_device(f"cuda:{here.local}")
    torch.cuda.set_device(own)
    return own
