"""Curvature of the loss around a sample, by finite differences of its input gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from noisybench.ground.errors import BadUsage
from noisybench.training.activations import turned
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When
from noisybench.training.probes._directions import signs

POWERS = (1, 2)


@dataclass(frozen=True, slots=True)
class Curvature:
    """Mean over random directions v of ‖∇L(x + step·v) - ∇L(x)‖^power / step^power: (b, ...) → (b,).

    v has entries ±1 and L is the cross-entropy of one sample, whatever the batch. On a smooth model this is the mean
    of ‖Hv‖^power, with H the Hessian of L in the input, in nats per squared unit of the model's input; with
    ``power=2`` its expectation is the trace of H².

    On ReLU and max-pooling models the Hessian is, wherever it exists, the Gauss-Newton matrix Jᵀ(diag p - ppᵀ)J, which
    does not contain the label: at fixed weights a step of 1e-7 gives every label the same value. A longer step crosses
    kinks and adds their share, which does contain it, so ``step`` is part of the definition there. The column
    ``activation_change`` says how often that happened: the share of the draws at which some unit of a ReLU or
    max-pooling module changed its state along the step. There is none of a model that has no such modules.

    The step of 0.1 is the upper end of the authors' own range, 1e-3 to 1e-1, and no truth is needed to prefer it there: a
    step that crosses no kink measures something without the label. On digits, as ``tests/benchmarks/curvature.py
    --steps digits`` prints, 3 % of the steps of 1e-3 change the activation pattern (AUROC .84, mean of three noises), 57 %
    of those of 0.03 (.95), 94 % of those of 0.1 (.96), and all of those of 1 (.82). These noises of the quickstart are
    thereby a tuning set for this default, see ``tuning_sets.STEP_CHOSEN_ON``. Draws and period follow from the cost.

    Attributes:
        draws: Directions per sample.
        step: Length of the move along each coordinate, in units of the model's input.
        power: 1 as in the published code, 2 as in the paper.

    Raises:
        BadUsage: No draw, a step that is not positive, or another power.

    Source: Garg, Ravikumar and Roy 2024, arXiv:2307.05831; theirs are ten draws and a step of 1e-3. Their code does not
    divide by the step (a factor common to all samples) and averages the loss over the batch (a factor that is not: left
    out here).
    """

    draws: int = 3
    step: float = 0.1
    power: int = 1

    def __post_init__(self) -> None:
        if self.draws < 1:
            msg = f"curvature needs at least one draw, got {self.draws}"
            raise BadUsage(msg)
        if not 0 < self.step < float("inf"):
            msg = f"curvature needs a positive step such as 0.1, got {self.step:g}"
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
    def shares(self) -> dict[str, float]:
        return {"input_gradient": 1.0}

    @property
    def gradient(self) -> bool:
        return True

    def __call__(self, batch: Batch) -> Tensor:
        here, states = batch.input_gradient, batch.states
        total = torch.zeros(len(batch.inputs), device=here.device, dtype=here.dtype)
        changes: Tensor | None = torch.zeros_like(total)
        for draw in range(self.draws):
            moved, moved_states = batch.loss_gradient(torch.add(batch.inputs, signs(batch, draw), alpha=self.step))
            total += (moved - here).flatten(1).norm(dim=1).div(self.step).pow(self.power)
            crossed = turned(states, moved_states)
            changes = None if changes is None or crossed is None else changes + crossed
        if changes is not None:
            batch.beside["activation_change"] = changes / self.draws
        return total / self.draws


PROBE: Probe = Curvature()
