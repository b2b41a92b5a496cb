"""What objectives have in common: checks of their options, shares of a training, and logarithms with a floor."""

from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from noisybench.ground.errors import BadUsage


def number(
    value: Any,  # noqa: ANN401 - whatever a caller gives
    name: str,
    *,
    least: float = -np.inf,
    most: float = np.inf,
    without: float | None = None,
) -> float:
    """``value`` as a plain float that is not -0.0; ``without`` is an end that it may not reach.

    Raises:
        BadUsage: It is no finite number, or outside.
    """
    array = np.asarray(value)
    fits = array.ndim == 0 and array.dtype.kind in "iuf" and bool(np.isfinite(array)) and least <= value <= most
    if not fits or value == without:
        opening, closing = ("(" if without == least else "["), (")" if without == most else "]")
        bounds = {
            (False, False): "finite",
            (True, False): f"{'more than' if without == least else 'at least'} {least:g} and finite",
            (False, True): f"{'below' if without == most else 'at most'} {most:g} and finite",
            (True, True): f"in {opening}{least:g}, {most:g}{closing}",
        }
        msg = f"{name} must be a number {bounds[np.isfinite(least), np.isfinite(most)]}, got {str(value)[:60]!r}"
        raise BadUsage(msg)
    return float(value) + 0.0  # -0.0 + 0.0 is 0.0


def check_numbers(objective: Any, **most: float) -> None:  # noqa: ANN401 - a dataclass with these fields
    """Make options plain floats from 0 to ``most``, each given by its name: a share of the training is at most 1.

    Raises:
        BadUsage: One is out of its range.
    """
    for name, highest in most.items():
        object.__setattr__(objective, name, number(getattr(objective, name), name, least=0, most=highest))


def ramp(done: float, begin: float, full: float) -> float:
    """A weight from 0 to 1: zero up to the share ``begin`` of the training, growing in a straight line, one from ``full`` on.

    >>> [ramp(done, 0.1, 0.3) for done in (0.0, 0.1, 0.2, 0.3, 1.0)]
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
    check_numbers(objective, begin=1, full=1, floor=1, **{weight: np.inf})
    if objective.full < objective.begin:
        msg = f"full must be at least begin, got full={objective.full:g} and begin={objective.begin:g}"
        raise BadUsage(msg)
