"""The predicted class."""

from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe


def prediction(logits: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001 - the signature of a logit probe
    """Class of the highest logit, the first of equal ones: (b, k) → (b,). Exact as float32 below 2^24 classes."""
    return logits.argmax(1)


PROBE: Probe = LogitProbe("prediction", prediction)
