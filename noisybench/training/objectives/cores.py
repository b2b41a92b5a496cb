"""Confidence regulariser of CORES²: cross-entropy, less its expectation over the shares of the given labels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noisybench.training.objective import Objective, State, Step, Task
from noisybench.training.objectives._options import check_numbers, check_weights, log_probabilities, of_labels, ramp


@dataclass(frozen=True, slots=True)
class Cores(Objective):
    """Mean over the batch of ℓ(x, given) − β Σ_k π_k ℓ(x, k), with ℓ(x, y) = −log p(y | x).

    π are the shares of the given labels in the training. β is 0 up to the share ``begin`` of the training, grows in a
    straight line up to the share ``full``, and then stays. With equal shares and β = 1 the loss is the criterion of the
    sieve, which the detector of the same name reads from any training. Without a ``floor`` it falls without end as
    predictions become surer.

    Attributes:
        strength: β in the end.
        begin: Share of the training up to which β is 0.
        full: Share of the training from which on β is whole.
        sieve: Share of the training from which on a sample counts only where ℓ(x, given) ≤ mean_k ℓ(x, k), by the
            outputs of the batch itself; 1 never leaves one out. The authors begin at 0.31.
        floor: Addend to probabilities before the logarithm of the regulariser: that of the authors' code. The formula has
            none (0), and trainings with it end in losses that are no number.
        divided: Divide the loss by 1 + β. The authors' code divides the learning rate, which for their SGD without
            momentum and weight decay is the same.

    Source: Cheng et al. 2021, arXiv:2010.02347, the first of its two phases; begin, full and strength are those of the
    authors' code for 100 epochs. Deviations: the sieve is off unless asked for, and π stays that of all labels, where
    the code takes those that the last epoch's sieve left.
    """

    strength: float = 2.0
    begin: float = 0.1
    full: float = 0.4
    sieve: float = 1.0
    floor: float = 1e-8
    divided: bool = False
    source: ClassVar[str] = "Cheng et al. 2021, arXiv:2010.02347"

    def __post_init__(self) -> None:
        check_weights(self, "strength")
        check_numbers(self, sieve=1)

    def start(self, task: Task) -> State:
        counts = torch.bincount(task.labels[task.rows], minlength=task.num_classes)
        return {"prior": counts / counts.sum()}

    def loss(self, step: Step) -> Tensor:
        beta = self.strength * ramp(step.done, self.begin, self.full)
        logs = log_probabilities(step.logits)
        given = of_labels(logs, step.labels)
        regulariser = log_probabilities(step.logits, self.floor) @ step.state["prior"].to(logs.dtype)
        losses = beta * regulariser - given
        if step.done >= self.sieve:
            kept = given.detach() >= logs.detach().mean(1)
            losses = losses[kept] if kept.any() else 0 * losses
        return losses.mean() / (1 + beta if self.divided else 1)


OBJECTIVE: type[Objective] = Cores
