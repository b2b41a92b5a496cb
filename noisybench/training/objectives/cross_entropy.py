"""Cross-entropy with the given label: what a training minimises unless it is told otherwise."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from noisybench.training.objective import Objective, Step


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Mean of −log p[given label].

    Source: maximum likelihood of the given labels; the baseline of every paper on label noise.
    """

    source: ClassVar[str] = "maximum likelihood"

    def loss(self, step: Step) -> Tensor:
        """The mean over the batch, in nats."""
        return F.cross_entropy(step.logits, step.labels)


OBJECTIVE: type[Objective] = CrossEntropy
