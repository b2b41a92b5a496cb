"""Ranks: processes of ``torch.distributed`` that train one model together, each on a part of every batch.

What the ranks have is put together by sums of bytes: what a rank does not have is zero there, so that a sum is the one
value that is had, bit for bit and of every type. Blocks are small, so that nothing large is in memory twice.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from noisybench.ground.errors import BadUsage, NoisybenchError, TrainingFailed
from noisybench.training.machine import Machine

Result = TypeVar("Result")

BLOCK = 1 << 26
"""Bytes that are sent at a time."""
NOBODY = torch.iinfo(torch.int64).max
"""Turn of a sample that no rank has."""
SHARDED = {"FullyShardedDataParallel", "FSDPModule", "DeepSpeedEngine"}
"""Wrappers under which no process holds a whole model."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together. Every method is called by all of them alike, in the same order.

    Attributes:
        rank: Number of this process, from 0.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    @property
    def purpose(self) -> tuple[int, ...]:
        """What is put to the purpose of a draw that must differ between the ranks; nothing on the first."""
        return () if self.is_first else (self.rank,)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """An error of one rank within is raised on each, so that none waits for it; nothing is sent within.

        Raises:
            NoisybenchError: As it was raised by the first rank that failed.
            OSError: Likewise.
            TrainingFailed: A rank failed with any other error, which is raised as it is on that rank.
        """
        if self.world == 1:
            yield
            return
        own: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is raised again below, once the others know
            own = error
        told = self.told_by_all(None if own is None else _tellable(own))
        if own is not None:
            raise own
        for rank, other in enumerate(told):
            if isinstance(other, str):
                msg = f"rank {rank} of {self.world} failed: {other}"
                raise TrainingFailed(msg)
            if other is not None:
                raise other

    def on_first(self, task: Callable[[], Result]) -> Result | None:
        """What ``task`` gives on the first rank, and None on the others, which wait; an error of it is raised on each."""
        result = None
        with self.agreeing():
            if self.is_first:
                result = task()
        return result

    def told_by_all(self, value: Any) -> list[Any]:  # noqa: ANN401 - anything small
        """One small value of each rank, in their order."""
        if self.world == 1:
            return [value]
        told: list[Any] = [None] * self.world
        distributed.all_gather_object(told, value)
        return told

    def check_same(self, number: int, what: str) -> None:
        """Raise ``BadUsage`` unless every rank has found the same ``number`` of what stands in a folder."""
        found = self.told_by_all(number)
        if len({*found}) > 1:
            msg = f"the ranks find {', '.join(map(str, found))} {what}; give a folder that every one of them sees"
            raise BadUsage(msg)

    def owned(self, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Who has which sample: the rank that had it in the earliest turn, of several the lowest.

        Args:
            turns: In which of its batches this rank had each sample, from 0, shape (n,), int64; ``NOBODY`` in none.

        Returns:
            Whether it is this rank, and whether any has it: two of shape (n,), bool.
        """
        keys = torch.where(turns == NOBODY, turns, turns * self.world + self.rank)
        first = keys.clone()
        if self.world > 1:
            self._in_blocks(first, lambda part: distributed.all_reduce(part, op=distributed.ReduceOp.MIN))
        has = first < NOBODY
        return (keys == first) & has, has

    def summed(self, values: Tensor) -> Tensor:
        """Their sum over the ranks, on each."""
        total = values.clone(memory_format=torch.contiguous_format)
        self.add(total)
        return total

    def add(self, values: Tensor) -> None:
        """Put their sum over the ranks in their place, on each; they lie in one piece."""
        if self.world > 1:
            self._in_blocks(values, distributed.all_reduce)

    def combine(self, values: Tensor) -> None:
        """Have each rank hold the rows of all, in place, shape (n, ...); rows that a rank does not own are zero."""
        self.add(_bytes(values))

    def merge(self, values: Tensor) -> None:
        """Have the first rank hold the rows of all, in place, shape (n, ...); rows that a rank does not own are zero."""
        if self.world > 1:
            self._in_blocks(_bytes(values), lambda part: distributed.reduce(part, dst=0))

    def from_first(self, columns: Mapping[str, NDArray[Any]] | None) -> dict[str, NDArray[Any]]:
        """The columns that the first rank gives, on each: name → array."""
        if self.world == 1:
            return dict(columns or {})
        shapes = {name: (array.shape, array.dtype.str) for name, array in (columns or {}).items()}
        told = self.told_by_all(shapes if self.is_first else None)[0]
        found = (
            dict(columns or {}) if self.is_first else {n: np.empty(shape, kind) for n, (shape, kind) in told.items()}
        )
        for name in told:
            if not found[name].flags.c_contiguous or not found[name].flags.writeable:
                found[name] = found[name].copy()
            sent = torch.from_numpy(found[name].reshape(-1).view(np.uint8))
            self._in_blocks(sent, lambda part: distributed.broadcast(part, src=0))
        return found

    @contextmanager
    def same_buffers(self, model: nn.Module) -> Iterator[None]:
        """Let ``model`` have the buffers of the first rank, such as statistics of batch norm; then its own again."""
        if self.world == 1:
            yield
            return
        own = [(buffer, buffer.clone()) for buffer in model.buffers()]
        try:
            for buffer, _ in own:
                sent = buffer.contiguous()
                self._in_blocks(_bytes(sent), lambda part: distributed.broadcast(part, src=0))
                buffer.copy_(sent)
            yield
        finally:
            for buffer, before in own:
                buffer.copy_(before)

    def _in_blocks(self, values: Tensor, send: Callable[[Tensor], object]) -> None:
        """Send a tensor in place, some of it at a time, from where the backend can."""
        flat = values.view(-1)
        step = max(1, BLOCK // flat.element_size())
        where = _sent_from(values.device)
        for part in flat.split(step) if len(flat) else ():
            if where == values.device:
                send(part)
            else:
                moved = part.to(where)
                send(moved)
                part.copy_(moved)


ALONE = Ranks()
"""The one process of an ordinary training."""


def ranks_here() -> Ranks:
    """This process among those of ``torch.distributed``; ``ALONE`` where that was not begun."""
    if not distributed.is_available() or not distributed.is_initialized():
        return ALONE
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def training_ranks(machine: Machine) -> Ranks:
    """The processes that train a run together.

    Raises:
        BadUsage: They are not as many as the machine says.
    """
    if machine.ranks == 1:
        return ALONE
    ranks = ranks_here()
    if ranks.world != machine.ranks:
        msg = (
            f"the machine says ranks={machine.ranks}, and torch.distributed has {ranks.world}; begin it with "
            f"init_process_group in each, as a script that torchrun starts does"
        )
        raise BadUsage(msg)
    return ranks


def whole_model(model: nn.Module, ranks: Ranks) -> nn.Module:
    """The model without the wrapper of data-parallel training, whose forward pass would wait for the other ranks.

    Raises:
        BadUsage: No process holds the whole model.
    """
    sharded = SHARDED & {kind.__name__ for module in model.modules() for kind in type(module).__mro__}
    if sharded and ranks.world > 1:
        msg = f"the model is in parts under {min(sharded)}, none of which can be asked; train with DistributedDataParallel"
        raise BadUsage(msg)
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


class Turns:
    """In which of its batches of an epoch a rank had each of n samples, the first counting where one is there again."""

    def __init__(self, n: int, device: torch.device) -> None:
        self.of = torch.full((n + 1,), NOBODY, device=device)  # the last: of no sample
        self.largest = 0
        self._turn = 0

    def take(self, samples: Tensor) -> Tensor:
        """Where the values of a batch go: a sample's number, or n of one that was there before: (b,) → (b,)."""
        nowhere = len(self.of) - 1
        fresh = first_in_batch(samples) & (self.of[samples] == NOBODY)
        rows = torch.where(fresh, samples, nowhere)
        self.of[rows] = self._turn
        self.largest = max(self.largest, len(samples))
        self._turn += 1
        return rows


def first_in_batch(samples: Tensor) -> Tensor:
    """Whether each sample of a batch has not stood in it before: (b,) → (b,), bool."""
    order = samples.argsort(stable=True)
    inside = samples[order]
    is_first = torch.ones_like(samples, dtype=torch.bool)
    is_first[order[1:]] = inside[1:] != inside[:-1]
    return is_first


def check_repeats(times: Tensor, largest: int) -> None:
    """Refuse an epoch in which more samples were there again than a sampler needs to fill a last batch of each rank.

    Args:
        times: How often each sample was given on all ranks together, shape (n,).
        largest: Sizes of the largest batch of each rank, together.

    Raises:
        BadUsage: It is to be refused.
    """
    again = int((times - 1).clamp(min=0).sum())
    if again > largest:
        msg = (
            f"{again} samples were given to update() again in one epoch, where to fill the last batches takes {largest} at "
            f"most; give each rank a part of its own, as DistributedSampler does, and call end_epoch() after each epoch"
        )
        raise BadUsage(msg)


def _bytes(values: Tensor) -> Tensor:
    """The bytes of a tensor that lies in one piece, in its own memory."""
    return values.view(-1).view(torch.uint8)


def _sent_from(device: torch.device) -> torch.device:
    """Where a tensor of a device must lie to be sent: gloo sends from the CPU, and NCCL from a GPU."""
    backends = distributed.get_backend_config()
    if "nccl" in backends and (device.type == "cuda" or "gloo" not in backends):
        return device if device.type == "cuda" else torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _tellable(error: Exception) -> Exception | str:
    """An error as another process can read it: one that is known everywhere as it is, and the sentence of any other."""
    if isinstance(error, NoisybenchError) and type(error).__module__ == NoisybenchError.__module__:
        return type(error)(*error.args)
    if type(error) is OSError or (type(error).__module__ == "builtins" and isinstance(error, OSError)):
        return type(error)(*error.args[:2], error.filename) if error.errno else type(error)(*error.args)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
