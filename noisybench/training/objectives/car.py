"""Confidence-adaptive regularization (CAR): a branch learns whom to trust, and in time targets replace labels."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.ground.checks import check_choice
from noisybench.ground.errors import BadUsage
from noisybench.training.objective import Objective, State, Step, Task
from noisybench.training.objectives._options import check_numbers
from noisybench.training.objectives._targets import (
    INDICATOR,
    TARGET,
    dropped,
    move,
    move_dropped,
    one_hot,
)

LEAST = 1e-4
"""Share that stands for a target's 0 where its logarithm is taken."""
FLOOR = 1e-7
"""Least mixed answer of the authors' code."""
Form = Literal["paper", "code"]


@dataclass(frozen=True)
class ConfidenceAdaptiveRegularization(Objective):
    """−Σ t log q − penalty · log τ − auxiliary · Σ p log t, with q = τ p + (1 − τ) t.

    τ, from 0 to 1, is the sigmoid of one linear unit on the features that the last layer is given: the trust in the
    label. Where it is small, q is near the target t whatever the model answers, and the sample teaches little. The
    target begins as the given label. After a share ``begin`` of the training it becomes, once in each of ``every`` of
    it, momentum · t + (1 − momentum) · p for the samples whose τ is at least ``least_trust``, with p as answered in
    training. With τ = 1 it is cross-entropy.

    While t is a label y, and for given p, the loss is least at τ = penalty / (1 + penalty) / (1 − p_y), or at 1 where that
    is more: so τ is not drawn below penalty / (1 + penalty), .91 for 10, and not below 1 once p_y is above
    1 / (1 + penalty). Once targets have moved, there is less for a small τ to keep away, and it rises again. It is a
    function of the input alone, so that what sets it apart is the label that the features have come to hold. A sample
    that a person dropped is in no batch: its target follows the un-augmented answer, and its τ is the mean of the others.

    Attributes:
        penalty: Weight λ of the penalty on small τ. In the paper .5, 10 or 50, by data set; 10 for CIFAR.
        auxiliary: Weight β of the auxiliary term. In the paper 0 for CIFAR and .1 for labels of people.
        begin: Share of the training after which targets move: in the paper .04, .12 or .2, epochs 20, 60 or 100 of 500.
        every: Share of the training between two moves, at least an epoch: 10 of 500 in the paper. So targets move 44 times
            in the paper and 17 times in 20 epochs, after which the given label has the weight .9^17 = .17 of a target.
        momentum: Share of the old target that stays, in [0, 1]: .7, .9 or .99 in the paper.
        least_trust: τ from which a target moves, δ; 0 moves all.
        form: That of the authors' code has q in place of p in the auxiliary term, targets that hold at least 1e-4 in
            each class from the beginning, also in the first term, and q at least 1e-7; the paper's takes a target's 0 as
            1e-4 in the auxiliary term alone.

    Source: Lu, Bo and He 2021, arXiv:2108.08212, section 3; in the authors' code also called NAL.
    """

    penalty: float = 10.0
    auxiliary: float = 0.0
    begin: float = 0.12
    every: float = 0.02
    momentum: float = 0.9
    least_trust: float = 0.0
    form: Form = "paper"
    source: ClassVar[str] = "Lu, Bo and He 2021, arXiv:2108.08212, section 3"
    leaves: ClassVar[tuple[str, ...]] = (TARGET, INDICATOR)

    def __post_init__(self) -> None:
        check_numbers(self, penalty=inf, auxiliary=inf, begin=1, every=1, momentum=1, least_trust=1)
        check_choice(self.form, "form", get_args(Form))

    def branch(self, features: int) -> nn.Module:
        return nn.Linear(features, 1)

    def start(self, task: Task) -> State:
        target = one_hot(task)
        target = target.clamp(min=LEAST) if self.form == "code" else target
        return {"target": target, "trust": torch.ones(len(task.labels), device=task.labels.device)}

    def loss(self, step: Step) -> Tensor:
        if step.branch is None:
            msg = "objective 'car' reads the branch that it adds to the model, and the step has none; give branch=…"
            raise BadUsage(msg)
        logit = step.branch.reshape(len(step.labels))
        trust, answers = logit.sigmoid(), step.logits.softmax(1)
        step.state["trust"][step.chosen] = trust.detach()
        target = self._moved(step, answers, trust)
        if self.form == "code":
            mixed = (trust[:, None] * answers + (1 - trust[:, None]) * target).clamp(FLOOR, 1)
            log_mixed, told = mixed.log(), mixed
        else:  # by logarithms, so that a label with hardly any chance still has its gradient
            log_answers = F.log_softmax(step.logits, dim=1)
            parts = F.logsigmoid(logit)[:, None] + log_answers, F.logsigmoid(-logit)[:, None] + target.log()
            log_mixed, told = torch.logaddexp(*parts), answers
        fit = -(target * log_mixed).sum(1).mean()
        reverse = -(told * target.clamp(min=LEAST).log()).sum(1).mean()
        return fit - self.penalty * F.logsigmoid(logit).mean() + self.auxiliary * reverse

    def _moved(self, step: Step, answers: Tensor, trust: Tensor) -> Tensor:
        """The targets of a batch, moved first where they are to move in this epoch, shape (b, k), without gradient."""
        target = step.state["target"]
        if self._moves(step.epoch, step.task.epochs):
            trusted = trust.detach() >= self.least_trust
            moved = move(target, step.chosen[trusted], answers[trusted], self.momentum)
            if self.form == "code":
                target[step.chosen[trusted]] = moved.clamp(min=LEAST)
        return target[step.chosen]

    def _moves(self, epoch: int, epochs: int) -> bool:
        """Whether targets move in an epoch: in the first after ``begin``, and in each that is ``every`` later."""
        done = epoch - 1
        first = next(e for e in range(epochs + 1) if e / epochs >= self.begin)
        return done >= first and (done - first) % max(1, round(self.every * epochs)) == 0

    def end_epoch(self, state: State, task: Task, epoch: int, probabilities: Callable[[], Tensor]) -> None:
        if self._moves(epoch, task.epochs):
            move_dropped(state, task, self.momentum, probabilities)
        state["trust"][dropped(task)] = state["trust"][task.rows].mean()

    def by_products(self, state: State, task: Task) -> dict[str, Tensor]:  # noqa: ARG002 - of the protocol
        return {TARGET: state["target"], INDICATOR: state["trust"]}


OBJECTIVE: type[Objective] = ConfidenceAdaptiveRegularization
