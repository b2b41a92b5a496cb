"""Probes of the logits, against loops in double precision and identities."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.lookup import find, names
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe


def ask(name: str, logits: Tensor, labels: Tensor) -> Tensor:
    """The probe's answer where the model's output is ``logits``."""
    return find("probes", name)(Batch(nn.Identity(), logits, labels))


def probabilities(z: list[float]) -> list[float]:
    total = math.fsum(math.exp(value - max(z)) for value in z)
    return [math.exp(value - max(z)) / total for value in z]


REFERENCE: dict[str, Callable[[list[float], int], float]] = {
    "margin": lambda z, y: z[y] - max(value for k, value in enumerate(z) if k != y),
    "mean_margin": lambda z, y: z[y] - math.fsum(z) / len(z),
    "loss": lambda z, y: math.log1p(math.fsum(math.exp(value - z[y]) for k, value in enumerate(z) if k != y)),
    "correct": lambda z, y: float(z.index(max(z)) == y),
    "prediction": lambda z, y: float(z.index(max(z))),  # noqa: ARG005 - one signature for all
    "error_norm": lambda z, y: math.dist(probabilities(z), [float(k == y) for k in range(len(z))]),
    "entropy": lambda z, y: -math.fsum(p * math.log(p) for p in probabilities(z) if p),  # noqa: ARG005
}


def test_every_probe_of_logits_has_a_reference() -> None:
    """The table above covers each probe that asks for logits alone and gives one value a sample."""
    others = {"counterfactual_loss", "given", "mean_probabilities", "time_inconsistency"}  # in test_over_epochs.py
    assert set(REFERENCE) == {name for name in names("probes") if not find("probes", name).gradient} - others


@pytest.mark.parametrize("name", sorted(REFERENCE))
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_probe_equals_its_definition(name: str, scale: float) -> None:
    """Each value is that of a loop over samples and classes in double precision, ties and two classes included."""
    generator = torch.Generator().manual_seed(1)
    for classes in (2, 7):
        logits = scale * torch.randn(50, classes, generator=generator)
        logits[:5] = logits[:5].round() / 4  # tied logits: the first of equal ones is the prediction
        labels = torch.randint(classes, (50,), generator=generator)
        expected = [REFERENCE[name](z, y) for z, y in zip(logits.double().tolist(), labels.tolist(), strict=True)]
        np.testing.assert_allclose(ask(name, logits, labels), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "lead"), [("loss", 20.0), ("loss", 60.0), ("error_norm", 20.0), ("error_norm", 40.0)])
def test_well_fitted_samples_keep_their_order(name: str, lead: float) -> None:
    """Loss and error norm stay above zero where the label leads by far, and rank by the lead; cross-entropy is zero."""
    logits = torch.tensor([[lead, 0.0, -1.0], [lead + 1, 0.0, -1.0]])
    labels = torch.tensor([0, 0])
    assert F.cross_entropy(logits, labels) == 0
    worse, better = ask(name, logits, labels).tolist()
    assert worse > better > 0
    assert worse / better == pytest.approx(math.e, rel=1e-4)


def test_mean_margin_is_the_criterion_of_cores() -> None:
    """Mean logit minus the label's is the label's cross-entropy minus the mean over classes: the normaliser cancels."""
    logits = 3 * torch.randn(40, 6, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(40) % 6
    every = torch.stack([F.cross_entropy(logits, torch.full((40,), k), reduction="none") for k in range(6)], 1)
    sieve = F.cross_entropy(logits, labels, reduction="none") - every.mean(1)
    torch.testing.assert_close(-ask("mean_margin", logits, labels), sieve, rtol=1e-5, atol=1e-5)


def test_probes_of_logits_cost_no_pass() -> None:
    """Any number of logit probes shares one forward pass."""
    calls = []

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return x

    probes: list[Probe] = [find("probes", name) for name in REFERENCE]
    batch = Batch(Counting(), torch.randn(8, 3), torch.zeros(8, dtype=torch.int64))
    for probe in probes:
        probe(batch)
    assert calls == [8]
    assert all(probe.passes == 0 for probe in probes)
