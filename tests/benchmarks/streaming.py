"""Time and memory of a source that stays on disk: 1,000,000 rows of 32 columns, built, verified, trained and recorded.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/streaming.py [--json FILE]``. A synthetic data set of the package
``datasets`` (float32, 10 classes, 0.14 GB) is written into a temporary folder, and the commands ``build``, ``verify`` and
``evaluate`` (mlp, 2 epochs, every detector) read it with ``lazy=true``, one process each. The process exits with 1 where
the memory of one of them (``ru_maxrss``, pages of the mapped files included) reached 4 GB. ``--held`` does the same in
memory as well, and compares the traces; ``--rows`` makes it smaller.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
from measuring import Row, write

COLUMNS, CLASSES, PIECE, LIMIT_GB = 32, 10, 10_000, 4.0


def write_rows(folder: Path, n: int) -> None:
    """A saved data set of ``n`` rows whose class a perceptron can learn, a piece at a time."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(COLUMNS, CLASSES))
    schema = pa.schema([*((f"x{j}", pa.float32()) for j in range(COLUMNS)), ("label", pa.int64())])
    stream = folder / "rows.arrow"
    with pa.OSFile(str(stream), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for start in range(0, n, PIECE):
            values = rng.normal(size=(min(PIECE, n - start), COLUMNS)).astype(np.float32)
            columns = [*values.T, (values @ directions).argmax(1)]
            writer.write_batch(pa.record_batch([pa.array(column) for column in columns], schema=schema))
    Dataset.from_file(str(stream)).save_to_disk(folder / "data")
    stream.unlink()


def run(*words: object) -> tuple[float, float]:
    """Seconds on the clock, and the most memory in GB, of one command in a process of its own."""
    began = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "noisybench", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"noisybench {words[0]} failed")
    return perf_counter() - began, used.ru_maxrss * 1024 / 1e9


def measure(folder: Path, n: int, *, lazy: bool) -> tuple[list[Row], float]:
    """Rows of the commands, and the most memory that one of them took, in GB."""
    home = folder / f"lazy-{lazy}"
    columns = ",".join(f"x{j}" for j in range(COLUMNS))
    options = [f"--source-set={option}" for option in (f"input={columns}", f"lazy={str(lazy).lower()}")]
    build = ["build", "huggingface", "--data", folder / "data", *options, "--noise=symmetric", "--rate=0.2"]
    commands = {"build": [*build, "--out", home]}
    rows, most = [], 0.0
    for name in ("build", "verify", "evaluate"):
        if name != "build":
            (variant,) = home.glob("huggingface-*")
            commands["verify"] = ["verify", variant]
            commands["evaluate"] = ["evaluate", variant, "--model=mlp", "--epochs=2", "--seeds=0", "--workers=1"]
            commands["evaluate"] += ["--device=cpu", "--out", home / "runs"]
        seconds, peak = run(*commands[name])
        where = "from disk" if lazy else "in memory"
        rows.append(Row(f"{name}, {n:,} rows {where}", seconds, None, None, "", 1))
        print(f"{rows[-1].name}: {seconds:.1f} s on the clock, peak {peak:.2f} GB", flush=True)
        most = max(most, peak)
    return rows, most


def main() -> None:
    """Print seconds and memory; exit with 1 above the limit, or where the two traces differ."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--held", action="store_true", help="also do it in memory, and compare")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder, given.rows)
        disk = sum(path.stat().st_size for path in (folder / "data").iterdir()) / 1e9
        rows, peak = measure(folder, given.rows, lazy=True)
        more = {"source_gb": disk, "peak_memory_gb": peak, "limit_gb": LIMIT_GB}
        same = True
        if given.held:
            held, more["peak_memory_held_gb"] = measure(folder, given.rows, lazy=False)
            rows = [
                replace(ours, baseline_seconds=theirs.seconds, ratio=ours.seconds / theirs.seconds, unit="of in memory")
                for ours, theirs in zip(rows, held, strict=True)
            ]
            traces = [sorted((folder / f"lazy-{lazy}").glob("runs/*/*/*/trace/*.parquet")) for lazy in (True, False)]
            same = bool(traces[0]) and all(a.read_bytes() == b.read_bytes() for a, b in zip(*traces, strict=True))
            print(f"traces are {'the same' if same else 'DIFFERENT'}, byte for byte")
    print(f"peak memory: {peak:.2f} GB for a source of {disk:.2f} GB; limit {LIMIT_GB:.0f} GB")
    if given.json is not None:
        write(given.json, rows, more)
    sys.exit(0 if peak < LIMIT_GB and same else 1)


if __name__ == "__main__":
    main()
