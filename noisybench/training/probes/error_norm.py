"""Length of the error vector: probabilities minus the one-hot label."""

from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe


def error_norm(logits: Tensor, labels: Tensor) -> Tensor:
    """Euclidean norm of probabilities minus one-hot label: (b, k) and (b,) → (b,), in [0, √2].

    Source: Paul et al. 2021, arXiv:2107.07075, definition 2.3.
    """
    others = logits.softmax(1).scatter(1, labels[:, None], 0.0)
    # 1 - p of the label as the sum of the others, which keeps its digits where p rounds to one.
    return (others.sum(1).square() + others.square().sum(1)).sqrt()


PROBE: Probe = LogitProbe("error_norm", error_norm)
