"""Normalised and reverse cross-entropy: an active loss and a passive one, each robust to symmetric noise."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from torch import Tensor

from noisybench.ground.checks import number
from noisybench.training.objective import Objective, Step
from noisybench.training.objectives._options import check_numbers, log_probabilities, of_labels


@dataclass(frozen=True, slots=True)
class NormalisedAndReverse(Objective):
    """Mean over the batch of α log p[given] / Σ_k log p[k] − β Σ_k p[k] log y[k], where y is the one-hot given label.

    log 1 is 0, so that the second term is −β A (1 − p[given]) with A = ``log_zero``, the value that stands for log 0.

    Attributes:
        alpha: Weight of the normalised cross-entropy.
        beta: Weight of the reverse cross-entropy. The paper takes α = 1, β = 1 for CIFAR-10 and α = 10, β = 0.1 for
            CIFAR-100.
        log_zero: What stands for log 0, in nats. The paper says −4; the authors' code raises zeros to 1e-4, which is
            −9.21034, and so weighs the term 2.3 times as much.

    Source: Ma et al. 2020, arXiv:2006.13554 (normalised losses, and their sum with a passive one); Wang et al. 2019,
    arXiv:1908.06112 (reverse cross-entropy).
    """

    alpha: float = 1.0
    beta: float = 1.0
    log_zero: float = -4.0
    source: ClassVar[str] = "Ma et al. 2020, arXiv:2006.13554; Wang et al. 2019, arXiv:1908.06112"

    def __post_init__(self) -> None:
        check_numbers(self, alpha=inf, beta=inf)
        object.__setattr__(self, "log_zero", number(self.log_zero, "log_zero", most=0, without=0))

    def loss(self, step: Step) -> Tensor:
        logs = log_probabilities(step.logits)
        given = of_labels(logs, step.labels)
        return (self.alpha * given / logs.sum(1) - self.beta * self.log_zero * (1 - given.exp())).mean()


OBJECTIVE: type[Objective] = NormalisedAndReverse
