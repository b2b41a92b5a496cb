"""Logit of the label minus the highest other logit."""

import torch
from torch import Tensor

from noisybench.training.probe import Probe
from noisybench.training.probes._logits import LogitProbe


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the label minus the highest other one: (b, k) and (b,) → (b,). Negative where another class leads.

    Source: Pleiss et al. 2020, arXiv:2001.10528, eq. 1.
    """
    label = labels[:, None]
    others = logits.scatter(1, label, -torch.inf)
    return logits.gather(1, label)[:, 0] - others.amax(1)


PROBE: Probe = LogitProbe("margin", margin)
