"""Many classes against ten, measured in the same run: building, describing and verifying a variant.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/many_classes.py [--json FILE]``. An ``.npz`` of 200,000 × 16 float32 in
9,140 classes (as many as a public set of faces has) and in ten, symmetric noise of rate 0.2; 12,000 × 4 in 3,000
classes and in ten beside it. Each is a whole command, with the start of Python and the files.
"""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measuring import Row, medians, multiple, report

REPEATS = 3
SIZES = ((12_000, 4, 3000), (200_000, 16, 9140))


def command(*words: str | Path) -> str:
    """The last line that a command of noisybench prints."""
    call = [sys.executable, "-m", "noisybench", *map(str, words)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def write(path: Path, n: int, d: int, k: int) -> Path:
    """A file of n inputs of d numbers in k classes, each of which occurs."""
    rng = np.random.default_rng(0)
    labels = np.append(np.arange(k), rng.integers(0, k, n - k))
    np.savez(path, inputs=rng.normal(size=(n, d)).astype(np.float32), labels=labels)
    return path


def measure() -> list[Row]:
    """A row for each size and command."""
    tasks: dict[str, Callable[[], object]] = {}
    names: dict[str, str] = {}
    with TemporaryDirectory() as place:
        folder = Path(place)
        for n, d, most in SIZES:
            for k in (10, most):
                file = write(folder / f"{n}-{k}.npz", n, d, k)
                build = partial(
                    command,
                    "build",
                    "npz",
                    "--data",
                    file,
                    "--noise",
                    "symmetric",
                    "--rate",
                    "0.2",
                    "--out",
                    folder / "v",
                )
                variant = build()
                tasks[f"build {n} {k}"] = build
                tasks[f"describe {n} {k}"] = partial(command, "describe", variant)
                tasks[f"verify {n} {k}"] = partial(command, "verify", variant)
            names |= {
                f"{what} {n}": f"{what}, {n:,} × {d} in {most:,} classes" for what in ("build", "describe", "verify")
            }
        found = medians(tasks, REPEATS)
    most_of = {str(n): most for n, _, most in SIZES}
    rows = [(name, found[f"{key} {most_of[key.split()[1]]}"], found[f"{key} 10"]) for key, name in names.items()]
    return [multiple(name, many, ten, "times ten classes", REPEATS) for name, many, ten in rows]


if __name__ == "__main__":
    report(measure)
