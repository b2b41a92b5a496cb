"""Whether the prediction is the label: 1 or 0."""

from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """1 where the highest logit is the label's, else 0: (b, k) and (b,) → (b,)."""
    return (logits.argmax(1) == labels).to(logits.dtype)


PROBE: Probe = LogitProbe("correct", correct)
