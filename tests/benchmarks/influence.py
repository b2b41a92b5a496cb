"""Influence of training on test samples: blocks of a float32 product against all pairs at once in float64.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/influence.py``, a minute.

The baseline is what the released code of Feldman and Zhang does: two products of whole matrices, one for each arm, and a
matrix of n × t. Both look for pairs with an influence of at least 0.15; noisybench also tells errors, p- and q-values and
numbers by chance, and looks at the samples that are memorized alone, here a fifth, or at all, as the baseline does.
Answers are drawn at random, so that there is the most to sort out. Memory is the peak that NumPy asked for.
"""

import tracemalloc
from collections.abc import Callable

import numpy as np
from measuring import Row, faster, medians, report

from noisybench.statistics.pair_influences import large_pairs


def whole_matrices(included: np.ndarray, correct: np.ndarray) -> int:
    """Pairs of large influence, by matrices of all pairs."""
    saw, right = included.astype(np.float64), correct.astype(np.float64)
    inside = (saw.T @ right) / saw.sum(0)[:, None]
    outside = ((1 - saw).T @ right) / (1 - saw).sum(0)[:, None]
    return int((np.abs(inside - outside) >= 0.15).sum())


def peak(task: Callable[[], object]) -> float:
    """Peak memory in MB."""
    tracemalloc.start()
    task()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


N, T, MODELS = 10_000, 2_000, 500


def measure() -> list[Row]:
    generator = np.random.default_rng(0)
    included = generator.random((MODELS, N)) < 0.7
    correct = generator.random((MODELS, T)) < generator.random(T)
    every = np.arange(N)
    tasks: dict[str, Callable[[], object]] = {
        "whole matrices": lambda: whole_matrices(included, correct),
        "all samples": lambda: large_pairs(included, correct, every, least=0.15, most=10_000, most_q=0.05),
        "a fifth": lambda: large_pairs(included, correct, every[::5], least=0.15, most=10_000, most_q=0.05),
    }
    for name, task in tasks.items():
        print(f"{name}: {peak(task):.0f} MB")
    seconds = medians(tasks, repeats=3)
    return [
        faster(f"pairs of {name}", seconds[name], seconds["whole matrices"], 3) for name in ("all samples", "a fifth")
    ]


if __name__ == "__main__":
    report(measure)
