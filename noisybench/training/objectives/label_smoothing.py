"""Label smoothing, positive or negative: the target keeps 1 − r of the given label and spreads r over all classes."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from noisybench.ground.checks import number
from noisybench.training.objective import Objective, Step
from noisybench.training.objectives._options import log_probabilities, of_labels


@dataclass(frozen=True, slots=True)
class LabelSmoothing(Objective):
    """Mean over the batch of −(1 − r) log p[given] − r mean_k log p[k], with r = ``smoothing``.

    This is the cross-entropy with the target (1 − a) onehot(given) + a / K of classical smoothing, with a = r: one form
    serves both. For r < 0 the target is above 1 at the given label and below 0 elsewhere, which no distribution is: the
    loss then falls without end as predictions become surer, and at usual learning rates a training ends in losses that
    are no number. The authors go on from a model trained with cross-entropy, at a learning rate of 1e-6.

    Attributes:
        smoothing: r: above 0 smooths, 0 is cross-entropy, below 0 is negative smoothing. The paper tries −8 to 0.8.
        warm_up: Share of the training with plain cross-entropy before.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7 (positive); Wei et al. 2022, arXiv:2106.04149, and its code
    (one form for both signs).
    """

    smoothing: float = 0.1
    warm_up: float = 0.0
    source: ClassVar[str] = "Szegedy et al. 2016, arXiv:1512.00567; Wei et al. 2022, arXiv:2106.04149"

    def __post_init__(self) -> None:
        object.__setattr__(self, "smoothing", number(self.smoothing, "smoothing", most=1, without=1))
        object.__setattr__(self, "warm_up", number(self.warm_up, "warm_up", least=0, most=1, without=1))

    def loss(self, step: Step) -> Tensor:
        smoothing = self.smoothing if step.done >= self.warm_up else 0.0
        logs = log_probabilities(step.logits)
        given, spread = of_labels(logs, step.labels).mean(), logs.mean()
        return -(1 - smoothing) * given - smoothing * spread


OBJECTIVE: type[Objective] = LabelSmoothing
