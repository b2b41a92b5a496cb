"""Seconds and memory of ``keep_given`` on a file of probabilities: ``python tests/benchmarks/given_probabilities.py``.

200,000 samples of 100 classes as float32 in an ``.npy`` file, a tenth of the labels wrong; ``--samples`` and ``--classes``
take others. Each of these in a process of its own, in turns, three times, whose processor seconds and peak of memory above
what it held after its imports are told: noisybench writes a whole run folder, with three detectors' scores, suggestions and
the probabilities themselves; cleanlab's ``find_label_issues`` reads the same file and answers with a mask.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from noisybench.data.source import source_from_arrays
from noisybench.ground.lookup import find
from noisybench.variants.building import build_variant
from noisybench.variants.variant import write_variant

TURNS = 3
CHILD = """
import json, resource, time
from pathlib import Path
{imports}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
pages = int(Path("/proc/self/statm").read_text().split()[1])
at_first, began = pages * resource.getpagesize() / 2**20, time.process_time()
{what}
print(json.dumps([time.process_time() - began, peak() - at_first]))
"""
OURS = {
    "imports": "from noisybench.variants.variant import read_variant\nfrom noisybench.runs.given_run import keep_given\n"
    "from noisybench.detection.detectors import confident_learning\nvariant = read_variant(Path('variant'))",
    "what": "keep_given(variant, {out!r}, name='model', pred_probs='probabilities.npy')",
}
THEIRS = {
    "imports": "import numpy as np\nfrom cleanlab.filter import find_label_issues\nlabels = np.load('labels.npy')",
    "what": "find_label_issues(labels, np.load('probabilities.npy'), n_jobs=1)",
}


def main() -> None:
    """Make a file up, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--only-ours", action="store_true", help="Without cleanlab, which reads the whole array.")
    asked = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        size = make_up(folder, asked.samples, asked.classes)
        found: dict[str, list[list[float]]] = {"noisybench": [], **({} if asked.only_ours else {"cleanlab": []})}
        for turn in range(TURNS):
            for name, told in found.items():
                what = dict(OURS, what=OURS["what"].format(out=f"runs-{turn}")) if name == "noisybench" else THEIRS
                told.append(measured(what, folder))
    for name, told in found.items():
        seconds, memory = (median(part) for part in zip(*told, strict=True))
        print(f"{name:12} {seconds:8.2f} s  {memory:8.0f} MB = {memory / size:.2f} times the array of {size:.0f} MB")


def make_up(folder: Path, n: int, k: int) -> float:
    """Write labels, a variant of them, and probabilities of a model that is mostly right; megabytes of these."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, k, n)
    labels = np.where(rng.random(n) < 0.1, (clean + rng.integers(1, k, n)) % k, clean)
    values = np.lib.format.open_memmap(folder / "probabilities.npy", "w+", np.float32, (n, k))
    for start in range(0, n, 20_000):
        part = np.exp(rng.normal(size=(min(20_000, n - start), k)))
        part[np.arange(len(part)), clean[start : start + 20_000]] *= np.exp(5)
        values[start : start + 20_000] = part / part.sum(1, keepdims=True)
    values.flush()
    np.save(folder / "labels.npy", labels)
    source = source_from_arrays("made", np.zeros((n, 1), np.float32), labels, class_names=[f"c{j}" for j in range(k)])
    write_variant(build_variant(source, find("noises", "as_found")()), folder / "variant")
    return values.nbytes / 2**20


def measured(what: dict[str, str], folder: Path) -> list[float]:
    """Processor seconds, and peak of memory above what was held after the imports, of a process that does nothing else."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(**what)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
