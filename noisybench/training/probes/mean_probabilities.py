"""Predicted probabilities of all classes, averaged over the epochs so far."""

from dataclasses import dataclass

from torch import Tensor

from noisybench.training.asking import Batch
from noisybench.training.probe import Probe


@dataclass(frozen=True, slots=True)
class MeanProbabilities:
    """Mean over epochs of the predicted probabilities: (b, k) → (b, k), each row with the sum 1.

    What is remembered is their sum, (n, k) float32, however many epochs there are.
    """

    name: str = "mean_probabilities"
    passes: float = 0.0
    gradient: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        return batch.logits.softmax(1)

    def gather(
        self,
        values: Tensor,
        labels: Tensor,  # noqa: ARG002 - the protocol
        memory: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """The mean, and the sum so far; the sum of a row of it is the number of epochs."""
        total = values if memory is None else values.add_(memory)
        return total / total.sum(1, keepdim=True), total


PROBE: Probe = MeanProbabilities()
