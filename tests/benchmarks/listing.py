"""A tree of the shape of Clothing1M, of a million images, listed as a source: seconds and memory.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/listing.py [--tree DIR] [--json FILE]``. It writes the text files and a
million empty images (some minutes, and a million inodes) into DIR, or into a temporary folder that is taken away; a tree
that is there already is used again. The source is then loaded in a process of its own, whose processor time and
greatest resident memory are told, and the memory of the imports alone. Loading reads and joins the lists and asks the system for the size of each file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from measuring import Row, write

N, VERIFIED, HELD_OUT, REPEATS = 1_000_000, 24_637, 24_839, 3
LOAD = """
import re, sys, time
from pathlib import Path
from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.loading import load_source
from noisybench.ground.lookup import find
import pyarrow.compute
find("sources", "clothing1m")
def peak():  # in MB; the system's ru_maxrss would begin with that of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before, start, worked = peak(), time.perf_counter(), time.process_time()
source = load_source("clothing1m", sys.argv[1], **dict(pair.split("=") for pair in sys.argv[2:]))
wall, seconds = time.perf_counter() - start, time.process_time() - worked
found = {"n": len(source.labels), "seconds": seconds, "wall": wall, "mb": peak(), "imports_mb": before}
print(__import__("json").dumps(found))
"""


def key(number: int) -> str:
    return f"images/{number % 10}/{number // 10 % 100:02}/{1_278_541_879 + number},{867_148_000 + 7 * number}.jpg"


def write_tree(root: Path) -> None:
    """The text files and an empty file for each image that a source has."""
    if (root / "done").is_file():
        return
    total = N + VERIFIED + HELD_OUT
    noisy, verified, held_out = range(N), range(N, N + VERIFIED), range(N + VERIFIED, total)
    listed = {
        "noisy_label_kv.txt": [f"{key(i)} {i % 14}" for i in (*noisy, *verified)],
        "clean_label_kv.txt": [f"{key(i)} {i * 5 % 14}" for i in (*verified, *held_out)],
        "noisy_train_key_list.txt": [key(i) for i in noisy],
        "clean_train_key_list.txt": [key(i) for i in verified],
        "clean_val_key_list.txt": [key(i) for i in held_out[:14_313]],
        "clean_test_key_list.txt": [key(i) for i in held_out[14_313:]],
    }
    for name, lines in listed.items():
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for folder in {key(i).rpartition("/")[0] for i in range(1_000)}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for i in range(total):
        os.close(os.open(f"{root}/{key(i)}", os.O_CREAT))
    (root / "done").touch()


def measure(root: Path) -> list[tuple[Row, float]]:
    """Of each way to read the tree the time, and the greatest memory in MB."""
    results = []
    for options in (["part=noisy"], ["part=both", "subset=balanced"]):
        command = [sys.executable, "-c", LOAD, str(root), *options]
        found = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(REPEATS)
        ]
        name = f"clothing1m {' '.join(options)}, n = {found[0]['n']:,}"
        row = Row(name, median(one["seconds"] for one in found), None, None, "seconds", REPEATS)
        results.append((row, max(one["mb"] for one in found)))
        imports, wall = (max(one[key] for one in found) for key in ("imports_mb", "wall"))
        print(
            f"{row.name}: {row.seconds:.2f} s of a processor, at most {wall:.2f} s on the clock and "
            f"{results[-1][1]:.0f} MB (imports alone: {imports:.0f} MB)"
        )
    return results


def main() -> None:
    """Write, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tree", type=Path, metavar="DIR", help="keep the tree there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root: Path = given.tree or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        write_tree(root)
        results = measure(root)
    if given.json is not None:
        write(given.json, [row for row, _ in results], {f"MB, {row.name}": mb for row, mb in results})


if __name__ == "__main__":
    main()
