"""What recording across ranks adds: two processes of gloo against one, processor time, measured in the same run.

Run: ``OMP_NUM_THREADS=1 torchrun --standalone --nproc-per-node 2 tests/benchmarks/ranks.py [--json FILE]``. An epoch of
50,000 × 10 logits in batches of 128, margin and loss: the baseline is one process that is given all of them; each rank is
given its half, and both put their halves together. The last row is of both ranks together.
"""

from collections.abc import Callable
from itertools import count

import torch
from measuring import Row, medians, multiple, report
from torch import distributed

from noisybench import Recorder

N, K, SIZE, REPEATS = 50_000, 10, 128, 5


def epoch(*, across: bool, part: slice) -> Callable[[], None]:
    """An epoch of a recorder that is given some of the batches."""
    stream = torch.Generator().manual_seed(0)
    order = torch.randperm(N, generator=stream).split(SIZE)[part]
    batches = [(torch.randn(len(chosen), K, generator=stream), chosen) for chosen in order]
    recorder = Recorder(torch.randint(K, (N,), generator=stream).tolist(), ["margin", "loss"], across_ranks=across)
    epochs = count(1)

    def record() -> None:
        for logits, chosen in batches:
            recorder.update(logits, chosen)
        recorder.end_epoch(epoch=next(epochs))
        recorder._observations.clear()

    return record


def measure() -> list[Row]:
    """A row for the first rank, and one for both."""
    rank, world = distributed.get_rank(), distributed.get_world_size()
    tasks: dict[str, Callable[[], object]] = {
        "one": epoch(across=False, part=slice(None)),
        "wait": distributed.barrier,  # so that the ranks begin together
        "part": epoch(across=True, part=slice(rank, None, world)),
    }
    found = medians(tasks, REPEATS)
    total = torch.tensor(found["part"], dtype=torch.float64)
    distributed.all_reduce(total)
    what, unit = f"recording an epoch of {N:,} × {K}", "times one process"
    return [
        multiple(f"{what} on {world} ranks, the first", found["part"], found["one"], unit, REPEATS),
        multiple(f"{what} on {world} ranks, all together", float(total), found["one"], unit, REPEATS),
    ]


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    if distributed.get_rank():
        measure()
    else:
        report(measure)
    distributed.destroy_process_group()
