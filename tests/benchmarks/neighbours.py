"""The nearest neighbours of all samples against the product of all pairs, faiss and scikit-learn, in one run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/neighbours.py [--json FILE] [--samples 50000] [--features 256] [--repeats 3]``.
The 20 nearest by cosine of overlapping classes, ``neighbour_labels`` with the tie rule and the shares of labels; the
product is ``rows @ rows.T`` in blocks of 1,024 rows, of which nothing is kept. faiss is ``IndexFlatIP`` with one thread,
scikit-learn ``NearestNeighbors(algorithm="brute")`` on the same unit rows. The last row is the index, with its recall on
the screen. The process exits with 1 where less than 85 % of the product's rate is reached.
"""

import argparse
import logging
import sys
from pathlib import Path

import faiss
import numpy as np
from measuring import Row, faster, medians, write
from sklearn.neighbors import NearestNeighbors

from noisybench.statistics.neighbours import neighbour_labels
from noisybench.statistics.similarity import unit_rows

K, CLASSES, GOAL = 20, 10, 0.85


def main() -> None:
    """Print a row for each way; exit with 1 below the goal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the machine and the rows there")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    faiss.omp_set_num_threads(1)
    n, d, repeats = given.samples, given.features, given.repeats
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, n)
    x = (rng.normal(size=(CLASSES, d))[labels] + rng.normal(size=(n, d))).astype(np.float32)
    rows = unit_rows(x)

    def product() -> None:
        for start in range(0, n, 1024):
            rows[start : start + 1024] @ rows.T

    def flat() -> None:
        index = faiss.IndexFlatIP(d)
        index.add(rows)
        index.search(rows, K + 1)

    def scikit_learn() -> None:
        NearestNeighbors(n_neighbors=K + 1, algorithm="brute").fit(rows).kneighbors(rows)

    found = medians(
        {
            "product": product,
            "ours": lambda: neighbour_labels(x, labels, CLASSES, K),
            "faiss": flat,
            "scikit-learn": scikit_learn,
            "index": lambda: neighbour_labels(x, labels, CLASSES, K, index="hnsw"),
        },
        repeats,
    )
    size, ours = f"{n:,} × {d}", found["ours"]
    rate = found["product"] / ours
    table = [
        Row(f"{size}, of the product's rate", ours, found["product"], rate, "of it", repeats),
        faster(f"{size}, faiss flat", ours, found["faiss"], repeats),
        faster(f"{size}, scikit-learn", ours, found["scikit-learn"], repeats),
        faster(f"{size}, the index against all pairs", found["index"], ours, repeats),
    ]
    for row in table:
        print(f"{row.name:45} {row.seconds:8.2f} s {row.baseline_seconds:8.2f} s  {row.ratio:6.2f} {row.unit}")
    if given.json is not None:
        write(given.json, table)
    sys.exit(int(rate < GOAL))


if __name__ == "__main__":
    main()
