"""Optimisers: what takes a step, by the recipe, and what of it a checkpoint must hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from noisybench.training.recipe import Optimizer, Recipe

SECOND_DECAY = 0.999
"""Rate at which AdamW's mean of squared gradients decays."""
EPSILON = 1e-8
"""What AdamW adds to the root of that mean."""

Moments = dict[str, Tensor]
"""Name → what an optimiser keeps of one parameter; empty before the first step."""


@dataclass(slots=True)
class RecipeOptimizer:
    """SGD or AdamW of a recipe, by torch's own functions of a step, and to the same bits as torch's classes.

    To make one of those imports ``torch._dynamo``, which took 1.8 s of processor time in every process that trained.

    Attributes:
        parameters: What is trained.
        recipe: Which optimiser, and its constants.
        lr: Learning rate of the next step.
        state: Place of a parameter → what is kept of it, once it has had a gradient.
    """

    parameters: list[nn.Parameter]
    recipe: Recipe
    lr: float
    state: dict[int, Moments] = field(default_factory=dict)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Take a step along the gradients; a parameter that has none stays."""
        moved = [k for k, parameter in enumerate(self.parameters) if parameter.grad is not None]
        kept = [self.state.setdefault(k, {}) for k in moved]
        take = _step_of_adamw if self.recipe.optimizer == "adamw" else _step_of_sgd
        take([self.parameters[k] for k in moved], kept, self.lr, self.recipe)


def optimizer_of(parameters: Iterable[nn.Parameter], recipe: Recipe) -> RecipeOptimizer:
    """A fresh optimiser at the recipe's highest learning rate; ``learning_rate`` tells that of each step.

    Source: AdamW by Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    return RecipeOptimizer([*parameters], recipe, recipe.lr)


def _gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _step_of_sgd(parameters: list[nn.Parameter], kept: list[Moments], lr: float, recipe: Recipe) -> None:
    """A step of SGD with Nesterov's momentum, as ``torch.optim.SGD`` takes it."""
    buffers = [own.get("momentum_buffer") for own in kept]
    sgd(
        [*parameters],
        _gradients(parameters),
        buffers,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        lr=lr,
        dampening=0,
        nesterov=recipe.momentum > 0,
        maximize=False,
    )
    for own, buffer in zip(kept, buffers, strict=True):
        if buffer is not None:
            own["momentum_buffer"] = buffer


def _step_of_adamw(parameters: list[nn.Parameter], kept: list[Moments], lr: float, recipe: Recipe) -> None:
    """A step of AdamW, as ``torch.optim.AdamW`` takes it."""
    for parameter, own in zip(parameters, kept, strict=True):
        if not own:
            own[STEPS] = torch.tensor(0.0)
            own["exp_avg"], own["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    adam(
        [*parameters],
        _gradients(parameters),
        [own["exp_avg"] for own in kept],
        [own["exp_avg_sq"] for own in kept],
        [],
        [own[STEPS] for own in kept],
        decoupled_weight_decay=True,
        amsgrad=False,
        beta1=recipe.momentum,
        beta2=SECOND_DECAY,
        lr=lr,
        weight_decay=recipe.weight_decay,
        eps=EPSILON,
        maximize=False,
    )


STATE: Mapping[Optimizer, frozenset[str]] = {
    "sgd": frozenset({"momentum_buffer"}),
    "adamw": frozenset({"step", "exp_avg", "exp_avg_sq"}),
}
"""Optimiser → names of all that it keeps of a parameter which has had a gradient; SGD without momentum keeps nothing."""
STEPS = "step"
"""The one of them that is a single number, on the CPU, and no tensor like the parameter."""


def names_kept(optimizer: RecipeOptimizer) -> frozenset[str]:
    """Names of all that an optimiser keeps of a parameter."""
    return STATE[optimizer.recipe.optimizer]


def fits_state(name: str, kept: Tensor, parameter: Tensor) -> bool:
    """Whether a tensor can be what an optimiser keeps of a parameter under that name."""
    if name == STEPS:
        return kept.shape == () and kept.dtype == torch.float32
    return (kept.shape, kept.dtype) == (parameter.shape, parameter.dtype)


def as_kept(name: str, kept: Tensor, parameter: Tensor) -> Tensor:
    """A copy of a tensor as the optimiser of a parameter would have made it.

    It has the strides of the parameter: a kernel for others may round otherwise.
    """
    return kept.clone() if name == STEPS else torch.empty_like(parameter).copy_(kept)
