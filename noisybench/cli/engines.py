"""Where runs are carried out: the options of engines and shards, and how many processes are started."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from noisybench.cli.printing import whole_number
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.training.machine import Machine

Workers = Annotated[
    int | None, typer.Option(parser=whole_number, metavar="N", help="Processes; default: one a core or GPU.")
]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="What carries out the runs: processes here, or ray.")
]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster; default: one is started here.")
]
TaskCpus = Annotated[float | None, typer.Option(metavar="N", help="With ray, cores of each run; default: its threads.")]
TaskGpus = Annotated[
    float | None, typer.Option(metavar="N", help="With ray, GPUs of each run, or a share of one; default: 1 on cuda.")
]
TaskMemory = Annotated[float | None, typer.Option(metavar="GIB", help="With ray, memory kept free for each run.")]
ShardName = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Only every N-th run or block, from the K-th; K from 1.")
]
ENGINES = ("processes", "ray")


class EngineOptions(NamedTuple):
    """What was said of where runs are carried out.

    Attributes:
        engine: One of ``ENGINES``.
        workers: Processes, where that many were asked for.
        address: Of a cluster.
        cpus: Of each task.
        gpus: The same.
        memory: The same, in GiB.
        shard: As text.
    """

    engine: str
    workers: int | None
    address: str | None
    cpus: float | None
    gpus: float | None
    memory: float | None
    shard: str | None

    def on(self, machine: "Machine") -> "Machine":
        """The machine with this engine and shard; its number of processes is chosen by ``sized``.

        Raises:
            UnknownName: No such engine.
            BadUsage: No such shard, or an option that another engine has.
        """
        from noisybench.ground.checks import unknown
        from noisybench.ground.engines.ray import Ray
        from noisybench.ground.engines.shards import WHOLE, read_shard
        from noisybench.ground.errors import UnknownName

        if self.engine not in ENGINES:
            raise UnknownName(unknown(self.engine, ENGINES, "engine"))
        shard = WHOLE if self.shard is None else read_shard(self.shard)
        if self.engine == "processes":
            of_ray = {
                "address": self.address,
                "task-cpus": self.cpus,
                "task-gpus": self.gpus,
                "task-memory": self.memory,
            }
            for name, given in of_ray.items():
                if given is not None:
                    msg = f"--{name} is of --engine ray; say that too, or leave it out"
                    raise BadUsage(msg)
            if self.workers is not None and self.workers < 1:
                msg = f"workers must be at least 1, got {self.workers}"
                raise BadUsage(msg)
            return replace(machine, shard=shard)
        if self.workers is not None:
            msg = "--workers is of --engine processes; Ray carries out as many runs at once as --task-cpus and --task-gpus fit"
            raise BadUsage(msg)
        memory = None if self.memory is None else int(self.memory * 2**30)
        return replace(machine, shard=shard, engine=Ray(self.address, self.cpus, self.gpus, memory))

    def sized(self, machine: "Machine", runs: int) -> "Machine":
        """That machine with as many processes as were asked for, or one a core or GPU and no more than its shard has runs."""
        if machine.engine is not None or machine.ranks > 1:
            return machine
        own = len(machine.shard.share(range(runs)))
        return replace(machine, workers=count_workers(self.workers, machine.device, own))


def count_workers(asked: int | None, device: str, runs: int) -> int:
    """Processes to start: as asked, or one a core or GPU, and no more than there are runs."""
    if asked is not None:
        return asked
    if device == "cpu":
        return max(1, min(cores(), runs))
    import torch

    return max(1, min(torch.cuda.device_count() if device == "cuda" else 1, runs))


def cores() -> int:
    """Cores that this process may use: a job of a scheduler has a part of its machine."""
    found = os.cpu_count() or 1
    return min(found, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else found
