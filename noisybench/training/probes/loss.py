"""Cross-entropy of the label, in nats."""

from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe, cross_entropy


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the label, in nats: (b, k) and (b,) → (b,)."""
    return cross_entropy(logits, labels)


PROBE: Probe = LogitProbe("loss", loss)
