"""All that needs a GPU, in under ten minutes on one card: equality with the CPU, bf16, several models at once, a whole run.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/gpu.py [--json FILE]``. The hardware is named in the first line. Where torch
finds no GPU it says so and exits with 2; ``--device cpu --small`` runs every part on a CPU, in small, to show that it runs,
and its figures say nothing of a GPU. Baselines are measured in the same run, by the clock, the card waited for:

- *equality*: a pool of ``small_cnn`` on the GPU and on the CPU, the largest difference of two margins and the share of equal
  predictions; the command fails where it is beyond ``TOLERANCE``.
- *bf16*: an epoch of ``resnet18`` in bfloat16 against one in float32, and the share of the training set that each then fits.
- *at once*: one step of each of K models stacked by ``torch.func`` against one step of a model alone by a lean loop (inputs in
  memory, forward, backward, ``torch.optim.SGD``), K = 1 … 64, for ``mlp``, ``small_cnn`` and ``resnet18``.
- *CIFAR-10N*: an epoch of ``resnet18`` on 50,000 images: the photographs of ``$NOISYBENCH_TEST_DATA`` where they lie there,
  repeated to that number, else noise of that shape, on which an epoch takes as long.
- *whole run*: ``evaluate`` with every detector of a training against a lean loop of the same recipe.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from measuring import Row, faster, machine, multiple
from own_data_sets import first_photographs
from torch import nn

from noisybench import Source, Variant, build_variant, evaluate, find_model
from noisybench.data.source import source_from_arrays
from noisybench.memorization.pool import read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.stacking import untrained
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.vectorised import seconds_of_step
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.batches import Inputs
from noisybench.training.loop import RunInProgress, batches_of
from noisybench.training.machine import Machine, deterministic_torch, wait_for
from noisybench.training.plan import plan_run
from noisybench.training.recipe import Recipe, learning_rate

TOLERANCE = 0.99
"""Share of predictions of a small pool that must be the same on both devices: float32 differs in last bits alone."""
AT_ONCE = (1, 2, 4, 8, 16, 32, 64)


def images(n: int, tests: int = 0, side: int = 32) -> Source:
    """Noise of the shape of CIFAR-10 whose classes differ in their mean."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, n + tests)
    pixels = (rng.integers(0, 128, (n + tests, side, side, 3)) + 12 * labels[:, None, None, None]).astype(np.uint8)
    asked: dict[str, Any] = {"test_inputs": pixels[n:], "test_labels": labels[n:]} if tests else {}
    return source_from_arrays("synthetic", pixels[:n], labels[:n], clean=labels[:n], augmentation="crop_flip", **asked)


def photographs(n: int) -> Source:
    """CIFAR-10's photographs repeated to n, or noise of their shape where they are not at hand."""
    if not os.environ.get("NOISYBENCH_TEST_DATA"):
        return images(n)
    pixels, labels = first_photographs()
    rows = np.arange(n) % len(pixels)
    return source_from_arrays("photographs", pixels[rows], labels[rows], clean=labels[rows], augmentation="crop_flip")


def lean(source: Source, variant: Variant, model: str, recipe: Recipe, device: torch.device) -> float:
    """Seconds of a training by the loop that a careful person writes; the first step is not counted."""
    data = Inputs(source.inputs, device)
    labels = torch.tensor(variant.labels, device=device)
    _, build = find_model(model)
    network: nn.Module = build(num_classes=source.num_classes, input_shape=source.input_shape).to(device)
    network = network.to(memory_format=torch.channels_last) if data.is_image else network
    optimizer = torch.optim.SGD(
        network.parameters(), lr=recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=True
    )
    generator, began, step = torch.Generator(), 0.0, 0
    for _ in range(recipe.epochs):
        batches = batches_of(torch.randperm(len(labels), generator=generator).to(device), recipe.batch_size)
        for batch in batches:
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, step, recipe.epochs * len(batches))
            optimizer.zero_grad()
            logits = network(data.augmented(batch, recipe.augmentation, generator))
            F.cross_entropy(logits, labels[batch]).backward()
            optimizer.step()
            if step == 0:
                wait_for(device)
                began = time.perf_counter()
            step += 1
    wait_for(device)
    return (time.perf_counter() - began) * step / max(step - 1, 1)


def equality(device: str, n: int) -> tuple[float, float]:
    """Largest difference of two margins, and share of equal predictions, of a pool here and on the CPU."""
    source = images(n)
    variant = build_variant(source, Symmetric(0.2), seed=0)
    options = {"augmentation": "none", "batch_size": "64"}
    plan = plan_run(source, model="small_cnn", recipe="overfit", epochs=2, options=options, device="cpu")
    pools = []
    for where in (device, "cpu"):
        with tempfile.TemporaryDirectory() as folder:
            retrain(source, variant, SubsetPlan(plan), folder, models=4, machine=Machine(where, together=1))
            pools.append(read_pool(Path(folder), variant))
    ours, theirs = pools
    apart = np.abs(ours.margins.astype(float) - theirs.margins.astype(float)).max()
    return float(apart), float((ours.predictions == theirs.predictions).mean())


