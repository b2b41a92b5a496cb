"""Block tasks: a pool is filled block by block, whoever makes the models of a block. No torch here."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import unfinished
from noisybench.ground.locks import locked
from noisybench.memorization.kept_blocks import GUARDS_OF_TRAINING, check_block, first_readable, mend_block, pace
from noisybench.memorization.pool import BLOCK, block_path, blocks
from noisybench.memorization.tested_blocks import check_tested, mend_tested, tested_beside
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from noisybench.training.machine import Machine


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a call of ``retrain`` or ``fit_subsets`` did.

    Attributes:
        folder: Where the blocks are, for ``read_pool``.
        models: Of the pool.
        trained: How many of them this call trained; the others were there.
        models_per_second: All processes together, over every call that trained; NaN where no such call ended.
    """

    folder: Path
    models: int
    trained: int
    models_per_second: float


@dataclass(frozen=True, slots=True)
class BlockTask:
    """One block: the unit that is distributed. It writes its own file.

    Attributes:
        first: Number of its first model.
        count: Its models.
        device: Where they are trained.
        path: Its file.
    """

    first: int
    count: int
    device: str
    path: Path


def fill_pool(
    function: Callable[[BlockTask, Any, Progress], None],
    shared: Any,  # noqa: ANN401 - handed through untouched
    folder: Path,
    variant: Variant,
    record: Mapping[str, Any],
    *,
    models: int,
    machine: "Machine",
    tested: str | None,
    progress: Progress,
) -> Retraining:
    """Have every block made that is not in ``folder``; a damaged one is made again.

    Args:
        function: Makes and writes a block, see ``run_tasks``.
        shared: What each of its calls needs.
        folder: Of this pool alone.
        variant: Whose labels.
        record: Of every block, but for ``first`` and ``models``.
        models: Of the pool.
        machine: Its devices and workers.
        tested: Digest of the test set that the models are asked about as well; None asks about none.
        progress: Called after each model.

    Raises:
        BadData: A block was made differently, or without being asked about the test set.
        Unfinished: The blocks of the machine's shard are there, and others are not.
    """
    shard = machine.shard
    with locked(folder, shared=not shard.is_whole):
        tasks: list[BlockTask] = []
        there: list[BlockTask] = []
        every = [
            BlockTask(number * BLOCK, count, machine.device_of(number), block_path(folder, number, count))
            for number, count in blocks(models)
        ]
        own = shard.share(every)
        for task in own:
            whole = task.path.is_file() and mend_block(task.path, variant)
            if whole and (tested is None or mend_tested(task.path, variant)):
                there.append(task)
                for _ in range(task.count):
                    progress()
            else:
                tasks.append(task)
        for task in [*there, *_of_others(every, own, variant)]:
            of_block = {**record, "first": task.first, "models": task.count}
            check_block(task.path, of_block, variant, ignore=() if tasks else GUARDS_OF_TRAINING)
            if tested is not None:
                check_tested(tested_beside(task.path), tested, variant)
        began = time.perf_counter()
        machine.runner.run(function, tasks, shared, progress=progress)
        trained = sum(task.count for task in tasks)
        per_second = pace(folder, trained, time.perf_counter() - began)
        left = sum(not task.path.is_file() for task in every)
        if left:
            result = "the estimate of memorization" if record["purpose"] == "truth" else "the scores of the detectors"
            what = f"blocks of up to {BLOCK} models"
            raise unfinished(shard, done=len(own), of=len(every), left=left, what=what, result=result)
        return Retraining(folder, models, trained, per_second)


def _of_others(every: Sequence[BlockTask], own: Sequence[BlockTask], variant: Variant) -> list[BlockTask]:
    """One block of another shard, where there is one: a shard must not train what is no part of the same pool."""
    made = set(own)
    paths = {task.path: task for task in every if task not in made}
    found = first_readable(paths, variant)
    return [] if found is None else [paths[found]]
