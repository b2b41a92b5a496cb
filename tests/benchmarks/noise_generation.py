"""Noise generation against the published loops over samples, measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/noise_generation.py [--json FILE]``. Random data of the shape of
CIFAR-10 (50,000 × 32 × 32 × 3 uint8, ten classes) and labels of the size of ImageNet (1.3 million, 1,000 classes).

Baselines, written here with the structure of the originals: the part-dependent loop of Xia et al. 2020 (one float32
product with the matrix of the class a sample, softmax, then one ``np.random.choice`` a sample; it does not standardise
its inputs, ours does), and the loop of loss-correction and Co-teaching (one ``RandomState.multinomial`` a sample).
"Laws of all samples" does the work of the loop; a whole draw needs the laws of flipped samples alone, 40 % here.
"""

from functools import partial

import numpy as np
import torch
from measuring import Row, faster, medians, report
from numpy.typing import NDArray
from scipy.stats import truncnorm
from torch.nn import functional as F

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.arrays import Labels
from noisybench.noise.noises.instance import Instance, wrong_laws
from noisybench.noise.noises.pair_flip import PairFlip
from noisybench.noise.noises.symmetric import Symmetric

N, K, RATE, REPEATS = 50_000, 10, 0.4, 5


def loop_part_dependent(images: NDArray[np.uint8], clean: Labels, *, draw: bool) -> None:
    """One sample after another: floats, product, softmax; then, where asked, a draw for each."""
    rng = np.random.RandomState(0)
    chances = truncnorm(-RATE / 0.1, (1 - RATE) / 0.1, loc=RATE, scale=0.1).rvs(len(clean), random_state=rng)
    weights = torch.tensor(rng.randn(K, images[0].size, K), dtype=torch.float32)
    rows = []
    for i, (image, y) in enumerate(zip(images, clean, strict=True)):
        x = torch.from_numpy(image).float()
        law = x.view(1, -1).mm(weights[y]).squeeze(0)
        law[y] = -torch.inf
        law = chances[i] * F.softmax(law, dim=0)
        law[y] += 1 - chances[i]
        rows.append(law)
    laws = torch.stack(rows, 0).numpy()
    if draw:
        classes = list(range(K))
        np.array([rng.choice(classes, p=laws[i]) for i in range(len(clean))])


def loop_multinomial(clean: Labels, transition: NDArray[np.float64]) -> None:
    """One multinomial a sample."""
    rng = np.random.RandomState(0)
    noisy = clean.copy()
    for i in range(len(clean)):
        drawn = rng.multinomial(1, transition[clean[i], :], 1)[0]
        noisy[i] = np.where(drawn == 1)[0][0]


def all_laws(source: Source) -> None:
    """The laws of every sample, not only of those that are flipped."""
    for _ in wrong_laws(source.inputs, source.clean, np.ones(len(source.clean), dtype=bool), K, seed=0):
        pass


def measure() -> list[Row]:
    """Rows against the loops, and two rows of a size at which no loop is run."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, K, N)
    images = rng.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
    cifar = source_from_arrays("random", images, clean, clean=clean)
    many = np.tile(np.arange(1000), 1300)
    imagenet = source_from_arrays("labels", np.zeros((len(many), 1), dtype=np.float32), many, clean=many)
    symmetric = np.full((K, K), RATE / (K - 1)) + (1 - RATE - RATE / (K - 1)) * np.eye(K)
    pairs = (1 - RATE) * np.eye(K) + RATE * np.roll(np.eye(K), 1, axis=1)
    found = medians(
        {
            "laws": partial(all_laws, cifar),
            "laws loop": partial(loop_part_dependent, images, clean, draw=False),
            "whole": partial(Instance(RATE), cifar, seed=0, mode="exact"),
            "whole loop": partial(loop_part_dependent, images, clean, draw=True),
            "symmetric": partial(Symmetric(RATE), cifar, seed=0, mode="bernoulli"),
            "symmetric exact": partial(Symmetric(RATE), cifar, seed=0, mode="exact"),
            "symmetric loop": partial(loop_multinomial, clean, symmetric),
            "pair flip": partial(PairFlip(RATE), cifar, seed=0, mode="bernoulli"),
            "pair flip loop": partial(loop_multinomial, clean, pairs),
            "many": partial(Symmetric(RATE), imagenet, seed=0, mode="exact"),
            "many per class": partial(Symmetric(RATE), imagenet, seed=0, mode="exact_per_class"),
        },
        REPEATS,
    )
    size = f"{N:,} × {K}"
    compared = {
        "laws": f"part-dependent noise, laws of all samples, {N:,} × 3,072",
        "whole": f"part-dependent noise, whole draw, {N:,} × 3,072",
        "symmetric": f"symmetric noise, {size}, bernoulli (the loop's own law)",
        "pair flip": f"pair-flip noise, {size}, bernoulli (the loop's own law)",
    }
    exact = faster(f"symmetric noise, {size}, exact", found["symmetric exact"], found["symmetric loop"], REPEATS)
    return [
        *(faster(name, found[key], found[f"{key} loop"], REPEATS) for key, name in compared.items()),
        exact,
        Row("symmetric noise, 1,300,000 × 1,000, exact", found["many"], None, None, "", REPEATS),
        Row("symmetric noise, 1,300,000 × 1,000, exact_per_class", found["many per class"], None, None, "", REPEATS),
    ]


if __name__ == "__main__":
    report(measure)
