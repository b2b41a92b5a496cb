"""The Markdown table of the README from the files that the benchmarks wrote with ``--json``.

Run: ``python tests/benchmarks/table.py FILE.json …``. Files of one machine stand under one line that names it; a figure
without a baseline is given in seconds alone.
"""

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any


def line(command: str, row: dict[str, Any]) -> str:
    """One row of the table."""
    baseline = "–" if row["baseline_seconds"] is None else f"{row['baseline_seconds']:.3g} s"
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.3g} {row['unit']}"
    return f"| {row['name']} | {row['seconds']:.3g} s | {baseline} | {ratio} | `{Path(command).name}` |"


def main() -> None:
    """Print one table for each machine."""
    if len(sys.argv) == 1:
        sys.exit("give the JSON files that the benchmarks wrote")
    found = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    for machine, files in groupby(found, key=lambda file: file["machine"]):
        print(
            f"{machine['cpu']}, {machine['cores']} cores, one thread; "
            f"Python {machine['python']}, torch {machine['torch']}, NumPy {machine['numpy']}. "
            "Medians of processor time, baseline and ours in turns in one run.\n"
        )
        print("| what | noisybench | baseline | ratio | command `OMP_NUM_THREADS=1 python tests/benchmarks/…` |")
        print("|---|---|---|---|---|")
        for file in files:
            for row in file["rows"]:
                print(line(file["command"], row))
            if "peak_memory_gb" in file:
                print(
                    f"| peak memory of it, {file['disk_gb']:.2f} GB on disk | {file['peak_memory_gb']:.2f} GB "
                    f"| limit {file['limit_gb']:g} GB | – | `{Path(file['command']).name}` |"
                )
        print()


if __name__ == "__main__":
    main()
