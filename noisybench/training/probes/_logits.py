"""A probe of the logits alone: what most probes are."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from noisybench.training.asking import Batch


@dataclass(frozen=True, slots=True)
class LogitProbe:
    """A function of logits and labels as a probe; it costs no pass of its own.

    Attributes:
        name: Name of the file, and so of the column.
        ask: Logits (b, k) and labels (b,) → one value a sample, shape (b,).
        passes: Extra passes over the training set.
        gradient: Whether it asks for more than logits.
    """

    name: str
    ask: Callable[[Tensor, Tensor], Tensor]
    passes: float = 0.0
    gradient: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        return self.ask(batch.logits, batch.labels)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of one label a sample, in nats: (b, k) and (b,) → (b,)."""
    label = labels[:, None]
    others = logits.scatter(1, label, -torch.inf).logsumexp(1)
    # Equal to F.cross_entropy, which rounds to zero once the label leads by 17 nats: fitted samples would all tie.
    return F.softplus(others - logits.gather(1, label)[:, 0])
