"""Optimisers: every step against torch's own class of that optimiser, bit for bit; and what a training imports."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noisybench.training.checkpoint import state_of
from noisybench.training.optimizers import optimizer_of
from noisybench.training.recipe import Recipe


def network() -> nn.Sequential:
    """A channels-last network with a branch that has no part in the loss, and so no gradient."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 5))
    model.add_module("aside", nn.Linear(2, 2))
    model.requires_grad_(requires_grad=True)
    return model.to(memory_format=torch.channels_last)


def loss(model: nn.Sequential, step: int) -> Tensor:
    """Of a batch that belongs to the step; the last linear layer has no part in it."""
    inputs = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(step))
    return nn.functional.cross_entropy(model[:4](inputs), torch.arange(6) % 5)


def theirs(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Torch's class of the recipe's optimiser."""
    told: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), betas=(recipe.momentum, 0.999), eps=1e-8, **told)
    return torch.optim.SGD(model.parameters(), momentum=recipe.momentum, nesterov=recipe.momentum > 0, **told)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.9, 0.0), (0.0, 5e-4), (0.0, 0.0)])
def test_steps_are_those_of_torchs_classes_bit_for_bit(optimizer: Any, momentum: float, decay: float) -> None:  # noqa: ANN401
    """Weights and all that is kept, over steps of changing rates; a parameter without a gradient keeps nothing."""
    recipe = Recipe(optimizer=optimizer, lr=0.05, momentum=momentum, weight_decay=decay)
    one, other = network(), network()
    own, reference = optimizer_of(one.parameters(), recipe), theirs(recipe, other)
    for step in range(5):
        own.lr = reference.param_groups[0]["lr"] = 0.05 / (1 + step)
        for model, taker in ((one, own), (other, reference)):
            taker.zero_grad()
            loss(model, step).backward()
            taker.step()
    for mine, torchs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, torchs)
        assert mine.stride() == torchs.stride()
    kept = {
        f"{k}.{name}": value
        for k, state in reference.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }
    assert state_of(own).keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in state_of(own).items())


CHILD = """
import sys
import numpy as np
from noisybench import build_variant, find
from noisybench.data.source import source_from_arrays
from noisybench.training.recipe import Recipe
from noisybench.training.training import train
source = source_from_arrays("own", np.random.default_rng(0).random((40, 8), dtype=np.float32), np.arange(40) % 4)
variant = build_variant(source, find("noises", "symmetric")(rate=0.2))
for optimizer in ("sgd", "adamw"):
    recipe = Recipe(epochs=1, batch_size=20, optimizer=optimizer, lr=0.001)
    train(source, variant, find("models", "mlp"), recipe, [find("probes", "curvature")], seed=0)
print(*sorted({"torch._dynamo", "torch._inductor", "sympy"} & {*sys.modules}))
"""


def test_no_training_imports_the_compiler_of_torch() -> None:
    """A process that trains and observes by either optimiser has not paid for ``torch._dynamo``."""
    done = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
