"""Curvature of the loss around a sample, by finite differences of its input gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import derive
from noisybench.training.asking import Batch, ask
from noisybench.training.probe import Probe, When

POWERS = (1, 2)
WORD_BITS = 64
CPU_PART = 64 * 3 * 32 * 32
"""Floats differentiated at a time on a CPU, whose cache the activations then fit: 64 images of CIFAR took 0.80 to 0.96 of
the time of 128 in two runs. Values on small_cnn and mlp were bit-equal."""
FEWEST = 16  # samples differentiated at a time
WORDS_PER_COUNT = 4  # Philox gives its words by fours; a sample starts at a multiple of it


@dataclass(frozen=True, slots=True)
class Curvature:
    """Mean over random directions v of ‖∇L(x + step·v) - ∇L(x)‖^power / step^power: (b, ...) → (b,).

    v has entries ±1 and L is the cross-entropy of one sample, whatever the batch. On a smooth model this is the mean
    of ‖Hv‖^power, with H the Hessian of L in the input, in nats per squared unit of the model's input; with
    ``power=2`` its expectation is the trace of H². On ReLU and max-pooling models the step crosses kinks and the value
    depends on its length, so ``step`` is part of the definition there.

    Attributes:
        draws: Directions per sample.
        step: Length of the move along each coordinate, in units of the model's input.
        power: 1 as in the published code, 2 as in the paper.

    Raises:
        BadUsage: No draw, a step that is not positive, or another power.

    Source: Garg, Ravikumar and Roy 2024, arXiv:2307.05831; ten draws, step 1e-3. Their code does not divide by the
    step (a factor common to all samples) and averages the loss over the batch (a factor that is not: left out here).
    """

    draws: int = 10
    step: float = 1e-3
    power: int = 1

    def __post_init__(self) -> None:
        if self.draws < 1:
            msg = f"curvature needs at least one draw, got {self.draws}"
            raise BadUsage(msg)
        if not 0 < self.step < float("inf"):
            msg = f"curvature needs a positive step such as 1e-3, got {self.step:g}"
            raise BadUsage(msg)
        if self.power not in POWERS:
            msg = f"power of curvature must be 1 (norm) or 2 (squared norm), got {self.power}"
            raise BadUsage(msg)

    @property
    def name(self) -> str:
        return "curvature"

    @property
    def when(self) -> When:
        return "with_curvature"

    @property
    def passes(self) -> float:
        return self.draws + 1.0

    @property
    def gradient(self) -> bool:
        return True

    def __call__(self, batch: Batch) -> Tensor:
        with _full_precision(batch.inputs.device.type):
            here = _input_gradient(batch, batch.inputs)
            total = torch.zeros(len(batch.inputs), device=here.device, dtype=here.dtype)
            for draw in range(self.draws):
                moved = torch.add(batch.inputs, _signs(batch, draw), alpha=self.step)
                change = _input_gradient(batch, moved) - here
                total += change.flatten(1).norm(dim=1).div(self.step).pow(self.power)
        return total / self.draws


def _input_gradient(batch: Batch, inputs: Tensor) -> Tensor:
    """Gradient of each sample's own loss at ``inputs``, shape of ``inputs``; no parameter receives one."""
    part = max(FEWEST, CPU_PART // inputs[0].numel()) if inputs.device.type == "cpu" else len(inputs)
    gradients = []
    with torch.enable_grad():
        for x, y in zip(inputs.split(part), batch.labels.split(part), strict=True):
            at = x.detach().requires_grad_()
            # Summed, not averaged: in eval mode no sample's loss depends on another, so each row is its own gradient.
            loss = F.cross_entropy(ask(batch.model, at), y, reduction="sum")
            gradients.append(torch.autograd.grad(loss, at)[0])
    return torch.cat(gradients)


def _signs(batch: Batch, draw: int) -> Tensor:
    """Directions of ±1, shape and type of the inputs. Sample i's depends on the seed, the draw and i alone."""
    size = batch.inputs[0].numel()
    counts = -(-size // (WORD_BITS * WORDS_PER_COUNT))
    stream = np.random.Philox(key=derive(batch.seed, "curvature", draw), counter=batch.start * counts)
    words = stream.random_raw(len(batch.inputs) * counts * WORDS_PER_COUNT).astype("<u8")
    # One bit a coordinate: ten draws took 14 of 320 ms on 256 CIFAR images, a two-layer CNN and one CPU core.
    bits = np.unpackbits(words.view(np.uint8).reshape(len(batch.inputs), -1), axis=1, count=size)
    signs = torch.from_numpy(bits).to(batch.inputs.device).to(batch.inputs.dtype)
    return signs.mul_(2).sub_(1).view(batch.inputs.shape)


@contextmanager
def _full_precision(device: str) -> Iterator[None]:
    """No autocast, TF32 or bf16: a difference of two nearly equal gradients has no digits to spare."""
    backends: Any = torch.backends
    # torch 2.9 renamed the switches, and refuses to have the new ones read after the old ones were set.
    renamed = hasattr(backends.cuda.matmul, "fp32_precision")
    if renamed:
        holders = [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]
    else:
        holders = [backends.cuda.matmul, backends.cudnn]
    switch, exact = ("fp32_precision", "ieee") if renamed else ("allow_tf32", False)
    before = [getattr(holder, switch) for holder in holders]
    try:
        for holder in holders:
            setattr(holder, switch, exact)
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for holder, value in zip(holders, before, strict=True):
            setattr(holder, switch, value)


PROBE: Probe = Curvature()
