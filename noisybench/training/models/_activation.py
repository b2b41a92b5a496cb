"""Activations that models take as an option, each as a module, so that probes can see its state."""

from collections.abc import Mapping
from typing import Literal

from torch import nn

from noisybench.ground.checks import check_choice

Activation = Literal["relu", "silu", "gelu", "tanh"]
"""``relu`` has a kink; the others are smooth, so that a loss has second derivatives with the label in them."""
_KINDS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def activation_of(name: str) -> type[nn.Module]:
    """The module of an activation.

    Raises:
        BadUsage: There is none of that name.
    """
    check_choice(name, "activation", tuple(_KINDS))
    return _KINDS[name]
