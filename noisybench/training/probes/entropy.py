"""Entropy of the prediction, in nats."""

from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe


def entropy(logits: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001 - the signature of a logit probe
    """Entropy of the predicted probabilities, in nats: (b, k) → (b,), in [0, log k]."""
    logs = logits.log_softmax(1)
    return -(logs.exp() * logs).sum(1)


PROBE: Probe = LogitProbe("entropy", entropy)
