"""Times of noise generation against per-sample loops, measured in the same run.

Run with one thread: ``OMP_NUM_THREADS=1 python tests/benchmarks/noise_generation.py``. Random data of the shape of
CIFAR-10 (50,000 × 32 × 32 × 3 uint8, ten classes) and of the labels of ImageNet (1.3 million, 1,000 classes). Times are
processor seconds, the medians of three interleaved repeats. The baselines do what published code does for each sample:
one product with the matrix of its class, a softmax, a draw (Xia et al. 2020), or one multinomial (loss-correction,
Co-teaching). They are written here; only their structure is that of the originals. The noise computes laws for the
flipped samples alone, a share of 0.4 of them; the row "laws of all samples" does the same work as the loop.
"""

from collections.abc import Callable
from statistics import median
from time import process_time

import numpy as np
from numpy.typing import NDArray

from noisybench.noises.instance import Instance, wrong_laws
from noisybench.noises.symmetric import Symmetric
from noisybench.source import Source, source_from_arrays
from noisybench.streams import normals

N, K, RATE = 50_000, 10, 0.4


def loop_part_dependent(images: NDArray[np.uint8], clean: NDArray[np.int64], *, draw: bool = True) -> None:
    """One sample after another: standardise, multiply, softmax and, where asked, draw."""
    rng = np.random.default_rng(0)
    d = images[0].size
    parts = [normals(0, f"parts-{k}", K * d).reshape(K, d).astype(np.float32) for k in range(K)]
    chances = rng.normal(RATE, 0.1, len(clean)).clip(0, 1)
    for i, y in enumerate(clean):
        x = images[i].astype(np.float32)
        x -= x.mean((0, 1))
        x /= np.linalg.norm(x)
        logits = parts[y] @ x.ravel()
        logits[y] = -np.inf
        law = np.exp(logits - logits.max()).astype(np.float64)
        law *= chances[i] / law.sum()
        law[y] = 1 - chances[i]
        if draw:
            rng.choice(K, p=law)


def loop_multinomial(clean: NDArray[np.int64], k: int) -> None:
    """One multinomial a sample."""
    rng = np.random.default_rng(0)
    transition = np.full((k, k), RATE / (k - 1))
    np.fill_diagonal(transition, 1 - RATE)
    for y in clean:
        rng.multinomial(1, transition[y]).argmax()


def all_laws(source: Source) -> None:
    """The laws of every sample, not only of those that are flipped: what the loop computes, without the draw."""
    for _ in wrong_laws(source.inputs, source.clean, np.ones(len(source.clean), dtype=bool), K, seed=0):
        pass


def seconds(tasks: dict[str, Callable[[], object]], repeats: int = 3) -> dict[str, float]:
    """Median processor time of each task, in turns, so that a busy machine slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            start = process_time()
            task()
            times[name].append(process_time() - start)
    return {name: median(values) for name, values in times.items()}


def main() -> None:
    """Print seconds, and ratios to the baseline of the same run."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, K, N)
    images = rng.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    cifar = source_from_arrays("random", images, clean, clean=clean)
    many = np.tile(np.arange(1000), 1300)
    imagenet = source_from_arrays("labels", np.zeros((len(many), 1), dtype=np.float32), many, clean=many)
    found = seconds(
        {
            "part-dependent loop, laws": lambda: loop_part_dependent(images, clean, draw=False),
            "part-dependent, laws of all samples": lambda: all_laws(cifar),
            "part-dependent loop, whole draw": lambda: loop_part_dependent(images, clean),
            "part-dependent, whole draw": lambda: Instance(RATE)(cifar, seed=0, mode="exact"),
            "symmetric loop": lambda: loop_multinomial(clean, K),
            "symmetric": lambda: Symmetric(RATE)(cifar, seed=0, mode="exact"),
            "1.3 M symmetric, exact": lambda: Symmetric(RATE)(imagenet, seed=0, mode="exact"),
            "1.3 M symmetric, exact_per_class": lambda: Symmetric(RATE)(imagenet, seed=0, mode="exact_per_class"),
        }
    )
    baseline = 0.0
    for name, value in found.items():
        if "loop" in name:
            baseline = value
            print(f"{name:38s} {value:8.3f} s")
        elif name.startswith("1.3 M"):
            print(f"{name:38s} {value:8.3f} s   (target under 2 s)")
        else:
            print(f"{name:38s} {value:8.3f} s   {baseline / value:6.1f} times the loop")


if __name__ == "__main__":
    main()
