"""Robust early-learning (CDR): only the weights that matter most to a batch follow its gradient; knows the rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.training.objective import Knowledge, Objective, Step, Task
from noisybench.training.objectives._options import check_numbers

MASKED = (2, 4)
"""Dimensions of the tensors that are masked: weights of linear layers and of convolutions of images."""


@dataclass(frozen=True)
class RobustEarlyLearning(Objective):
    """Cross-entropy whose gradient reaches the critical weights alone, times 1 − τ, where τ is the rate of wrong labels.

    In each step all weights of linear layers and convolutions are ordered together by |gradient · weight|. The greatest
    share 1 − τ is critical and keeps its gradient times 1 − τ; the others lose theirs, and all of them decay. Biases and
    batch norm are left alone; momentum and the recipe's weight decay still move every weight, and the learning rate is
    1 − τ times what it says. With τ = 0 and no decay it is cross-entropy.

    Attributes:
        decay: Weight of the paper's L1 penalty: the gradient of each such weight has decay · sign(weight) added. The
            authors' code has none, and an L2 weight decay of 1e-3 in its optimiser instead: 0 is that form.
        gradual: Share of the training over which the share of critical weights, and with it the factor, falls from 1 to
            1 − τ. The paper has none, so 0. The authors' code works out one over a tenth of the training and then
            overwrites it by 1 − τ, so that it has none either.

    Source: Xia et al. 2021, ICLR, openreview.net/forum?id=Eql5b1_hTE4, equations 3 to 6.
    """

    decay: float = 1e-3
    gradual: float = 0.0
    source: ClassVar[str] = "Xia et al. 2021, openreview.net/forum?id=Eql5b1_hTE4, equations 3 to 6"

    def __post_init__(self) -> None:
        check_numbers(self, decay=inf, gradual=1)

    @property
    def knows(self) -> Knowledge:
        return "rate"

    def loss(self, step: Step) -> Tensor:
        return F.cross_entropy(step.logits, step.labels)

    def after_backward(self, parameters: Sequence[nn.Parameter], task: Task, epoch: int) -> None:
        done, rate = (epoch - 1) / task.epochs, task.rate or 0.0
        lost = rate * (done / self.gradual if done < self.gradual else 1.0)
        weights = [(one.detach(), one.grad) for one in parameters if one.dim() in MASKED and one.grad is not None]
        scores = [(weight * gradient).abs() for weight, gradient in weights]
        least = self._least(scores, lost)
        for (weight, gradient), score in zip(weights, scores, strict=True):
            gradient.mul_((score >= least) * (1 - lost)).add_(weight.sign(), alpha=self.decay)

    def _least(self, scores: Sequence[Tensor], lost: float) -> float | Tensor:
        """The score from which a weight is critical; of equal ones all are."""
        size = sum(each.numel() for each in scores)
        count = size - int(lost * size)
        if count in (0, size):
            return 0.0 if count else inf
        return torch.cat([each.flatten() for each in scores]).topk(count, sorted=False).values.min()


OBJECTIVE: type[Objective] = RobustEarlyLearning
