"""Curvature by the exact Hessian, against whole Hessians by autograd in float64 and against finite differences."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.autograd.functional import jacobian as jacobian_of
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from noisybench.board.curvature_steps import steps_in_words
from noisybench.data.source import source_from_arrays
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find
from noisybench.runs.detector_choice import choose_detectors
from noisybench.training.asking import Batch
from noisybench.training.model import check_model
from noisybench.training.plan import Watch
from noisybench.training.probes import curvature_exact
from noisybench.training.probes._directions import signs
from noisybench.training.probes.curvature import Curvature
from noisybench.training.probes.curvature_exact import ExactCurvature

FEATURES, CLASSES = 4, 3
EVERY_DIRECTION = torch.tensor([*itertools.product([-1.0, 1.0], repeat=FEATURES)], dtype=torch.float64)


def network(activation: type[nn.Module] = nn.SiLU) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(FEATURES, 16), activation(), nn.Linear(16, 12), activation(), nn.Linear(12, CLASSES)
    )
    for parameter in model.parameters():
        parameter.data.mul_(2)
    return model.double()


def samples(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, FEATURES, generator=generator, dtype=torch.float64), torch.arange(n) % CLASSES


def hessians(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """The Hessian of each sample's own loss, one sample at a time, shape (n, d, d)."""
    return torch.stack(
        [
            torch.as_tensor(hessian(lambda at, y=y: F.cross_entropy(model(at[None]), y[None]), x))
            for x, y in zip(inputs, labels, strict=True)
        ]
    )


@pytest.mark.parametrize("power", [1, 2])
def test_it_is_the_mean_over_its_own_directions(power: int) -> None:
    """Of ‖Hv‖ or its square, with whole Hessians and the directions that ``curvature`` takes."""
    model, (inputs, labels) = network(), samples(12)
    batch = Batch(model, inputs, labels, start=5, seed=3)
    whole = hessians(model, inputs, labels)
    drawn = [torch.einsum("nij,nj->ni", whole, signs(batch, draw)).norm(dim=1) ** power for draw in range(4)]
    torch.testing.assert_close(ExactCurvature(4, power)(batch), torch.stack(drawn).mean(0), rtol=1e-9, atol=1e-12)


def test_over_all_directions_it_is_the_trace_of_the_squared_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the 2^4 sign vectors once: tr H² with the squared norm; with the norm no more than its root, by Jensen."""
    model, (inputs, labels) = network(), samples(12)
    monkeypatch.setattr(
        curvature_exact, "signs", lambda batch, draw: EVERY_DIRECTION[draw].expand(len(batch.inputs), FEATURES)
    )
    whole, batch = hessians(model, inputs, labels), Batch(model, inputs, labels)
    squared = ExactCurvature(len(EVERY_DIRECTION), 2)(batch)
    torch.testing.assert_close(squared, (whole @ whole).diagonal(dim1=1, dim2=2).sum(1), rtol=1e-9, atol=1e-12)
    mean = ExactCurvature(len(EVERY_DIRECTION))(batch)
    torch.testing.assert_close(mean, (EVERY_DIRECTION @ whole).norm(dim=2).mean(1), rtol=1e-9, atol=1e-12)
    assert (mean <= squared.sqrt() + 1e-12).all()


def test_curvature_tends_to_it_on_a_smooth_model() -> None:
    """As the step gets short, sample by sample, because the directions are the same; a step of 0.1 is not short."""
    batch = Batch(network(), *samples(20), seed=9)
    exact = ExactCurvature()(batch)
    torch.testing.assert_close(Curvature(step=1e-5)(batch), exact, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(Curvature()(batch), exact, rtol=1e-2, atol=1e-6)


def test_of_a_relu_network_it_does_not_contain_the_label() -> None:
    """It is ‖Gv‖ with G = Jᵀ(diag p - ppᵀ)J; on a smooth model the label is in it."""
    inputs, labels = samples(15)
    for activation, has_label in ((nn.ReLU, False), (nn.SiLU, True)):
        model = network(activation)
        found = [ExactCurvature()(Batch(model, inputs, (labels + more) % CLASSES)) for more in range(CLASSES)]
        assert all(torch.allclose(found[0], other, rtol=1e-9, atol=1e-12) for other in found) != has_label
        if has_label:
            continue
        jacobian = torch.stack([torch.as_tensor(jacobian_of(model, x)) for x in inputs])
        p = model(inputs).softmax(1).detach()
        inner = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        gauss_newton = jacobian.transpose(1, 2) @ inner @ jacobian
        batch = Batch(model, inputs, labels)
        drawn = [torch.einsum("nij,nj->ni", gauss_newton, signs(batch, draw)).norm(dim=1) for draw in range(3)]
        torch.testing.assert_close(found[0], torch.stack(drawn).mean(0), rtol=1e-9, atol=1e-12)


class Attention(nn.Module):
    """One that calls torch's own attention, whose fast kernels have no second derivative."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.view(len(x), 1, FEATURES, 1).expand(-1, -1, -1, 8).contiguous()
        return F.scaled_dot_product_attention(tokens, tokens.sin(), tokens)[:, 0, :CLASSES].mean(2)


class FastAttention(Attention):
    """One that insists on such a kernel."""

    def forward(self, x: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return super().forward(x)


def test_attention_has_a_second_derivative() -> None:
    """By the kernel that has one, to what finite differences give."""
    inputs, labels = samples(6)
    batch = Batch(Attention(), inputs, labels)
    torch.testing.assert_close(ExactCurvature()(batch), Curvature(step=1e-5)(batch), rtol=1e-3, atol=1e-6)


def test_a_model_without_a_second_derivative_is_refused() -> None:
    """In a sentence that says what to do."""
    with pytest.raises(BadUsage, match=r"can be differentiated twice \(derivative for .*\); leave it out"):
        ExactCurvature()(Batch(FastAttention(), *samples(3)))


def fast(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(input_shape[0], FEATURES), FastAttention(), nn.Linear(CLASSES, num_classes)
    )


def slow(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(input_shape[0], FEATURES), Attention(), nn.Linear(CLASSES, num_classes)
    )


def test_that_is_seen_before_a_training() -> None:
    """So that a set of detectors goes on without it."""
    inputs, labels = samples(6)
    source = source_from_arrays("own", inputs.float().numpy(), labels.numpy())
    refused = check_model(fast, source, [ExactCurvature(), Curvature()])
    assert [*refused] == ["curvature_exact"]
    assert "leave it out" in refused["curvature_exact"]
    assert check_model(slow, source, [ExactCurvature(), Curvature()]) == {}


def test_options_and_sets() -> None:
    """Draws and power are those of ``curvature``; it is asked for by its name, or with all detectors."""
    assert Watch(curvature_draws=7, curvature_power=2).probe("curvature_exact") == ExactCurvature(7, 2)
    for draws, power in ((0, 1), (1, 3)):
        with pytest.raises(BadUsage, match="needs a draw, and a power of 1 or 2"):
            ExactCurvature(draws, power)
    assert "exact_curvature" not in choose_detectors("standard")
    assert find("detectors", "exact_curvature").smallest_set == "all"


class Row:
    """Of a table, as far as the words about steps read it."""

    curvature_step = activation_change = float("nan")

    def __init__(self, detector: str) -> None:
        self.detector = detector


def test_a_table_says_that_it_takes_no_step() -> None:
    """And what it is on models with kinks; a table without it says nothing."""
    assert "exact_curvature takes no step: of a ReLU" in steps_in_words([Row("exact_curvature")], lambda _: "")
    assert steps_in_words([Row("aum")], lambda _: "") == ""
