"""Probes of gradients beside curvature, against autograd sample by sample and loops from the formulas."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find
from noisybench.training.asking import Batch
from noisybench.training.observing import observe
from noisybench.training.probe import Gathering, Probe, passes_of
from noisybench.training.probes._directions import signs
from noisybench.training.probes.curvature import Curvature
from noisybench.training.probes.curvature_zeroth import ZerothOrderCurvature
from noisybench.training.probes.gauss_newton_trace import GaussNewtonTrace
from noisybench.training.probes.variance_of_gradients import VarianceOfGradients, pixels_followed

PROBES = ("input_gradient_norm", "curvature_zeroth", "curvature_exact", "gauss_newton_trace", "variance_of_gradients")


def smooth(features: int = 6, classes: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(features, 16), nn.Tanh(), nn.Linear(16, 12), nn.Softplus(), nn.Linear(12, classes)
    ).double()
    for parameter in model.parameters():
        parameter.data.mul_(2)
    return model


def sample(n: int, features: int = 6, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(n, features, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(classes, (n,), generator=generator)


def loss_gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    at = x.detach().clone().requires_grad_()
    loss = F.cross_entropy(model(at[None]), y[None])
    return torch.autograd.grad(loss, at)[0]


def test_input_gradient_is_that_of_each_sample() -> None:
    """By autograd, one sample at a time."""
    model, (inputs, labels) = smooth(), sample(30)
    batch = Batch(model, inputs, labels)
    expected = torch.stack([loss_gradient(model, x, y) for x, y in zip(inputs, labels, strict=True)])
    torch.testing.assert_close(batch.input_gradient, expected)
    torch.testing.assert_close(find("probes", "input_gradient_norm")(batch), expected.norm(dim=1))


def test_gauss_newton_is_the_hessian_less_the_curvature_of_the_logits() -> None:
    """Trace of the full Hessian of the loss, by double backward, less Σ_k (p_k - [k = y]) tr ∇²z_k; no label is in it."""
    model, (inputs, labels) = smooth(), sample(20)

    def trace_of(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        hessian: Tensor = torch.func.hessian(function)(x).detach()
        return hessian.diagonal(dim1=-2, dim2=-1).sum(-1)

    expected = []
    for x, y in zip(inputs, labels, strict=True):

        def loss(at: Tensor, y: Tensor = y) -> Tensor:
            return F.cross_entropy(model(at), y)

        whole = trace_of(loss, x)
        errors = model(x).softmax(0).detach() - F.one_hot(y, 4)
        expected.append(whole - errors @ trace_of(model, x))
    found = GaussNewtonTrace()(Batch(model, inputs, labels))
    torch.testing.assert_close(found, torch.stack(expected))
    assert torch.equal(found, GaussNewtonTrace()(Batch(model, inputs, (labels + 1) % 4)))


def test_gauss_newton_keeps_its_digits_where_the_model_is_sure() -> None:
    """In float32 with p within 1e-6 of 1, it is that of float64 within a thousandth: Σp‖g‖² - ‖Σpg‖² has no digit left."""
    model, (inputs, labels) = smooth(), sample(40)
    model[4].weight.data.mul_(40)  # type: ignore[operator]  # torch's modules are untyped
    exact = GaussNewtonTrace()(Batch(model, inputs, labels))
    sure = 1 - model(inputs).softmax(1).amax(1) < 1e-6
    assert sure.sum() > 5
    found = GaussNewtonTrace()(Batch(model.float(), inputs.float(), labels))
    torch.testing.assert_close(found.double()[sure], exact[sure], rtol=1e-3, atol=0)


def test_gauss_newton_is_the_trace_of_the_hessian_of_a_relu_network() -> None:
    """Wherever it exists: the expectation over directions of vᵀHv, here exact over all 2^4 sign vectors, at a tiny step."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3)).double()
    inputs, labels = sample(10, 4, 3)
    values = []
    for signs_of in itertools.product([-1.0, 1.0], repeat=4):
        v = torch.tensor(signs_of, dtype=torch.float64)
        moved, here = (Batch(model, x, labels).input_gradient for x in (inputs + 1e-7 * v, inputs))
        values.append(((moved - here) / 1e-7) @ v)
    torch.testing.assert_close(
        GaussNewtonTrace()(Batch(model, inputs, labels)), torch.stack(values).mean(0), rtol=1e-5, atol=1e-6
    )


