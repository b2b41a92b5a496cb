"""Curvature, against exact Hessians of smooth models."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage
from noisybench.training.activations import States, states_noted, turned
from noisybench.training.asking import Batch
from noisybench.training.observing import observe
from noisybench.training.probes._directions import signs as signs_of
from noisybench.training.probes.curvature import Curvature


def softplus_mlp(features: int = 6, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 16), nn.Softplus(), nn.Linear(16, classes))


def sample(n: int, features: int = 6, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.randn(n, features, generator=generator), torch.randint(classes, (n,), generator=generator)


def in_batches(probe: Curvature, model: nn.Module, inputs: Tensor, labels: Tensor, sizes: Sequence[int]) -> Tensor:
    starts = [0, *itertools.accumulate(sizes)]
    return torch.cat(
        [
            probe(Batch(model, inputs[start:stop], labels[start:stop], start=start))
            for start, stop in itertools.pairwise(starts)
        ]
    )


def hessians(inputs: Tensor, labels: Tensor) -> list[Tensor]:
    """The exact Hessian of each sample's loss in the input, by double backward in double precision."""
    model: Any = softplus_mlp().double()  # torch.func is untyped
    return [
        torch.func.hessian(lambda at, y=y: F.cross_entropy(model(at), y))(x).detach()
        for x, y in zip(inputs.double(), labels, strict=True)
    ]


@pytest.mark.parametrize("power", [1, 2])
def test_each_draw_is_the_exact_hessian_times_its_direction(power: int) -> None:
    """In float32, the norms are those of Hv for the very directions drawn, within 1 %."""
    inputs, labels = sample(20)
    batch = Batch(softplus_mlp(), inputs, labels, seed=5)
    directions = torch.stack([signs_of(batch, draw) for draw in range(8)], 1).double()
    products = directions @ torch.stack(hessians(inputs, labels))
    expected = products.norm(dim=2).pow(power).mean(1).float()
    torch.testing.assert_close(Curvature(draws=8, step=1e-3, power=power)(batch), expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("power", [1, 2])
def test_expectation_is_that_over_all_directions(power: int) -> None:
    """Over 50,000 draws the mean comes within 1 % of that over all 2^6 sign vectors; squared, it is the trace of H²."""
    inputs, labels = sample(3)
    vectors = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=6)), dtype=torch.float64)
    copies = 5000
    values = Curvature(draws=10, step=1e-3, power=power)(
        Batch(softplus_mlp(), inputs.repeat_interleave(copies, 0), labels.repeat_interleave(copies))
    )
    for value, hessian in zip(values.view(3, copies).mean(1).tolist(), hessians(inputs, labels), strict=True):
        expected = (vectors @ hessian).norm(dim=1).pow(power).mean().item()
        if power == 2:
            assert expected == pytest.approx(hessian.square().sum().item())
        assert value == pytest.approx(expected, rel=1e-2)


def test_known_hessian_needs_one_draw() -> None:
    """Two classes and one active coordinate of weight c: ‖Hv‖ = p (1 - p) c² for every v, in closed form."""
    weight = 1.5
    model = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        model.weight.zero_()
        model.weight[1, 2] = weight
    inputs = torch.linspace(-2, 2, 9)[:, None].repeat(1, 4)
    p = torch.sigmoid(weight * inputs[:, 2])
    for power in (1, 2):
        values = Curvature(draws=1, step=1e-3, power=power)(Batch(model, inputs, torch.arange(9) % 2))
        torch.testing.assert_close(values, (p * (1 - p) * weight**2) ** power, rtol=5e-3, atol=0)


