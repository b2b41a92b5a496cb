"""Seconds and memory of what is computed from frozen features, at the size that is promised.

Run: ``python tests/benchmarks/features.py [--json FILE]``, 50,000 samples of 1,280 features in 10 classes, a tenth of
them wrong and a hundred copied. Exits with 1 where what ``suspects`` computes is above five minutes or 4 GB; what the
further detectors need comes after it, Shapley values last. Seconds are those of a clock, with as many
threads as the machine gives; processor seconds stand beside them, since other jobs slow the former.
"""

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from measuring import Row, processor_seconds, write

from noisybench.ground.arrays import Bools, Floats32, Labels
from noisybench.statistics.alignment import class_alignment
from noisybench.statistics.consensus import consensus, disagreeing
from noisybench.statistics.gaussian import class_distances
from noisybench.statistics.grouping import find_groups
from noisybench.statistics.hoc import estimate_consensus
from noisybench.statistics.linear_probe import held_out_probabilities
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.ridge import leave_one_out_ridge
from noisybench.statistics.shapley import knn_shapley
from noisybench.statistics.vicinity import vicinity

N, D, K, COPIES = 50_000, 1_280, 10, 100
LIMIT_SECONDS, LIMIT_GB = 300.0, 4.0


def drawn(n: int, d: int, k: int) -> tuple[Floats32, Labels, Bools]:
    """Features like those of a network (a spectrum that falls, values from 0 up), given labels, and which are wrong."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, k, n)
    means = rng.normal(size=(k, d)).astype(np.float32)
    scale = (np.arange(1, d + 1, dtype=np.float32) ** -0.5) * 6
    mixing = rng.normal(size=(d, d)).astype(np.float32) / np.sqrt(d).astype(np.float32)
    features = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 5_000):
        rows = slice(start, start + 5_000)
        noise = rng.normal(size=(len(clean[rows]), d)).astype(np.float32) * scale
        features[rows] = np.maximum(noise @ mixing + 0.5 * means[clean[rows]], 0)
    features[-COPIES:] = features[:COPIES]
    wrong = rng.random(n) < 0.1
    return features, np.where(wrong, (clean + rng.integers(1, k, n)) % k, clean), wrong


def main() -> None:
    """Print seconds and memory; exit with 1 above the limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    parser.add_argument("--samples", type=int, default=N)
    parser.add_argument("--classes", type=int, default=K)
    options = parser.parse_args()
    n, k = options.samples, options.classes
    features, labels, wrong = drawn(n, D, k)
    rows: list[Row] = []

    def timed(name: str, compute: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it computes
        clock, processor = perf_counter(), processor_seconds()
        found = compute()
        rows.append(Row(name, perf_counter() - clock, None, None, "", 1))
        print(
            f"{name:12} {rows[-1].seconds:7.1f} s, {processor_seconds() - processor:7.1f} processor seconds", flush=True
        )
        return found

    groups = timed("groups", lambda: find_groups(features))
    ridge = timed("ridge", lambda: leave_one_out_ridge(features, labels, k, groups=groups))
    probe = timed("probe", lambda: held_out_probabilities(features, labels, k, groups=groups))
    near = timed("neighbours", lambda: neighbour_labels(features, labels, k, groups=groups))
    suspicion = consensus(labels, ridge.answers, probe.probabilities, near)
    flagged = disagreeing(suspicion)
    found = wrong[np.argsort(-suspicion)[: wrong.sum()]].mean()
    seconds = sum(row.seconds for row in rows)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{n - groups.max() - 1} copies, λ {ridge.chosen:g}, C {probe.strength:g}, precision {found:.3f}")
    print(f"{flagged.sum()} flagged, precision {wrong[flagged].mean():.3f}, recall {flagged[wrong].mean():.3f}")
    print(f"{seconds:.0f} s for suspects (limit {LIMIT_SECONDS:g}), peak {memory:.2f} GiB (limit {LIMIT_GB:g})")
    timed("gaussian", lambda: class_distances(features, labels, k, groups=groups))
    around = timed("vicinity", lambda: vicinity(features, labels, k, groups=groups))
    timed("consensus", lambda: estimate_consensus(labels, around.two_nearest, k))
    timed("alignment", lambda: class_alignment(features, labels, k, groups=groups))
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB with the standard detectors")
    timed("shapley", lambda: knn_shapley(features, labels, k, groups=groups))
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB with all detectors")
    if options.json is not None:
        write(options.json, rows, {"peak_memory_gb": memory, "limit_gb": LIMIT_GB, "disk_gb": 0.0})
    sys.exit(seconds > LIMIT_SECONDS or memory > LIMIT_GB)


if __name__ == "__main__":
    main()