def test_zeroth_order_is_its_formula() -> None:
    """A loop over samples, repeats and the four corners; and on a smooth model |vᵀHu| / step for the step tending to 0."""
    model, (inputs, labels) = smooth(), sample(12)
    batch = Batch(model, inputs, labels, seed=4)
    probe = ZerothOrderCurvature(repeats=3, step=0.2)
    directions = [(signs(batch, 2 * r, probe.name), signs(batch, 2 * r + 1, probe.name)) for r in range(3)]
    expected = []
    for i, (x, y) in enumerate(zip(inputs, labels, strict=True)):

        def loss(at: Tensor, y: Tensor = y) -> float:
            return float(-model(at).detach().log_softmax(0)[y])

        found = 0.0
        for all_v, all_u in directions:
            v, u = 0.2 * all_v[i], 0.2 * all_u[i]
            found += abs(loss(x + v + u) - loss(x - v + u) - loss(x + v - u) + loss(x - v - u)) / (4 * 0.2)
        expected.append(found / 3)
    np.testing.assert_allclose(probe(batch).tolist(), expected, rtol=1e-9)
    short = ZerothOrderCurvature(repeats=3, step=1e-4)
    second = [
        np.mean([abs(float(all_v[i] @ hessian @ all_u[i])) for all_v, all_u in directions])
        for i, hessian in enumerate(
            torch.func.hessian(lambda at, y=y: F.cross_entropy(model(at), y))(x).detach()
            for x, y in zip(inputs, labels, strict=True)
        )
    ]
    np.testing.assert_allclose(short(batch).numpy() / 1e-4, second, rtol=1e-4, atol=1e-6)


def brute_variance(gradients: Sequence[Tensor], labels: Tensor) -> list[float]:
    """VoG by its formula: (e) tensors (n, m) → z-scores within the class."""
    stacked = torch.stack(list(gradients)).double()
    deviation = ((stacked - stacked.mean(0)).square().sum(0) / len(stacked)).sqrt().mean(1).tolist()
    scores = []
    for value, label in zip(deviation, labels.tolist(), strict=True):
        own = [other for other, theirs in zip(deviation, labels.tolist(), strict=True) if theirs == label]
        spread = float(np.std(own))
        scores.append((value - float(np.mean(own))) / spread if spread else 0.0)
    return scores


def test_variance_of_gradients_is_that_of_a_loop() -> None:
    """Five epochs of a model that moves: gradients of one logit at a time by autograd, then the formula."""
    model, (inputs, labels) = smooth(), sample(40)
    probe = VarianceOfGradients()
    assert isinstance(probe, Gathering)
    memory, column, seen = None, torch.zeros(0), []
    for epoch in range(5):
        torch.manual_seed(epoch)
        for parameter in model.parameters():
            parameter.data.add_(0.2 * torch.randn_like(parameter))
        rows = []
        for x, y in zip(inputs, labels, strict=True):
            at = x.clone().requires_grad_()
            rows.append(torch.autograd.grad(model(at)[y], at)[0])
        seen.append(torch.stack(rows))
        column, memory = probe.gather(probe(Batch(model, inputs, labels)), labels, memory)
    np.testing.assert_allclose(column.tolist(), brute_variance(seen, labels), rtol=1e-8, atol=1e-10)
    assert memory is not None
    assert memory.shape == (40, 13)