def test_curvature_does_not_depend_on_the_batch() -> None:
    """Batches of any size give each sample the same value; the mean-reduced loss of the published code does not."""
    inputs, labels = sample(50)
    probe = Curvature(draws=4, step=1e-3)
    model = softplus_mlp().double()
    whole = in_batches(probe, model, inputs.double(), labels, [50])
    for sizes in ([1] * 50, [32, 18], [7] * 7 + [1]):
        torch.testing.assert_close(in_batches(probe, model, inputs.double(), labels, sizes), whole, rtol=1e-9, atol=0)
    single = softplus_mlp()
    torch.testing.assert_close(in_batches(probe, single, inputs, labels, [32, 18]), whole.float(), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("shape", [(5,), (3, 8, 8), (1, 17, 20)])
def test_directions_belong_to_the_sample(shape: tuple[int, ...]) -> None:
    """Signs are bit-equal in any split, fair, and differ between samples, draws and seeds."""
    inputs = torch.zeros(300, *shape)

    def signs(start: int, stop: int, draw: int = 0, seed: int = 7) -> Tensor:
        labels = torch.zeros(stop - start, dtype=torch.int64)
        return signs_of(Batch(nn.Identity(), inputs[start:stop], labels, start=start, seed=seed), draw)

    whole = signs(0, 300)
    assert torch.equal(torch.cat([signs(0, 1), signs(1, 120), signs(120, 300)]), whole)
    assert set(whole.flatten().tolist()) == {-1.0, 1.0}
    assert abs(whole.mean().item()) < 5 / whole.numel() ** 0.5
    assert not torch.equal(whole, signs(0, 300, draw=1))
    assert not torch.equal(whole, signs(0, 300, seed=8))
    if len(shape) > 1:
        assert len({tuple(row) for row in whole.flatten(1).tolist()}) == 300


def test_relu_and_batch_norm_are_left_as_they_were() -> None:
    """A model with kinks gives finite values that depend on the step; weights, buffers, .grad and generators stay."""
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 4)
    )
    model.eval()
    next(model.parameters()).grad = torch.ones(8, 3, 3, 3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    inputs, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 4
    given, state = inputs.clone(), torch.get_rng_state()
    values = Curvature(step=1e-3)(Batch(model, inputs, labels))
    assert values.shape == (6,)
    assert torch.isfinite(values).all()
    assert not torch.allclose(values, Curvature(step=0.1)(Batch(model, inputs, labels)), rtol=0.05)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [parameter.grad is None for parameter in model.parameters()] == [False] + [True] * 5
    assert torch.equal(inputs, given)
    assert not inputs.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_channels_last_and_no_grad_change_nothing() -> None:
    """Memory format is no part of the value, and a caller's no_grad does not stop the probe."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Softplus(), nn.Flatten(), nn.Linear(288, 4)).double()
    inputs, labels = torch.randn(6, 3, 8, 8, dtype=torch.float64), torch.arange(6) % 4
    plain = Curvature()(Batch(model, inputs, labels))
    with torch.no_grad():
        last = Curvature()(Batch(model, inputs.to(memory_format=torch.channels_last), labels))
    torch.testing.assert_close(last, plain, rtol=1e-8, atol=0)


def test_precision_is_full_within_and_as_before_after() -> None:
    """Inside a bfloat16 autocast the value is the float32 one; torch's precision switches are put back, also on error."""
    model = softplus_mlp()
    inputs, labels = sample(8)
    plain = Curvature()(Batch(model, inputs, labels))
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert model(inputs).dtype == torch.bfloat16
            assert torch.equal(Curvature()(Batch(model, inputs, labels)), plain)
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            Curvature()(Batch(model, inputs[:, :3], labels))
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def test_cost_is_told() -> None:
    """One gradient for each draw and one at the sample itself; logits alone do not suffice."""
    calls = []
    model = softplus_mlp()
    model.register_forward_hook(lambda *_: calls.append(1))
    inputs, labels = sample(3)
    probe = Curvature(draws=5)
    probe(Batch(model, inputs, labels))
    assert len(calls) == probe.passes == 6
    assert probe.gradient


def relu_network() -> nn.Sequential:
    torch.manual_seed(6)
    return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 4))


def test_a_short_step_on_a_relu_network_does_not_see_the_label() -> None:
    """Swapping every label changes nothing at a step of 1e-7, ranks included; a long step crosses kinks, which see it."""
    model, (inputs, labels) = relu_network().double(), sample(200, classes=4)
    others = (labels + 1) % 4

    def values(labels: Tensor, step: float) -> Tensor:
        return Curvature(step=step)(Batch(model, inputs.double(), labels))

    torch.testing.assert_close(values(others, 1e-7), values(labels, 1e-7), rtol=1e-5, atol=1e-7)
    assert spearmanr(values(others, 1e-7), values(labels, 1e-7)).statistic > 0.9999
    assert spearmanr(values(others, 0.3), values(labels, 0.3)).statistic < 0.99


