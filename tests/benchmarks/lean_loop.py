"""``evaluate`` against a lean loop of the same training, in the same run: what observing, testing and scoring add.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/lean_loop.py [--n 2560] [--epochs 2] [--repeats 3] [--only NAME …] [--cifar]``.
Images of the shape of CIFAR-10, a fifth as many to test; or, with ``--cifar`` and ``NOISYBENCH_TEST_DATA``, CIFAR-10 itself,
whose test set stays whole: 10,000 images, whatever ``--n`` says. ``seldom`` tests after the last epoch alone.

The baseline is what one would write who wants nothing but the trained weights, and knows how: images as one tensor of
bytes, crops as strided views, channels-last floats, small_cnn, the functional step of SGD, one seed; no data loader, no
test, nothing observed, nothing written. Ours are whole calls of ``evaluate``, with its trace, history, checkpoints, scores
and figures: the twelve detectors of the dynamics observed after each epoch or during it, and the standard set, which adds
curvature and susceptibility. Processor seconds, page faults and peak memory of a process each, in turns; the time to import
and to make the data is not counted, and is told apart.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
from measuring import machine
from torch import Tensor
from torch.nn import functional as F
from torch.optim.sgd import sgd

from noisybench import Source, build_variant, evaluate, find, load_source
from noisybench.data.source import source_from_arrays
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.machine import Machine
from noisybench.training.recipe import Recipe, learning_rate

DYNAMICS = (
    "aum", "cores", "cumulative_error", "cumulative_loss", "el2n", "entropy", "final_loss", "forgetting", "gmm_loss",
    "label_confidence", "label_variability", "learning_time",
)  # fmt: skip
GOALS = {"lean": 1.0, "after": 1.2, "after-seldom": 1.2, "during": 1.05, "during-seldom": 1.05, "all": 2.5}
"""Name of what is measured → goal, in multiples of the lean loop; ``seldom`` tests after the last epoch alone."""
TEST_SHARE = 5
"""Training images for each test image, as in CIFAR-10."""


def images(n: int) -> Source:
    """Images of ten classes that differ in their mean."""
    rng = np.random.default_rng(0)
    m = n + n // TEST_SHARE
    clean = rng.integers(0, 10, m)
    pixels = (rng.integers(0, 128, (m, 32, 32, 3)) + 12 * clean[:, None, None, None]).astype(np.uint8)
    train, test = slice(n), slice(n, None)
    return source_from_arrays(
        "synthetic", pixels[train], clean[train], clean=clean[train], test_inputs=pixels[test],
        test_labels=clean[test], augmentation="crop_flip",
    )  # fmt: skip


def lean(source: Source, labels: Tensor, recipe: Recipe) -> None:
    """Train, and do nothing else."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pixels = torch.tensor(source.inputs)
    floats = pixels.float()
    mean, scale = floats.mean((0, 1, 2)), 1 / floats.std((0, 1, 2))
    means, scales = (part.expand(pixels.shape[1:]).contiguous() for part in (mean, scale))
    del floats
    model = find("models", "small_cnn")(num_classes=source.num_classes, input_shape=source.input_shape)
    model = model.to(memory_format=torch.channels_last)
    weights = [*model.parameters()]
    momenta: list[Tensor | None] = [None for _ in weights]
    steps, step = recipe.epochs * -(-len(labels) // recipe.batch_size), 0
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(labels)).split(recipe.batch_size):
            b = len(chosen)
            padded = torch.zeros(b, 40, 40, 3, dtype=torch.uint8)
            padded[:, 4:36, 4:36] = pixels.index_select(0, chosen)
            views = padded.flatten(2).unfold(1, 32, 1).unfold(2, 96, 3)
            crops = views[torch.arange(b), torch.randint(0, 9, (b,)), torch.randint(0, 9, (b,))].view(b, 32, 32, 3)
            turned = (torch.rand(b) < 0.5).nonzero()[:, 0]
            crops[turned] = crops.index_select(0, turned).flip(2)
            inputs = crops.float().sub_(means).mul_(scales).permute(0, 3, 1, 2)
            gradients = [*torch.autograd.grad(F.cross_entropy(model(inputs), labels[chosen]), weights)]
            with torch.no_grad():
                sgd(
                    [*weights], gradients, momenta, lr=learning_rate(recipe, step, steps), momentum=recipe.momentum,
                    weight_decay=recipe.weight_decay, dampening=0, nesterov=True, maximize=False,
                )  # fmt: skip
            step += 1


