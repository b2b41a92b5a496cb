"""Susceptibility against the definition written out with a deep copy."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from noisybench.data.source import Source
from noisybench.items import find
from noisybench.training.optimizers import optimizer_of
from noisybench.training.recipe import Recipe
from noisybench.training.susceptibility import Susceptibility, drop_of_fresh_step, drop_of_training_step
from noisybench.training.training import train
from noisybench.variants.building import build_variant


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(216, 5)
    )
    net(torch.randn(32, 3, 8, 8))
    return net


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_fresh_step_equals_a_step_of_a_deep_copy(model: nn.Module) -> None:
    """The drop is that of torch's SGD on a copy in eval mode; the model itself is bit-equal and in its old modes."""
    inputs, labels = torch.randn(300, 3, 8, 8), torch.randint(5, (300,))
    twin = copy.deepcopy(model).eval()
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.3)
    before = F.cross_entropy(twin(inputs), labels)
    before.backward()
    optimizer.step()
    expected = before.item() - F.cross_entropy(twin(inputs), labels).item()
    kept = state(model)
    assert drop_of_fresh_step(model, inputs, labels, lr=0.3) == pytest.approx(expected, rel=1e-4)
    assert all(torch.equal(value, kept[name]) for name, value in state(model).items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_authors_step_equals_their_code_on_a_deep_copy(model: nn.Module) -> None:
    """Train mode, momentum, weight decay and current rate: the training optimiser's own step, then undone bit for bit."""
    optimizer = optimizer_of(model.parameters(), Recipe(lr=0.1, momentum=0.9, weight_decay=5e-4))
    for _ in range(3):  # fill the momentum
        optimizer.zero_grad()
        F.cross_entropy(model(torch.randn(32, 3, 8, 8)), torch.randint(5, (32,))).backward()
        optimizer.step()
    inputs, labels = torch.randn(64, 3, 8, 8), torch.randint(5, (64,))
    twin = copy.deepcopy(model)
    step = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    groups = step.state_dict()["param_groups"]
    step.load_state_dict({"state": copy.deepcopy(optimizer.state), "param_groups": groups})
    torch.manual_seed(7)
    before = F.cross_entropy(twin(inputs), labels)
    step.zero_grad()
    before.backward()
    step.step()
    expected = before.item() - F.cross_entropy(twin(inputs), labels).item()
    kept, momentum = state(model), copy.deepcopy(optimizer.state)
    assert drop_of_training_step(model, optimizer, inputs, labels, seed=7) == pytest.approx(expected, rel=1e-5)
    assert all(torch.equal(value, kept[name]) for name, value in state(model).items())
    for old, new in zip(momentum.values(), optimizer.state.values(), strict=True):
        assert torch.equal(old["momentum_buffer"], new["momentum_buffer"])


def test_zero_at_a_rate_of_zero(digits: Source) -> None:
    """A step of size zero changes no loss, whatever the training did."""
    variant = build_variant(digits, find("noises", "symmetric")(rate=0.2), seed=0)
    done = train(
        digits, variant, find("models", "mlp"), Recipe(epochs=2), [], seed=0, susceptibility=Susceptibility(lr=0.0)
    )
    assert done.history["susceptibility"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", ["fixed", "authors"])
def test_the_running_mean_follows_its_formula(digits: Source, kind: str) -> None:
    """``fixed`` averages all drops; ``authors`` leaves the first out and still divides by t."""
    variant = build_variant(digits, find("noises", "symmetric")(rate=0.2), seed=0)
    how = Susceptibility(kind)  # type: ignore[arg-type]
    done = train(digits, variant, find("models", "mlp"), Recipe(epochs=4), [], seed=0, susceptibility=how)
    drops, epochs = done.history["susceptibility_drop"].copy(), np.arange(1, 5)
    if kind == "authors":
        drops[0] = 0.0
    np.testing.assert_allclose(done.history["susceptibility"], np.cumsum(drops) / epochs)
    assert (done.history["susceptibility_drop"] != 0).all()
