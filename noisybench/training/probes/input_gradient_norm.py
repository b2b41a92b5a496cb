"""Norm of the gradient of a sample's loss at its input: how sensitive the loss is to the input."""

from dataclasses import dataclass

from torch import Tensor

from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When


@dataclass(frozen=True, slots=True)
class InputGradientNorm:
    """‖∇L(x)‖, Euclidean, in nats a unit of the model's input: (b, ...) → (b,).

    L is the cross-entropy of one sample with its given label. It is the gradient that curvature starts from, so that
    where both are asked it costs nothing.

    Source: Arpit et al. 2017, arXiv:1706.05394, loss sensitivity (there the sum of absolute values).
    """

    name: str = "input_gradient_norm"
    passes: float = 1.0
    gradient: bool = True

    @property
    def when(self) -> When:
        return "with_curvature"

    @property
    def shares(self) -> dict[str, float]:
        return {"input_gradient": 1.0}

    def __call__(self, batch: Batch) -> Tensor:
        return batch.input_gradient.flatten(1).norm(dim=1)


PROBE: Probe = InputGradientNorm()