def ours(
    source: Source, labels: Tensor, recipe: Recipe, options: Mapping[str, str], detectors: str | Sequence[str]
) -> None:
    """One call of ``evaluate``."""
    del labels
    variant = build_variant(source, Symmetric(0.2))
    told = {"batch_size": str(recipe.batch_size), **options}
    with tempfile.TemporaryDirectory() as folder:
        evaluate(
            variant, source, model="small_cnn", epochs=recipe.epochs, seeds=(0,), detectors=detectors, options=told,
            machine=Machine(), out=Path(folder),
        )  # fmt: skip


def task(name: str, source: Source, recipe: Recipe) -> Callable[[], None]:
    """What is measured under a name."""
    labels = torch.tensor(build_variant(source, Symmetric(0.2)).labels)
    if name == "lean":
        return lambda: lean(source, labels, recipe)
    options = {"susceptibility": "off"} if name != "all" else {}
    options |= {"observe": "during"} if name.startswith("during") else {}
    options |= {"test_every": str(recipe.epochs)} if name.endswith("seldom") else {}
    detectors = "standard" if name == "all" else DYNAMICS
    return lambda: ours(source, labels, recipe, options, detectors)


def measured(name: str, n: int, epochs: int, *, cifar: bool) -> dict[str, float]:
    """Processor seconds, page faults and peak bytes of one task in this process."""
    source = (
        load_source("cifar10", Path(os.environ["NOISYBENCH_TEST_DATA"]) / "cifar10", limit=n) if cifar else images(n)
    )
    do = task(name, source, Recipe(epochs=epochs, batch_size=128))
    lean(images(128), torch.zeros(128, dtype=torch.int64), Recipe(epochs=1))  # torch's own first time
    began, faults = process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    do()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": process_time() - began,
        "faults": usage.ru_minflt - faults,
        "peak": usage.ru_maxrss * 1024.0,
        "began": began,
    }


def main() -> None:
    """Each task in a process of its own, in turns; the table is of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2560)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cifar", action="store_true")
    parser.add_argument("--only", nargs="*", default=[*GOALS], choices=[*GOALS])
    parser.add_argument("--one", choices=[*GOALS], help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        print(json.dumps(measured(told.one, told.n, told.epochs, cifar=told.cifar)))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in told.only}
    for _ in range(told.repeats):
        for name, seen in found.items():
            size = ["--n", str(told.n), "--epochs", str(told.epochs), *(["--cifar"] if told.cifar else [])]
            command = [sys.executable, __file__, "--one", name, *size]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seen.append(json.loads(done.stdout.splitlines()[-1]))
    print(machine())
    middle = {name: {key: median(one[key] for one in seen) for key in seen[0]} for name, seen in found.items()}
    base = middle.get("lean", {"seconds": float("nan")})["seconds"]
    print(f"{'':13} {'seconds':>8} {'× lean':>7} {'goal':>5} {'faults':>9} {'peak MiB':>9}")
    for name, one in middle.items():
        print(
            f"{name:13} {one['seconds']:8.2f} {one['seconds'] / base:7.2f} {GOALS[name]:5.2f} {one['faults']:9,.0f} "
            f"{one['peak'] / 2**20:9.0f}"
        )


if __name__ == "__main__":
    main()
