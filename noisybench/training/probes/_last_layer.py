"""Probes of the last layer: of logits and features alone, which one forward pass gives."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from noisybench.training.asking import Batch


@dataclass(frozen=True, slots=True)
class LastLayerProbe:
    """A function of logits, features and labels as a probe; the pass that gives the logits gives the features too.

    Attributes:
        name: Name of the file, and so of the column.
        ask: A batch → one value a sample, shape (b,).
        passes: Extra passes over the training set.
        gradient: Whether it asks for more than logits.
    """

    name: str
    ask: Callable[[Batch], Tensor]
    passes: float = 0.0
    gradient: bool = True

    def __call__(self, batch: Batch) -> Tensor:
        return self.ask(batch)


def error_vector(logits: Tensor, labels: Tensor) -> Tensor:
    """Probabilities minus one-hot label, the loss's gradient at the logits: (b, k) and (b,) → (b, k)."""
    others = logits.softmax(1).scatter(1, labels[:, None], 0.0)
    # p of the label minus 1 as the sum of the others, which keeps its digits where p rounds to one.
    return others.scatter(1, labels[:, None], -others.sum(1, keepdim=True))


def last_gradient_norm(batch: Batch) -> Tensor:
    """Norm of the loss's gradient in weight and bias of the last layer, of each sample alone: shape (b,).

    The gradient is the outer product of error vector p - e and features [φ 1], so its norm is ‖p - e‖·√(‖φ‖² + 1). A
    layer without bias is taken as one whose bias is zero.
    """
    error = error_vector(batch.logits, batch.labels)
    return error.norm(dim=1) * (batch.features.square().sum(1) + 1).sqrt()
