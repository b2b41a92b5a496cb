"""Soft bootstrapping: the target is the given label, mixed with what the model itself predicts."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from noisybench.ground.checks import check_choice, number
from noisybench.training.objective import Objective, Step
from noisybench.training.objectives._options import log_probabilities

Gradient = Literal["through", "stopped"]


@dataclass(frozen=True, slots=True)
class Bootstrapping(Objective):
    """Mean over the batch of −Σ_k t[k] log p[k], with the target t = β onehot(given) + (1 − β) p.

    This is β times the cross-entropy plus (1 − β) times the entropy of the prediction. The paper calls it regression
    with minimum entropy regularisation, which it is where the gradient passes through the p of the target too. Where
    that p is taken as a constant, the gradient is β times that of cross-entropy, since the prediction is its own optimum: then
    nothing but the rate of learning changes.

    Attributes:
        beta: Share of the given label in the target; 1 is cross-entropy.
        gradient: ``through`` the p of the target, or ``stopped`` there, as some re-implementations do.

    Source: Reed et al. 2015, arXiv:1412.6596, the soft variant.
    """

    beta: float = 0.95
    gradient: Gradient = "through"
    source: ClassVar[str] = "Reed et al. 2015, arXiv:1412.6596, the soft variant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", number(self.beta, "beta", least=0, most=1, without=0))
        check_choice(self.gradient, "gradient", get_args(Gradient))

    def loss(self, step: Step) -> Tensor:
        logs = log_probabilities(step.logits)
        own = logs.exp() if self.gradient == "through" else logs.detach().exp()
        target = (1 - self.beta) * own
        target = target.scatter_add(1, step.labels[:, None], target.new_full((len(target), 1), self.beta))
        return -(target * logs).sum(1).mean()


OBJECTIVE: type[Objective] = Bootstrapping
