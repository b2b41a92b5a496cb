"""Probes of the last layer, against autograd one sample at a time and explicit Kronecker products."""

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find
from noisybench.training.asking import Batch
from noisybench.training.observing import observe
from noisybench.training.probe import Gathering
from noisybench.training.probes.self_influence import _say_that_rates_are_unknown
from noisybench.training.recorder import Recorder

NAMES = ("gradient_norm", "self_influence", "self_influence_kronecker")


def network(*, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Softplus(), nn.Linear(5, 3, bias=bias))


def samples(n: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.randn(n, 6, generator=generator), torch.randint(3, (n,), generator=generator)


def last_gradients(model: nn.Sequential, inputs: Tensor, labels: Tensor) -> Tensor:
    """Gradient of each sample's loss in weight and bias of the last layer, by autograd: (n, k · d + k)."""
    rows = []
    for x, y in zip(inputs, labels, strict=True):
        loss = F.cross_entropy(model(x[None]), y[None])
        parts = torch.autograd.grad(loss, list(model[-1].parameters()))
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def test_gradient_norm_is_that_of_autograd() -> None:
    """The closed form is the length of the gradient in weight and bias."""
    model, (inputs, labels) = network(), samples()
    expected = last_gradients(model, inputs, labels).norm(dim=1)
    torch.testing.assert_close(find("probes", "gradient_norm")(Batch(model, inputs, labels)), expected)


def test_a_layer_without_bias_is_taken_as_one_of_bias_zero() -> None:
    """So that models with and without one are asked the same."""
    model, (inputs, labels) = network(bias=False), samples()
    with_bias = network()
    with_bias[-1] = nn.Linear(5, 3)
    with_bias.load_state_dict({**model.state_dict(), "2.bias": torch.zeros(3)})
    expected = last_gradients(with_bias, inputs, labels).norm(dim=1)
    torch.testing.assert_close(find("probes", "gradient_norm")(Batch(model, inputs, labels)), expected)


def test_self_influence_is_that_of_autograd_over_checkpoints() -> None:
    """Rate times squared gradient norm, added up over the epochs of a training whose rate falls."""
    model, (inputs, labels) = network(), samples()
    recorder = Recorder(labels.numpy(), ["self_influence"], num_classes=3)
    expected = torch.zeros(len(labels))
    for epoch, rate in enumerate((0.5, 0.2, 0.05), start=1):
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        recorder.observe(model, inputs, epoch=epoch, learning_rate=rate)
        expected += rate * last_gradients(model, inputs, labels).square().sum(1)
    found = find("detectors", "self_influence").score(recorder.trace())
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_an_unknown_rate_is_one_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Outside a training of ours nobody may have said it."""
    _say_that_rates_are_unknown.cache_clear()
    model, (inputs, labels) = network(), samples()
    with caplog.at_level(logging.WARNING, "noisybench"):
        values = [find("probes", "self_influence")(Batch(model, inputs, labels)) for _ in range(2)]
    torch.testing.assert_close(values[1], find("probes", "gradient_norm")(Batch(model, inputs, labels)).square())
    assert caplog.text.count("weighs every epoch alike: give learning_rate= to observe") == 1


def test_the_kronecker_form_is_that_of_the_explicit_matrix() -> None:
    """gᵀ(A ⊗ G + λI)⁻¹g with gradients by autograd, G the mean Hessian at the logits, and the whole matrix inverted."""
    model, (inputs, labels) = network().double(), samples()
    inputs = inputs.double()
    with torch.no_grad():
        features = torch.cat([model[:-1](inputs), torch.ones(len(inputs), 1)], 1)
        logits = model(inputs)
    hessians = [torch.autograd.functional.hessian(lambda z: F.cross_entropy(z, labels[0]), z) for z in logits]
    curvature = torch.kron(torch.stack(hessians).mean(0), features.T @ features / len(inputs))
    damped = curvature + 0.1 * curvature.trace() / len(curvature) * torch.eye(len(curvature))
    gradients = last_gradients(model, inputs, labels)
    weights, biases = gradients[:, :15].view(-1, 3, 5), gradients[:, 15:, None]
    rows = torch.cat([weights, biases], 2).flatten(1)  # in the order of the product
    expected = torch.einsum("ij,ij->i", rows, torch.linalg.solve(damped, rows.T).T)
    probe = find("probes", "self_influence_kronecker")
    assert isinstance(probe, Gathering)
    found, memory = probe.gather(probe(Batch(model, inputs, labels)), labels, None)
    assert memory is None
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("lead", [20.0, 40.0])
def test_well_fitted_samples_keep_their_order(lead: float) -> None:
    """A gradient is not rounded to zero where the label leads by far."""
    model = nn.Linear(2, 3, bias=False)
    model.weight.data = torch.tensor([[lead, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    inputs, labels = torch.tensor([[1.0, 0.0], [1.05, 0.0]]), torch.tensor([0, 0])
    worse, better = find("probes", "gradient_norm")(Batch(model, inputs, labels)).tolist()
    assert worse > better > 0


def test_they_cost_no_pass() -> None:
    """All of them share the one that gives the logits, also where it is asked of none but them."""
    model, (inputs, labels) = network(), samples(40)
    seen: list[int] = []
    model.register_forward_hook(lambda _model, given, _logits: seen.append(len(given[0])))
    asked = [find("probes", name) for name in ("loss", *NAMES[:2])]
    seconds: dict[str, float] = {}
    observe(model, inputs, labels, asked, epoch=1, batch_size=16, learning_rate=0.1, seconds=seconds)
    assert seen == [16, 16, 8]
    assert {"logits", *NAMES[:2]} == set(seconds)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_a_last_linear_layer_is_refused(name: str) -> None:
    """In the words of the batch."""
    model, (inputs, labels) = nn.Sequential(network(), nn.LogSoftmax(1)), samples()
    with pytest.raises(BadUsage, match="the logits of Sequential are not what an nn.Linear of it gives"):
        find("probes", name)(Batch(model, inputs, labels))
