"""What objectives have in common: checks of their options, shares of a training, and logarithms with a floor."""

from math import inf
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from noisybench.ground.checks import number
from noisybench.ground.errors import BadUsage


def check_numbers(objective: Any, **most: float) -> None:  # noqa: ANN401 - a dataclass with these fields
    """Make options plain floats from 0 to ``most``, each given by its name: a share of the training is at most 1.

    Raises:
        BadUsage: One is out of its range.
    """
    for name, highest in most.items():
        object.__setattr__(objective, name, number(getattr(objective, name), name, least=0, most=highest))


def ramp(done: float, begin: float, full: float) -> float:
    """A weight from 0 to 1: zero up to the share ``begin`` of the training, growing in a straight line, one from ``full`` on.

    >>> [ramp(done, 0.25, 0.75) for done in (0.0, 0.25, 0.5, 0.75, 1.0)]
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    if done >= full:
        return 1.0
    return 0.0 if done <= begin else (done - begin) / (full - begin)


def log_probabilities(logits: Tensor, floor: float = 0.0) -> Tensor:
    """log(p + ``floor``) of the softmax p of the logits: (b, k) → (b, k), in nats."""
    if floor == 0:
        return F.log_softmax(logits, dim=1)
    return (F.softmax(logits, dim=1) + floor).log()


def of_labels(values: Tensor, labels: Tensor) -> Tensor:
    """The entry of each row that belongs to its label: (b, k), (b,) → (b,)."""
    return values.gather(1, labels[:, None]).squeeze(1)


def check_weights(objective: Any, weight: str) -> None:  # noqa: ANN401 - a dataclass with these fields
    """Check the options of a weighted second term: the weight, when it sets in (``begin``, ``full``), and ``floor``.

    Raises:
        BadUsage: One is out of its range, or the weight is whole before it begins.
    """
    check_numbers(objective, begin=1, full=1, floor=1, **{weight: inf})
    if objective.full < objective.begin:
        msg = f"full must be at least begin, got full={objective.full:g} and begin={objective.begin:g}"
        raise BadUsage(msg)
