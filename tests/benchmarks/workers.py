"""What worker processes cost beside one process: eight small runs on digits, CPU seconds of all processes together, and clock.

    OMP_NUM_THREADS=1 python tests/benchmarks/workers.py [--before FOLDER] [--pairs 3] [--json workers.json]

The baseline is one process, in the same run, the two in turn. ``--before`` is a checkout of an earlier version, which is
measured between them: at 54144bd each of two workers imported torch itself. Every command ends only when its last process
has, and its CPU seconds are those of all of them, also of such that outlive the command.
"""

import argparse
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measuring import multiple, write

HERE = Path(__file__).parents[2]
SEEDS = "0,1,2,3,4,5,6,7"
BECOME_PARENT_OF_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of Linux


def spent(package: Path, folder: Path, workers: int) -> tuple[float, float]:
    """CPU seconds and clock seconds of the eight runs, from nothing."""
    shutil.rmtree(folder / "runs", ignore_errors=True)
    options = ["--model", "mlp", "--epochs", "3", "--seeds", SEEDS, "--detectors", "fast", "--device", "cpu"]
    variants = [str(path) for path in (folder / "variants").iterdir()]
    command = [sys.executable, "-m", "noisybench", "evaluate", *variants, *options, "--workers", str(workers)]
    before, began = cpu(), time.perf_counter()
    called = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(package)}}
    subprocess.run(command, check=True, capture_output=True, **called)  # type: ignore[call-overload]
    clock = time.perf_counter() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return cpu() - before, clock


def cpu() -> float:
    """CPU seconds of every process that was started here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    ctypes.CDLL(None).prctl(BECOME_PARENT_OF_ORPHANS, 1, 0, 0, 0)
    packages = {"now": HERE} | ({} if asked.before is None else {"before": asked.before.resolve()})
    found: dict[tuple[str, int], list[tuple[float, float]]] = {(when, w): [] for when in packages for w in (1, 2)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = ["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--limit", "300", "--out", "variants"]
        subprocess.run([sys.executable, "-m", "noisybench", *build], cwd=folder, check=True, capture_output=True)
        for _ in range(asked.pairs):
            for (when, workers), times in found.items():
                times.append(spent(packages[when], folder, workers))
    rows = []
    for when in packages:
        (one, one_clock), (two, two_clock) = (map(median, zip(*found[when, w], strict=True)) for w in (1, 2))
        rows.append(multiple(f"{when}: CPU of two workers", two, one, "times one process", asked.pairs))
        rows.append(multiple(f"{when}: clock of two workers", two_clock, one_clock, "times one process", asked.pairs))
    for row in rows:
        print(f"{row.name:28} {row.seconds:6.1f} s  {row.baseline_seconds:6.1f} s  {row.ratio:5.2f} {row.unit}")
    if asked.json is not None:
        write(asked.json, rows)


if __name__ == "__main__":
    main()
