"""Curvature of the loss around a sample from losses alone, without a gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage
from noisybench.training.asking import Batch, ask
from noisybench.training.machine import full_precision
from noisybench.training.probe import Probe, When
from noisybench.training.probes._directions import signs

CORNERS = ((1, 1, 1), (-1, 1, -1), (1, -1, -1), (-1, -1, 1))
"""Signs of v, of u and of the loss at the four corners of a square."""


@dataclass(frozen=True, slots=True)
class ZerothOrderCurvature:
    """Mean over directions of |L(x+v+u) - L(x-v+u) - L(x+v-u) + L(x-v-u)| / (4 step): (b, ...) → (b,).

    v and u have entries ±step, and L is the cross-entropy of one sample with its given label. On a smooth model it is
    about |vᵀHu| / step, with H the Hessian of L in the input, so that it is proportional to the step, as in the authors'
    code. A difference of four losses has few digits left where the step is short: losses are taken in double precision,
    but the logits come from the model's own, in single precision. Twice a step is crossed along each direction; on ReLU
    models the kinks within count as they do for ``curvature``, whose default step this takes: it was not compared for this
    probe, but ``tuning_sets.STEP_CHOSEN_ON`` are tuning sets here too.

    Attributes:
        repeats: Pairs of directions per sample, each with four forward passes.
        step: Length of the move along each coordinate, in units of the model's input.

    Raises:
        BadUsage: No repeat, or a step that is not positive.

    Source: Ravikumar, Soufleri and Roy 2024, arXiv:2407.02747; ten repeats as in their code, whose step is 1e-4 or 1e-3.
    """

    repeats: int = 10
    step: float = 0.1

    def __post_init__(self) -> None:
        if self.repeats < 1 or not 0 < self.step < float("inf"):
            msg = f"curvature_zeroth needs a repeat and a positive step, got repeats={self.repeats}, step={self.step:g}"
            raise BadUsage(msg)

    @property
    def name(self) -> str:
        return "curvature_zeroth"

    @property
    def when(self) -> When:
        return "with_curvature"

    @property
    def passes(self) -> float:
        return 4.0 * self.repeats

    @property
    def forward_only(self) -> bool:
        return True

    @property
    def gradient(self) -> bool:
        return True

    def __call__(self, batch: Batch) -> Tensor:
        x, model = batch.inputs, batch.model
        total = torch.zeros(len(x), device=x.device, dtype=torch.float64)
        with full_precision(x.device.type), torch.no_grad():
            for repeat in range(self.repeats):
                v, u = (self.step * signs(batch, 2 * repeat + side, self.name) for side in (0, 1))
                losses = [
                    sign * F.cross_entropy(ask(model, x + of_v * v + of_u * u).double(), batch.labels, reduction="none")
                    for of_v, of_u, sign in CORNERS
                ]
                total += torch.stack(losses).sum(0).abs() / (4 * self.step)
        return (total / self.repeats).to(x.dtype)


PROBE: Probe = ZerothOrderCurvature()