def test_variance_of_gradients_where_there_is_none() -> None:
    """One epoch, or a class of one sample, has no spread: 0, and no division by it."""
    labels = torch.tensor([0, 0, 0, 1])
    values = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    column, memory = VarianceOfGradients().gather(values, labels, None)
    assert column.tolist() == [0] * 4
    column, _ = VarianceOfGradients().gather(values.flip(0), labels, memory)
    assert column[3] == 0
    assert torch.isfinite(column).all()


def test_of_large_inputs_some_pixels_are_followed() -> None:
    """256, the same each time, spread over the input and different; all of a small one."""
    chosen = pixels_followed(3 * 32 * 32)
    assert len(set(chosen.tolist())) == 256
    assert np.array_equal(chosen, pixels_followed(3 * 32 * 32))
    assert (np.histogram(chosen, bins=8, range=(0, 3072))[0] > 16).all()
    assert pixels_followed(64).tolist() == list(range(64))
    model = nn.Sequential(nn.Flatten(), nn.Linear(300, 3))
    inputs, labels = torch.randn(5, 3, 10, 10), torch.arange(5) % 3
    found = VarianceOfGradients()(Batch(model, inputs.to(memory_format=torch.channels_last), labels))
    assert torch.equal(found, next(model[1].parameters()).detach()[labels][:, pixels_followed(300)])


@pytest.mark.parametrize("name", PROBES)
def test_no_value_depends_on_the_batch(name: str) -> None:
    """Nor on the parts that a CPU differentiates at a time, here of 16 images of 64 × 64."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(900, 3)).double().eval()
    inputs, labels = torch.randn(40, 3, 64, 64, dtype=torch.float64), torch.arange(40) % 3
    probe: Probe = find("probes", name)

    def values(size: int) -> Tensor:
        parts = range(0, 40, size)
        return torch.cat(
            [probe(Batch(model, inputs[at : at + size], labels[at : at + size], start=at)) for at in parts]
        )

    for size in (1, 7):
        torch.testing.assert_close(values(size), values(40), rtol=1e-7, atol=1e-12)


def test_probes_of_one_epoch_share_the_base_gradient() -> None:
    """It is computed once, its time is told under its own name, and no value depends on who else was asked."""
    model, (inputs, labels) = smooth(), sample(20)
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    together = [find("probes", name) for name in ("curvature", "input_gradient_norm", "gauss_newton_trace")]
    seconds: dict[str, float] = {}
    seen = observe(model, inputs, labels, together, epoch=1, seconds=seconds).values
    assert len(calls) == 1 + 4 + 1  # the logits' shape, curvature with the norm, the trace
    assert set(seconds) == {"logits", "input_gradient", "curvature", "input_gradient_norm", "gauss_newton_trace"}
    assert min(seconds.values()) >= 0
    for probe in together:
        alone = observe(model, inputs, labels, [probe], epoch=1).values[probe.name]
        assert np.array_equal(alone, seen[probe.name])


def test_costs_are_told() -> None:
    """Passes an observation: forward and backward together, forward alone, or a further backward for each class."""
    told = {name: passes_of(find("probes", name), 10) for name in (*PROBES, "curvature")}
    assert told == {
        "input_gradient_norm": 1,
        "curvature_zeroth": 40,
        "curvature_exact": 8.5,
        "gauss_newton_trace": 10,
        "variance_of_gradients": 1,
        "curvature": Curvature().draws + 1,
    }
    backward: list[int] = []
    model, (inputs, labels) = smooth(), sample(5)
    model[0].register_full_backward_hook(lambda *_: backward.append(1))
    GaussNewtonTrace()(Batch(model, inputs, labels))
    assert len(backward) == 4


@pytest.mark.parametrize(("repeats", "step"), [(0, 0.1), (1, 0.0), (1, float("nan"))])
def test_options_that_cannot_be_meant(repeats: int, step: float) -> None:
    """The error names the values."""
    with pytest.raises(BadUsage, match="needs a repeat and a positive step"):
        ZerothOrderCurvature(repeats, step)
