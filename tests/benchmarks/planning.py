"""Correlations that a plan takes where none are measured: python tests/benchmarks/planning.py FOLDER.

Digits with two noises, three draws of each, two seeds of each draw, all detectors that only look (``fast``); runs that
FOLDER holds already are not trained again. The last line is ``MEASURED`` of ``noisybench.statistics.planning``.
"""

import sys
from pathlib import Path

import numpy as np

from noisybench.board.comparison import measure_runs
from noisybench.board.results import evaluate
from noisybench.data.loading import load_source
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant

NOISES = (Symmetric(0.2), Asymmetric(0.2))
DRAWS, SEEDS = (0, 2, 3), (0, 1)


def main() -> None:
    """Train what is missing, and print what each noise and both tell."""
    source = load_source("digits")
    rows = []
    for noise in NOISES:
        variants = [build_variant(source, noise, seed=seed) for seed in DRAWS]
        evaluate(variants, source, seeds=SEEDS, detectors="fast", out=Path(sys.argv[1]))
        varied = measure_runs(sys.argv[1], variants[0])
        one = varied.correlations
        print(f"{noise}: {one.measured_on}, AUROC {varied.area:.3f}")
        rows.append((one.detectors, one.seeds, one.draws, one.spread))
        print("  detectors {:.2f}, seeds {:.2f}, draws {:.2f}, spread {:.2f}".format(*rows[-1]), flush=True)
    print("both: detectors {:.2f}, seeds {:.2f}, draws {:.2f}, spread {:.2f}".format(*np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
