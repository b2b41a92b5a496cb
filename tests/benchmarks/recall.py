"""How many of the nearest neighbours the index finds on real features, and what it costs against all pairs.

Run: ``NOISYBENCH_TEST_DATA=… OMP_NUM_THREADS=1 python tests/benchmarks/recall.py [--samples 60000] [--sources mnist]``.
The 10 nearest by cosine of pixels of MNIST (784) and of CIFAR-10 (3,072), and of what ``pca`` makes of them, as ``knn`` asks
for them. Recall is of so many samples, spread over all, which are compared with all others: the share of their neighbours,
by weight where some are tied. Processor seconds of the index with all of its searches, and of all pairs as it is announced.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from noisybench import load_source
from noisybench.data.extraction import features_of
from noisybench.statistics import nearest, neighbour_index
from noisybench.statistics.nearest import PAIR, PAIR_FEATURE
from noisybench.statistics.neighbours import neighbour_labels

K = 10


def features(
    names: list[str], kinds: list[str], n: int
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.int64]]]:
    """Name, features (n, d) and labels (n,) of the first n samples of each source, of each kind of features."""
    for name in names:
        source = load_source(name, Path(os.environ["NOISYBENCH_TEST_DATA"]) / name, limit=n)
        for kind in kinds:
            yield f"{name}, {kind}", np.asarray(features_of(source, kind), dtype=np.float32), source.labels


def main() -> None:
    """Print a line for each kind of features."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--checked", type=int, default=1_000, help="samples of which recall is taken")
    parser.add_argument("--sources", nargs="+", default=["mnist", "cifar10"])
    parser.add_argument("--kinds", nargs="+", default=["input", "pca"])
    given = parser.parse_args()
    if "NOISYBENCH_TEST_DATA" not in os.environ:
        sys.exit("set NOISYBENCH_TEST_DATA to the folder of mnist and cifar10")
    logging.basicConfig(format="  %(message)s", stream=sys.stdout)
    neighbour_index.CHECKED, nearest.LONG = given.checked, np.inf
    for name, x, labels in features(given.sources, given.kinds, given.samples):
        start = process_time()
        neighbour_labels(x, labels, 10, K, index="hnsw")
        seconds = process_time() - start
        n, d = x.shape
        pairs = n**2 * (PAIR + PAIR_FEATURE * d)
        print(f"{name}, {n:,} × {d}: index {seconds:.1f} s, all pairs about {pairs:.0f} s", flush=True)


if __name__ == "__main__":
    main()
