"""What the benchmarks share: interleaved timing, the machine in words, a table on the screen and rows in a file."""

import argparse
import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        name: What was timed.
        seconds: Of noisybench, the median.
        baseline_seconds: Of what it is compared with, in the same run; None where a figure stands alone.
        ratio: In ``unit``; None where a figure stands alone.
        unit: What the ratio is: ``times faster``, or what it is a multiple of.
        repeats: Of each of the two.
    """

    name: str
    seconds: float
    baseline_seconds: float | None
    ratio: float | None
    unit: str
    repeats: int


def faster(name: str, seconds: float, baseline: float, repeats: int) -> Row:
    """A row whose ratio says how many times longer the baseline took."""
    return Row(name, seconds, baseline, baseline / seconds, "times faster", repeats)


def multiple(name: str, seconds: float, baseline: float, unit: str, repeats: int) -> Row:
    """A row whose ratio is a cost in units of the baseline, such as epochs of training."""
    return Row(name, seconds, baseline, seconds / baseline, unit, repeats)


def processor_seconds() -> float:
    """Processor time of this process and of the children that it has waited for (workers of a data loader)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


def medians(
    tasks: Mapping[str, Callable[[], object]], repeats: int = 3, clock: Callable[[], float] = processor_seconds
) -> dict[str, float]:
    """Median seconds of each task, in turns, so that a busy machine slows all of them. The first turn is not counted."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        sys.exit("set OMP_NUM_THREADS=1: the processor time of several threads compares nothing")
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            start = clock()
            task()
            if turn:
                times[name].append(clock() - start)
    return {name: median(values) for name, values in times.items()}


def machine() -> dict[str, str | int]:
    """Processor, cores that this process may use, and versions."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def report(measure: Callable[[], Sequence[Row]]) -> None:
    """Measure, print the rows, and write them to the file after ``--json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    target: Path | None = parser.parse_args().json
    rows = measure()
    width = max(len(row.name) for row in rows)
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:8.2f} {row.unit}"
        baseline = "" if row.baseline_seconds is None else f"{row.baseline_seconds:.4g}"
        print(f"{row.name:{width}}  {row.seconds:9.4g} s  {baseline:>9}  {ratio}")
    if target is not None:
        write(target, rows)


def write(path: Path, rows: Sequence[Row], more: Mapping[str, float] | None = None) -> None:
    """Write the command, the machine, the rows and what else was measured as JSON."""
    command = f"OMP_NUM_THREADS=1 python tests/benchmarks/{Path(sys.argv[0]).name}"
    found = {"command": command, "machine": machine(), "rows": [asdict(row) for row in rows], **(more or {})}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
