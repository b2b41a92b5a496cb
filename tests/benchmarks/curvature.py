"""One pass of the curvature probe, in epochs of training, beside the published loop; measured in the same run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/curvature.py [--json FILE]``. 1,280 random images of the shape of
CIFAR-10, small_cnn, ten directions, batches of 128. An epoch is forward, backward and a step of SGD, without
augmentation. The published loop (Garg, Ravikumar and Roy 2024; the same in all their repositories) differentiates
L(x + hv) - L(x) in the input anew for every direction; the older form of it calls ``backward()`` on both losses, which
computes gradients of the parameters as well. Model and inputs are the same, channels-last, in all of them.

``--steps [SETS]``, with NOISYBENCH_TEST_DATA, prints instead what each step of curvature finds and how many samples change
their activation pattern along it: trainings of the standard recipe with the noises of the quickstart, three directions at
every second epoch, all steps at the same weights. Beside them stand the other probes of gradients, of which the zeroth-order
one takes steps of 0.1. SETS are some of ``SETS``, and ``--noises`` names some of the noises; the default was chosen on ``STEP_CHOSEN_ON``, and the others look whether it holds.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Row, faster, medians, multiple, report
from numpy.typing import NDArray
from own_data_sets import first_photographs
from torch import Tensor, nn

from noisybench import Source, build_variant, find, load_source, source_from_arrays
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.ranking import rank
from noisybench.training.asking import Batch
from noisybench.training.batches import Inputs
from noisybench.training.models.small_cnn import build
from noisybench.training.observing import observe
from noisybench.training.plan import plan_run
from noisybench.training.probes.curvature import Curvature
from noisybench.training.training import train
from noisybench.training.tuning_sets import STEP_CHOSEN_ON

N, BATCH, DRAWS, STEP, REPEATS = 1_280, 128, 10, 1e-3, 5


def directions(inputs: Tensor) -> Tensor:
    """Random signs of length ``STEP``, as the published loop draws them."""
    signs = torch.randint_like(inputs, high=2)
    for sign in signs:
        sign[sign == 0] = -1
    return STEP * (signs + 1e-7)


def published(model: nn.Module, batches: list[Tensor], labels: list[Tensor]) -> None:
    """Two forwards and a backward of both for every direction."""
    criterion = nn.CrossEntropyLoss()
    model.eval()
    for x, y in zip(batches, labels, strict=True):
        batch, total = x.clone(), torch.zeros(len(x))
        for _ in range(DRAWS):
            v = directions(batch.detach())
            batch.requires_grad_()
            difference = criterion(model(batch + v), y) - criterion(model(batch), y)
            gradient = torch.autograd.grad(difference, batch)[0]
            total += gradient.reshape(len(x), -1).norm(dim=1)
            model.zero_grad()


def with_backward(model: nn.Module, batches: list[Tensor], labels: list[Tensor]) -> None:
    """The same with ``backward()``: parameters receive gradients that nobody reads."""
    criterion = nn.CrossEntropyLoss()
    model.eval()
    for x, y in zip(batches, labels, strict=True):
        total = torch.zeros(len(x))
        for _ in range(DRAWS):
            v = directions(x)
            here, there = x.clone().requires_grad_(), (x + v).requires_grad_()
            criterion(model(there), y).backward()
            criterion(model(here), y).backward()
            assert here.grad is not None
            assert there.grad is not None
            total += (there.grad - here.grad).reshape(len(x), -1).norm(dim=1)
            model.zero_grad()


def measure() -> list[Row]:
    """Rows in epochs of training, and the ratio of the published loop to ours."""
    rng = np.random.default_rng(0)
    data = Inputs(rng.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8), torch.device("cpu"))
    targets = torch.tensor(rng.integers(0, 10, N))
    batches, labels = list(data.batches(BATCH)), list(targets.split(BATCH))
    torch.manual_seed(0)
    model = build(num_classes=10, input_shape=(3, 32, 32)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def epoch() -> None:
        model.train()
        for x, y in zip(batches, labels, strict=True):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    found = medians(
        {
            "epoch": epoch,
            "ours": lambda: observe(model, batches, targets, [Curvature(draws=DRAWS, step=STEP)], epoch=1),
            "published": lambda: published(model, batches, labels),
            "backward": lambda: with_backward(model, batches, labels),
        },
        REPEATS,
    )
    unit, what = "training epochs", f"curvature, {DRAWS} directions"
    return [
        multiple(f"{what}: noisybench", found["ours"], found["epoch"], unit, REPEATS),
        multiple(f"{what}: published loop", found["published"], found["epoch"], unit, REPEATS),
        multiple(f"{what}: published loop with backward()", found["backward"], found["epoch"], unit, REPEATS),
        faster(f"{what}: noisybench against the published loop", found["ours"], found["published"], REPEATS),
    ]


# Steps

STEPS = (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0)
OTHERS = ("input_gradient_norm", "curvature_zeroth", "gauss_newton_trace", "variance_of_gradients")
NOISES = {"symmetric": 0.2, "asymmetric": 0.3, "instance": 0.2}
SIZE = 1_500


@dataclass(frozen=True)
class AtStep:
    """Curvature at one step, with the share of draws at which the activation pattern changed: (b, ...) → (b, 2)."""

    step: float
    gradient: bool = True

    @property
    def name(self) -> str:
        return f"curvature_{self.step:g}"

    @property
    def passes(self) -> float:
        return 4.0

    def __call__(self, batch: Batch) -> Tensor:
        values = Curvature(draws=3, step=self.step)(batch)
        return torch.stack([values, batch.beside.pop("activation_change")], 1)


def _prefix(*parts: str) -> Mapping[str, NDArray[Any]]:
    with np.load(Path(os.environ["NOISYBENCH_TEST_DATA"], *parts)) as stored:
        return {name: stored[name] for name in stored.files}


def fashion() -> Source:
    stored = _prefix("fashion_mnist", "fashion_mnist_prefix.npz")
    images = stored["x_train_prefix"][:SIZE, :, :, None]
    return source_from_arrays("fashion_mnist", images, stored["y_train"][:SIZE].astype(np.int64))


def mnist() -> Source:
    stored = _prefix("mnist", "mnist.npz")
    return source_from_arrays("mnist", stored["x_train"][:SIZE, :, :, None], stored["y_train"][:SIZE].astype(np.int64))


def photographs() -> Source:
    images, labels = first_photographs()
    return source_from_arrays("cifar10", images[:SIZE], labels[:SIZE])


SETS: Mapping[str, tuple[Callable[[], Source], str]] = {
    "digits": (lambda: load_source("digits"), "mlp"),
    "mnist": (mnist, "mlp"),
    "fashion": (fashion, "mlp"),
    "fashion-cnn": (fashion, "small_cnn"),
    "cifar10": (photographs, "small_cnn"),
}


def compare_steps(names: list[str], noises: list[str]) -> None:
    """Print AUROC and the share of changed patterns for each step, mean over the noises."""
    torch.set_num_threads(1)
    probes = [AtStep(step) for step in STEPS]
    print("| set, model | what | " + " | ".join([*(f"{step:g}" for step in STEPS), *OTHERS]) + " |")
    print("|---" * (len(STEPS) + len(OTHERS) + 2) + "|")
    for name in names:
        make, model = SETS[name]
        source = make()
        found, shares = [], []
        for noise in noises:
            rate = NOISES[noise]
            variant = build_variant(source, find("noises", noise)(rate=rate), seed=0)
            plan = plan_run(source, model=model)
            asked = [*probes, *(find("probes", other) for other in OTHERS)]
            every = {probe.name: 2 for probe in asked}
            trace = train(source, variant, plan.build, plan.recipe, asked, seed=0, every=every).trace
            columns = [trace[probe.name].mean(0, dtype=np.float64) for probe in asked]
            scores = [values[:, 0] if values.ndim > 1 else values for values in columns]
            found.append([auroc(rank(score, variant.mislabeled)).value for score in scores])
            shares.append([float(values[:, 1].mean()) for values in columns[: len(STEPS)]])
            print(
                f"| {name}, {model} | AUROC, {noise} | " + " | ".join(f"{x:.3f}" for x in found[-1]) + " |", flush=True
            )
        kind = "tuning set" if name in STEP_CHOSEN_ON else "check"
        for what, rows in ((f"AUROC, mean ({kind})", found), ("change of pattern", shares)):
            means = np.mean(rows, axis=0)
            print(f"| {name}, {model} | {what} | " + " | ".join(f"{x:.3f}" for x in means) + " |", flush=True)


if __name__ == "__main__":
    if "--steps" in sys.argv:
        parser = argparse.ArgumentParser()
        parser.add_argument("--steps", nargs="*", choices=[*SETS], help="sets; none are all of them")
        parser.add_argument("--noises", nargs="*", choices=[*NOISES], default=[*NOISES])
        given = parser.parse_args()
        compare_steps(given.steps or [*SETS], given.noises)
    else:
        report(measure)
