"""Optimisers: what takes a step, by the recipe, and what of it a checkpoint must hold."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from noisybench.training.recipe import Optimizer, Recipe

SECOND_DECAY = 0.999
"""Rate at which AdamW's mean of squared gradients decays."""
EPSILON = 1e-8
"""What AdamW adds to the root of that mean."""


def optimizer_of(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """A fresh optimiser at the recipe's highest learning rate; ``learning_rate`` tells that of each step.

    Source: AdamW by Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters,
            lr=recipe.lr,
            betas=(recipe.momentum, SECOND_DECAY),
            eps=EPSILON,
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )


STATE: Mapping[Optimizer, frozenset[str]] = {
    "sgd": frozenset({"momentum_buffer"}),
    "adamw": frozenset({"step", "exp_avg", "exp_avg_sq"}),
}
"""Optimiser → names of all that it keeps of a parameter which has had a gradient; SGD without momentum keeps nothing."""
STEPS = "step"
"""The one of them that is a single number, on the CPU, and no tensor like the parameter."""


def names_kept(optimizer: torch.optim.Optimizer) -> frozenset[str]:
    """Names of all that an optimiser keeps of a parameter."""
    return STATE["adamw" if isinstance(optimizer, torch.optim.AdamW) else "sgd"]


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
