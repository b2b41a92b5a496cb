"""Targets that an objective estimates for each sample: a running mean of what the model answers."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from noisybench.training.objective import State, Task

TARGET, INDICATOR = "objective.target", "objective.indicator"
"""Columns of a trace: targets after the last epoch, shape (n, k); trust in the given label after each, shape (n,)."""


def one_hot(task: Task) -> Tensor:
    """The given labels as targets: (n,) → (n, k), float32."""
    return F.one_hot(task.labels, task.num_classes).float()


def move(target: Tensor, chosen: Tensor, answers: Tensor, momentum: float) -> Tensor:
    """Their new targets, shape (b, k), of some samples: m t + (1 − m) p, written into all targets too; no gradient.

    Args:
        target: Targets of all samples, shape (n, k).
        chosen: Numbers of the samples, shape (b,).
        answers: What their targets move to, shape (b, k).
        momentum: Share m of the old target that stays.
    """
    moved = momentum * target[chosen] + (1 - momentum) * answers.detach()
    target[chosen] = moved
    return moved


def dropped(task: Task) -> Tensor:
    """Numbers of the samples that a person dropped, which are in no batch, shape (d,)."""
    left = torch.ones_like(task.labels, dtype=torch.bool)
    left[task.rows] = False
    return left.nonzero()[:, 0]


def move_dropped(state: State, task: Task, momentum: float, probabilities: Callable[[], Tensor]) -> None:
    """``move`` for samples that are in no batch, by un-augmented answers, which are asked for where there are some."""
    numbers = dropped(task)
    if len(numbers):
        move(state["target"], numbers, probabilities()[numbers], momentum)
