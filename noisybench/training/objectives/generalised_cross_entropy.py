"""Generalised cross-entropy: between cross-entropy (q = 0) and the mean absolute error (q = 1)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noisybench.training.objective import Objective, Step
from noisybench.training.objectives._options import check_numbers, log_probabilities, of_labels


@dataclass(frozen=True, slots=True)
class GeneralisedCrossEntropy(Objective):
    """Mean over the batch of (1 − p[given]^q) / q, whose limit at q = 0 is −log p[given].

    The gradient is that of cross-entropy times p[given]^q, so that samples whose label is thought unlikely count less.
    Computed as −expm1(q log p) / q, which has all its digits for any q; at q = 1 it is half the absolute error of p.

    Attributes:
        q: From 0, cross-entropy, to 1, the absolute error.

    Source: Zhang and Sabuncu 2018, arXiv:1805.07836, the loss L_q. Deviation: their further variant, which prunes the
    samples with p[given] ≤ 0.5 (truncated), is not here.
    """

    q: float = 0.7
    source: ClassVar[str] = "Zhang and Sabuncu 2018, arXiv:1805.07836"

    def __post_init__(self) -> None:
        check_numbers(self, q=1)

    def loss(self, step: Step) -> Tensor:
        logs = of_labels(log_probabilities(step.logits), step.labels)
        return -(logs if self.q == 0 else torch.expm1(self.q * logs) / self.q).mean()


OBJECTIVE: type[Objective] = GeneralisedCrossEntropy