@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0])
def test_the_share_of_changed_patterns_is_that_of_a_loop(step: float) -> None:
    """Of the draws, those at which some pre-activation changes its sign; beside the curvature, which it leaves alone."""
    model, (inputs, labels) = relu_network(), sample(60)
    batch = Batch(model, inputs, labels, seed=3)
    Curvature(draws=4, step=step)(batch)

    def pattern(x: Tensor) -> list[bool]:
        first = model[0](x)
        return [*(first > 0).tolist(), *(model[2](first.relu()) > 0).tolist()]

    moves = [inputs + step * signs_of(batch, draw) for draw in range(4)]
    expected = [
        sum(pattern(moved[i]) != pattern(inputs[i]) for moved in moves) / len(moves) for i in range(len(inputs))
    ]
    assert batch.beside["activation_change"].tolist() == pytest.approx(expected)
    seen = observe(model, inputs, labels, [Curvature(draws=4, step=step)], epoch=1, batch_size=7).values
    assert sorted(seen) == ["activation_change", "curvature"]
    assert seen["activation_change"].shape == (60,)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("switch", "inputs", "moved"),
    [
        (nn.ReLU(inplace=True), [-0.5, 0.5], [0.5, 0.5]),
        (nn.LeakyReLU(), [-0.5, 0.5], [0.5, 0.5]),
        (nn.ReLU6(), [5.9, 1.0], [6.1, 1.0]),
        (nn.Hardtanh(), [-1.1, 0.0], [-0.9, 0.0]),
    ],
)
def test_each_kind_of_switch_is_told(switch: nn.Module, inputs: list[float], moved: list[float]) -> None:
    """A unit that passes a kink has changed, one that does not has not."""
    assert states_differ(switch, [inputs, inputs], [moved, inputs]) == [True, False]


@pytest.mark.parametrize("pool", [nn.MaxPool1d(2), nn.AdaptiveMaxPool1d(1)])
def test_a_pool_changes_with_the_input_that_it_passes_on(pool: nn.Module) -> None:
    """Another greatest one counts, another value of the same does not."""
    before, after = [[[1.0, 2.0]], [[1.0, 2.0]]], [[[3.0, 2.0]], [[1.0, 5.0]]]
    assert states_differ(pool, before, after) == [True, False]


def states_differ(module: nn.Module, before: list[Any], after: list[Any]) -> list[bool] | None:
    found = []
    for values in (before, after):
        with states_noted(nn.Sequential(module), len(values)) as noted:
            module(torch.tensor(values))
        found.append([noted])
    crossed = turned(*found)
    return None if crossed is None else crossed.tolist()


class Functional(nn.Module):
    """A ReLU network whose activation is called as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.first(x)))


def test_what_no_module_switches_is_unknown() -> None:
    """A model whose activations are functions, or smooth, leaves no column: nobody knows, and 0 would be a claim."""
    inputs, labels = sample(10)
    for model in (Functional(), softplus_mlp()):
        assert [*observe(model, inputs, labels, [Curvature()], epoch=1).values] == ["curvature"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "at least one draw, got 0"),
        ({"step": 0.0}, "a positive step such as 0.1, got 0"),
        ({"step": float("nan")}, "got nan"),
        ({"power": 3}, r"must be 1 \(norm\) or 2 \(squared norm\), got 3"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    """The error names the value and what was expected."""
    with pytest.raises(BadUsage, match=message):
        Curvature(**options)


@pytest.mark.parametrize("kind", [torch.bool, torch.int8, torch.int64])
@pytest.mark.parametrize("shape", [(8,), (5,), (3, 4, 4), (3, 5, 1), (16, 1, 1), (2, 3, 4, 2)])
def test_units_that_differ_are_found_however_they_lie(kind: torch.dtype, shape: tuple[int, ...]) -> None:
    """A single unit of one sample, in plain order, channels-last, and once in each, against a comparison unit by unit."""
    generator = torch.Generator().manual_seed(0)
    one = torch.randint(2, (6, *shape), generator=generator).to(kind)
    other = one.clone()
    other[4].view(-1)[-1] = 1 - other[4].view(-1)[-1].to(torch.int8)
    other[1].view(-1)[0] = 1 - other[1].view(-1)[0].to(torch.int8)
    last = torch.channels_last if len(shape) == 3 else torch.preserve_format
    for before, after in (
        (one, other),
        (one.to(memory_format=last), other.to(memory_format=last)),
        (one.to(memory_format=last), other),
    ):
        found = turned([States(6, [before])], [States(6, [after])])
        assert found is not None
        assert found.tolist() == [False, True, False, False, True, False]
