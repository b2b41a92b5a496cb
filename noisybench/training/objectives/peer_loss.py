"""Peer loss: cross-entropy, less that of a random input with the label of another."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noisybench.training.objective import Objective, Step
from noisybench.training.objectives._options import check_weights, log_probabilities, of_labels, ramp


@dataclass(frozen=True, slots=True)
class PeerLoss(Objective):
    """Mean over the batch of ℓ(x_i, given_i) − α ℓ(x_a, given_b), with ℓ(x, y) = −log p(y | x).

    The numbers a and b of each pair are drawn independently and anew for each sample of each batch, from all samples
    that are trained on; x_a is asked as a batch of its own, in train mode and augmented, so that an epoch costs twice as
    much. Over all pairs the second term is the mean over a of Σ_k π_k ℓ(x_a, k), with π the shares of the given labels:
    what ``cores`` subtracts without a draw, of the batch itself. The loss punishes predictions that any label fits.
    Without a ``floor`` it falls without end as predictions become surer.

    Attributes:
        alpha: α, weight of the pair.
        begin: Share of the training up to which α is 0.
        full: Share of the training from which on α is whole; it grows in a straight line between.
        floor: Addend to probabilities before their logarithm, in both terms, so that no ℓ is above −log(floor): that of
            the authors' code. 0 is cross-entropy itself, with which trainings end in losses that are no number.
        divided: Divide the loss by 1 + α; see below.

    Source: Liu and Guo 2020, arXiv:1910.03231: constant α, and any ℓ that is bounded. The authors' code for several
    classes has no pair in its first 20 of 300 epochs, then an α that grows in straight lines to 1 (epoch 40), 2 (50), 5
    (100), 10 (200) and 20 (300), and divides the learning rate by 1 + α, which for SGD without momentum and weight decay
    is to divide the loss.
    """

    alpha: float = 1.0
    begin: float = 0.0
    full: float = 0.0
    floor: float = 1e-5
    divided: bool = False
    source: ClassVar[str] = "Liu and Guo 2020, arXiv:1910.03231"

    def __post_init__(self) -> None:
        check_weights(self, "alpha")

    def loss(self, step: Step) -> Tensor:
        alpha = self.alpha * ramp(step.done, self.begin, self.full)
        given = of_labels(log_probabilities(step.logits, self.floor), step.labels).mean()
        if alpha == 0:
            return -given
        rows, given_labels = step.task.rows, step.task.labels
        drawn = torch.randint(len(rows), (2, len(step.labels)), generator=step.generator).to(rows.device)
        asked, labelled = rows[drawn]
        pair = of_labels(log_probabilities(step.ask(asked), self.floor), given_labels[labelled]).mean()
        return (alpha * pair - given) / (1 + alpha if self.divided else 1)


OBJECTIVE: type[Objective] = PeerLoss
