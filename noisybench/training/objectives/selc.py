"""Self-ensemble label correction (SELC): in time the labels give way to a running mean of the answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from noisybench.training.objective import Objective, State, Step, Task
from noisybench.training.objectives._options import check_numbers
from noisybench.training.objectives._targets import TARGET, move, move_dropped, one_hot


@dataclass(frozen=True)
class SelfEnsembleLabelCorrection(Objective):
    """Cross-entropy with the given label first; then −Σ t log p with a target t that begins as that label.

    From then on, each time that a sample is in a batch, t becomes momentum · t + (1 − momentum) · p, with p as answered
    in training, so that after j epochs the given label has the weight momentum^j. A sample that a person dropped is in no
    batch: its target follows the un-augmented answer after each epoch.

    Attributes:
        begin: Share of the training after which the correction begins, in [0, 1]. The paper's authors chose it by data
            set and noise, epochs 20 to 40 of 200, so .1 to .2; the default is the middle.
        momentum: Share of the old target that stays, in [0, 1].

    Source: Lu and He 2022, arXiv:2205.01156, section 3 (the paper estimates where to begin; the authors' code has a list).
    """

    begin: float = 0.15
    momentum: float = 0.9
    source: ClassVar[str] = "Lu and He 2022, arXiv:2205.01156, section 3"
    leaves: ClassVar[tuple[str, ...]] = (TARGET,)

    def __post_init__(self) -> None:
        check_numbers(self, begin=1, momentum=1)

    def start(self, task: Task) -> State:
        return {"target": one_hot(task)}

    def loss(self, step: Step) -> Tensor:
        if step.done < self.begin:
            return F.cross_entropy(step.logits, step.labels)
        target = move(step.state["target"], step.chosen, step.logits.softmax(1), self.momentum)
        return F.cross_entropy(step.logits, target)

    def end_epoch(self, state: State, task: Task, epoch: int, probabilities: Callable[[], Tensor]) -> None:
        if (epoch - 1) / task.epochs >= self.begin:
            move_dropped(state, task, self.momentum, probabilities)

    def by_products(self, state: State, task: Task) -> dict[str, Tensor]:  # noqa: ARG002 - of the protocol
        return {TARGET: state["target"]}


OBJECTIVE: type[Objective] = SelfEnsembleLabelCorrection