def half(source: Source, variant: Variant, device: torch.device, epochs: int) -> list[Row]:
    """An epoch in bfloat16 against one in float32, and what each fits."""
    found: dict[str, tuple[float, float]] = {}
    for precision in ("float32", "bfloat16"):
        recipe = Recipe(epochs=epochs, augmentation="none", precision=precision)
        data = Inputs(source.inputs, device)
        with deterministic_torch(device, 1):
            plan = plan_run(source, model="resnet18(width=16)" if device.type == "cpu" else "resnet18", device="cpu")
            model = untrained(source, plan, device, 0)
            run = RunInProgress(source, variant, recipe, model.to(memory_format=torch.channels_last), data, 0)
            run.epoch(1, None)
            wait_for(device)
            began = time.perf_counter()
            for epoch in range(2, epochs + 1):
                run.epoch(epoch, None)
            wait_for(device)
            seconds = (time.perf_counter() - began) / (epochs - 1)
            fitted = float((run.probabilities(epochs).argmax(1) == run.labels).float().mean())
        found[precision] = seconds, fitted
    print(f"fitted after {epochs} epochs: " + ", ".join(f"{name} {of[1]:.3f}" for name, of in found.items()))
    return [
        faster(f"resnet18, {len(source.labels):,} images: bf16 epoch", found["bfloat16"][0], found["float32"][0], 1)
    ]


def at_once(source: Source, variant: Variant, model: str, device: torch.device, counts: tuple[int, ...]) -> list[Row]:
    """Steps of K stacked models against as many of one."""
    recipe = Recipe(augmentation="none", weight_decay=0.0)
    plan = plan_run(source, model=model, options={"augmentation": "none"}, device="cpu")
    data = Inputs(source.inputs[: recipe.batch_size], device)
    few = source_from_arrays("few", source.inputs[: 8 * recipe.batch_size], source.labels[: 8 * recipe.batch_size])
    labels = build_variant(few, Symmetric(0.2), seed=0)
    alone = lean(few, labels, model, Recipe(epochs=3, augmentation="none", weight_decay=0.0), device) / 24
    rows = []
    for count in counts:
        try:
            with deterministic_torch(device, 1):
                seconds = seconds_of_step(partial(untrained, source, plan, device), data, recipe, count)
        except torch.OutOfMemoryError:
            print(f"{model}: {count} at once do not fit")
            break
        rows.append(faster(f"{model}: a step of one of {count} at once", seconds / count, alone, 4))
    del variant
    return rows


def whole_run(source: Source, variant: Variant, device: str, epochs: int) -> list[Row]:
    """``evaluate`` with every detector that a training feeds, without and with curvature, against the lean loop."""
    plan = plan_run(source, model="small_cnn", epochs=epochs, device=device)
    baseline = lean(source, variant, "small_cnn", plan.recipe, torch.device(device))
    rows = []
    for name in ("fast", "standard"):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            evaluate(
                variant, source, model="small_cnn", epochs=epochs, seeds=(0,), detectors=name, out=Path(folder),
                machine=Machine(device),
            )  # fmt: skip
            seconds = time.perf_counter() - began
        rows.append(multiple(f"evaluate --detectors {name}", seconds, baseline, "times a lean training", 1))
    return rows


def main() -> None:
    """Every part, one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to show that it runs")
    parser.add_argument("--small", action="store_true", help="few images and models")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the hardware and the rows there")
    given = parser.parse_args()
    if given.device != "cpu" and not torch.cuda.is_available():
        print("torch finds no GPU here: nothing was measured; '--device cpu --small' shows that the parts run")
        sys.exit(2)
    device, small = torch.device(given.device), given.small
    hardware = {**machine(), "gpu": "none" if device.type == "cpu" else torch.cuda.get_device_name(device)}
    print(", ".join(f"{name} {value}" for name, value in hardware.items()), flush=True)
    began = time.perf_counter()
    apart, same = equality(given.device, 200 if small else 2_000)
    print(
        f"margins differ by at most {apart:.2g} from those on a CPU; {same:.4%} of predictions are the same", flush=True
    )
    source = images(256 if small else 10_000, tests=64 if small else 2_000)
    variant = build_variant(source, Symmetric(0.2), seed=0)
    many = photographs(256 if small else 50_000)
    noisy = build_variant(many, Symmetric(0.2), seed=0)
    counts = (1, 2) if small else AT_ONCE
    # At a width of 4, torch 2.14.1 on a CPU ended in "double free" within the backward pass of channels-last convolutions.
    big = "resnet18(width=16)" if small else "resnet18"
    epoch = Recipe(epochs=1, augmentation="crop_flip")
    parts: list[Callable[[], list[Row]]] = [
        lambda: half(source, variant, device, 2 if small else 4),
        *(partial(at_once, source, variant, model, device, counts) for model in ("mlp", "small_cnn", big)),
        lambda: [
            Row(
                f"{big}: an epoch of {len(many.labels):,} images",
                lean(many, noisy, big, epoch, device),
                None,
                None,
                "",
                1,
            )
        ],
        lambda: whole_run(source, variant, given.device, 2 if small else 10),
    ]
    rows = []
    for part in parts:
        for row in part():
            rows.append(row)
            ratio = "" if row.ratio is None else f"{row.ratio:8.2f} {row.unit}"
            print(f"{row.name:<48} {row.seconds:9.4g} s {ratio}", flush=True)
    print(f"all of it took {time.perf_counter() - began:.0f} s")
    if given.json is not None:
        found = {"machine": hardware, "margins_apart": apart, "same": same, "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if same < TOLERANCE:
        sys.exit(f"only {same:.2%} of predictions are the same on both devices")


if __name__ == "__main__":
    main()
