"""Logit of the label minus the mean of all logits."""

from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe


def mean_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the mean logit: (b, k) and (b,) → (b,).

    It is the mean cross-entropy of all classes minus that of the label, in nats: the normaliser cancels.

    Source: Cheng et al. 2021, arXiv:2010.02347, the sieve's criterion.
    """
    return logits.gather(1, labels[:, None])[:, 0] - logits.mean(1)


PROBE: Probe = LogitProbe("mean_margin", mean_margin)
