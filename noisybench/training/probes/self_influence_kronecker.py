"""Self-influence in the last layer's weights after the last epoch, measured by the curvature there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from noisybench.statistics.kronecker import kronecker_influence
from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When
from noisybench.training.probes._last_layer import error_vector


@dataclass(frozen=True, slots=True)
class KroneckerInfluence:
    """gᵀ(A ⊗ G + λI)⁻¹g of the last layer, see ``kronecker_influence``: its factors are means over all samples.

    It holds features and logits of all samples at a time: 100 MB for 50,000 samples of 512 features.
    """

    name: str = "self_influence_kronecker"
    when: When = "last_epoch"
    passes: float = 0.0
    gradient: bool = True
    remembers: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        """The number of classes k, the error vector and the features, shape (b, 1 + k + d)."""
        error = error_vector(batch.logits, batch.labels)
        classes = torch.full_like(error[:, :1], error.shape[1])  # tells gather where the features begin
        return torch.cat([classes, error, batch.features], dim=1)

    def gather(self, values: Tensor, labels: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002 - the signature
        """Shape (n, 1 + k + d) → (n,); nothing is remembered."""
        array, given = values.cpu().numpy(), labels.cpu().numpy()
        k = int(array[0, 0])
        found = kronecker_influence(array[:, 1 + k :], array[:, 1 : 1 + k], given)
        return torch.from_numpy(found).to(values.device), None


PROBE: Probe = KroneckerInfluence()
