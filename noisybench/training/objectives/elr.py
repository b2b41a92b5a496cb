"""Early-learning regularization (ELR): answers are held to a running mean of themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from noisybench.training.objective import Objective, State, Step, Task
from noisybench.training.objectives._options import check_numbers
from noisybench.training.objectives._targets import TARGET, move, move_dropped

LEAST = 1e-4
"""Probability below which, and above one minus which, answers are cut off: the logarithm stays finite."""


@dataclass(frozen=True)
class EarlyLearningRegularization(Objective):
    """Cross-entropy + strength · mean log(1 − ⟨p, t⟩), from the first epoch on.

    Each time that a sample is in a batch, its target t, which begins at zero, becomes momentum · t + (1 − momentum) · p,
    with p as answered in training. What was learnt early, mostly from right labels, then pulls against fitting wrong
    ones. With strength 0 it is cross-entropy, and the targets are noted all the same. A sample that a person dropped is
    in no batch: its target follows the un-augmented answer after each epoch.

    Attributes:
        strength: Weight of the regularization: in the paper 3 for CIFAR-10, 7 for CIFAR-100, 1 for asymmetric noise.
        momentum: Share of the old target that stays, in [0, 1]: in the paper .7 for CIFAR-10, else .9.

    Source: Liu et al. 2020, arXiv:2007.00151, section 4. As in the authors' code, p is cut off at 1e-4 and 1 − 1e-4.
    """

    strength: float = 3.0
    momentum: float = 0.7
    source: ClassVar[str] = "Liu et al. 2020, arXiv:2007.00151, section 4"
    leaves: ClassVar[tuple[str, ...]] = (TARGET,)

    def __post_init__(self) -> None:
        check_numbers(self, strength=inf, momentum=1)

    def start(self, task: Task) -> State:
        return {"target": torch.zeros(len(task.labels), task.num_classes, device=task.labels.device)}

    def loss(self, step: Step) -> Tensor:
        answers = step.logits.softmax(1).clamp(LEAST, 1 - LEAST)
        shares = answers / answers.sum(1, keepdim=True)
        target = move(step.state["target"], step.chosen, shares, self.momentum)
        held = torch.log1p(-(target * answers).sum(1)).mean()
        return F.cross_entropy(step.logits, step.labels) + self.strength * held

    def end_epoch(self, state: State, task: Task, epoch: int, probabilities: Callable[[], Tensor]) -> None:  # noqa: ARG002
        move_dropped(state, task, self.momentum, probabilities)

    def by_products(self, state: State, task: Task) -> dict[str, Tensor]:  # noqa: ARG002 - of the protocol
        return {TARGET: state["target"]}


OBJECTIVE: type[Objective] = EarlyLearningRegularization
