"""Training many models on subsets against one at a time, measured in the same run; then a whole pool of 2,000.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/memorization.py [--json FILE]``. The digits with 20 % symmetric noise, the
perceptron of 128, batches of 32 and 20 epochs, in processor time: the baseline is nn.Module, torch.optim.SGD and batches by
index, one model after the other, without asking the models about any sample; ``retrain`` also asks each about all, and
writes. The whole pool is the ``overfit`` recipe with epochs enough to fit every wrong label, in wall time, two processes.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from measuring import Row, faster, medians, processor_seconds, report
from torch import nn

from noisybench import Source, Variant, build_variant, find, load_source
from noisybench.memorization.estimate import estimate_memorization
from noisybench.memorization.pool import BLOCK, read_pool
from noisybench.memorization.reliability import Summary, summarise
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.subsets import subsets
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.batches import Inputs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.recipe import learning_rate

REPEATS = 5
NAIVE_MODELS = 3
MODELS = 2_000
ENOUGH = 45
"""Epochs after which 99 % of the wrong labels are fitted; after 20 it is 57 %, and memorization is low for that reason."""


def naive(source: Source, variant: Variant, learner: SubsetPlan) -> None:
    """The loop that everybody writes."""
    recipe = learner.plan.recipe
    inputs = Inputs(source.inputs, torch.device("cpu")).batch(slice(None))
    labels = torch.tensor(variant.labels)
    build = find("models", "mlp")
    for included in subsets(range(NAIVE_MODELS), len(labels), learner.fraction, seed=0):
        chosen = torch.tensor(np.flatnonzero(included))
        model: nn.Module = build(num_classes=10, input_shape=source.input_shape)
        optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
        batches = -(-len(chosen) // recipe.batch_size)
        for step in range(recipe.epochs * batches):
            if step % batches == 0:
                order = chosen[torch.randperm(len(chosen))].split(recipe.batch_size)
            batch = order[step % batches]
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, step, recipe.epochs * batches)
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()


def whole(source: Source, variant: Variant) -> tuple[float, float, Summary]:
    """Wall and processor seconds from the call of ``retrain`` to the estimate, and what it found."""
    plan = plan_run(source, model="mlp", recipe="overfit", epochs=ENOUGH, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        began, before = time.perf_counter(), processor_seconds()
        done = retrain(source, variant, SubsetPlan(plan), folder, models=MODELS, machine=Machine(workers=2))
        pool = read_pool(Path(folder), variant)
        truth = estimate_memorization(pool, variant)
        seconds = time.perf_counter() - began
        spent = processor_seconds() - before
        return seconds, spent, summarise(truth, pool, variant, models_per_second=done.models_per_second)


def measure() -> list[Row]:
    """The ratio per model, and the whole pool alone."""
    source = load_source("digits")
    variant = build_variant(source, Symmetric(0.2), seed=0)
    learner = SubsetPlan(plan_run(source, model="mlp", recipe="overfit", epochs=20, device="cpu"))

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            retrain(source, variant, learner, folder, models=BLOCK)

    found = medians({"ours": ours, "naive": lambda: naive(source, variant, learner)}, REPEATS)
    seconds, spent, summary = whole(source, variant)
    print(summary)
    return [
        faster("one model of 20 epochs", found["ours"] / BLOCK, found["naive"] / NAIVE_MODELS, REPEATS),
        Row(f"{MODELS:,} models of {ENOUGH} epochs, two processes, wall", seconds, None, None, "", 1),
        Row("the same, processor time of all processes", spent, None, None, "", 1),
    ]


if __name__ == "__main__":
    report(measure)
