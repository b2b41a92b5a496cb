"""Recording margin, loss and prediction of every sample against the ``aum`` package; measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/recording.py [--json FILE]``. An epoch of 50,000 × 10 logits in batches of
64 and of 128: ``AUMCalculator.update`` records margins; ``Recorder.update`` and ``end_epoch`` record margin, loss and
prediction. Then what observing adds to a training run of real size, without and with it, for the digits with mlp and
for 5,000 random images of the shape of CIFAR-10 with small_cnn: ``during`` keeps the logits of the training batches,
``after`` makes a pass of its own in eval mode.
"""

import tempfile
from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from aum import AUMCalculator
from measuring import Row, faster, medians, multiple, report

from noisybench import Recorder, Source, build_variant, find, load_source
from noisybench.data.source import source_from_arrays
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.recipe import Observe, Recipe
from noisybench.training.training import train

N, K, REPEATS = 50_000, 10, 5
PROBES = ("margin", "loss", "prediction")


def against_aum() -> list[Row]:
    """One row a batch size."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, K, N)
    source = source_from_arrays("random", np.zeros((N, 1), dtype=np.float32), clean, clean=clean)
    variant = build_variant(source, Symmetric(0.2))
    labels = torch.tensor(variant.labels)
    rows = []
    for size in (64, 128):
        order = torch.randperm(N, generator=torch.Generator().manual_seed(0)).split(size)
        batches = [(torch.randn(len(chosen), K), labels[chosen], chosen, chosen.tolist()) for chosen in order]
        recorder = Recorder(variant, PROBES)
        epochs = count(1)

        def ours(
            recorder: Recorder = recorder,
            batches: list[tuple[torch.Tensor, ...]] = batches,  # type: ignore[assignment]
            epochs: Iterator[int] = epochs,
        ) -> None:
            for logits, _, chosen, _ in batches:
                recorder.update(logits, chosen)
            recorder.end_epoch(epoch=next(epochs))
            recorder._observations.clear()

        def package(batches: list[tuple[torch.Tensor, ...]] = batches) -> None:  # type: ignore[assignment]
            with tempfile.TemporaryDirectory() as folder:
                calculator = AUMCalculator(folder, compressed=True)
                for logits, given, _, samples in batches:
                    calculator.update(logits, given, samples)

        found = medians({"ours": ours, "aum": package}, REPEATS)
        rows.append(
            faster(f"recording an epoch of {N:,} × {K}, batches of {size}", found["ours"], found["aum"], REPEATS)
        )
    return rows


def against_training(name: str, source: Source, model: str, recipe: Recipe) -> list[Row]:
    """What two ways of observing add to the same training."""
    variant = build_variant(source, Symmetric(0.2))
    probes = [find("probes", probe) for probe in PROBES]
    build = find("models", model)

    def run(observe: Observe, probes: list[object]) -> None:
        train(source, variant, build, recipe, probes, seed=0, observe=observe)  # type: ignore[arg-type]

    found = medians(
        {
            "plain": lambda: run("after", []),
            "during": lambda: run("during", list(probes)),
            "after": lambda: run("after", list(probes)),
        },
        REPEATS,
    )
    return [
        multiple(f"{name}, observed {how}", found[how], found["plain"], "times the plain training", REPEATS)
        for how in ("during", "after")
    ]


def measure() -> list[Row]:
    """Rows against the package, then rows against training."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, K, 5_000)
    images = rng.integers(0, 256, (5_000, 32, 32, 3), dtype=np.uint8)
    cifar = source_from_arrays("random", images, clean, clean=clean)
    return [
        *against_aum(),
        *against_training("digits, mlp", load_source("digits"), "mlp", Recipe(epochs=5, batch_size=32)),
        *against_training("5,000 images, small_cnn", cifar, "small_cnn", Recipe(epochs=1, augmentation="crop_flip")),
    ]


if __name__ == "__main__":
    report(measure)
