"""What forward and backward correction share: where the transition matrix comes from, and when."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.checks import check_choice, number
from noisybench.ground.errors import BadUsage
from noisybench.statistics.transition_estimation import estimate_transition
from noisybench.training.objective import Knowledge, Objective, State, Step, Task

Matrix = Literal["true", "anchor_points", "anchor_percentile", "confident_joint", "hoc", "dual_t"]
"""Where the matrix comes from: the truth, or a method of ``estimate_transition``."""
SMALLEST = 1e-8
"""Least entry of an estimated matrix, so that no given label is impossible."""


@dataclass(frozen=True, slots=True)
class Correction(Objective):
    """Correction of the loss by a transition matrix T[i, j] = P(given j | clean i); its two subclasses say how.

    The matrix is the true one; or estimated once, after a share ``warm_up`` of the training with cross-entropy, from
    what the model then says of the samples that it is trained on, in eval mode and without augmentation.

    Attributes:
        transition: ``true`` takes the nominal matrix of the noise (or, of a noise without one, the realised shares),
            which is to know something of the truth; the others estimate it from the model's own outputs, as
            ``estimate_transition`` says: ``anchor_points`` and ``anchor_percentile`` (both of the paper),
            ``confident_joint``, ``hoc`` (neighbours in these outputs), ``dual_t``. A class of which nothing is told
            counts as rightly labeled.
        warm_up: Share of the training with cross-entropy, after which the matrix is estimated, at least one epoch. The
            more wrong labels are fitted by then, the nearer an estimate comes to the identity.
        mix: Share of the identity in the matrix; the paper advises it where the inverse is ill-conditioned.
    """

    transition: Matrix = "anchor_points"
    warm_up: float = 0.2
    mix: float = 0.0
    source: ClassVar[str] = "Patrini et al. 2017, arXiv:1609.03683"

    def __post_init__(self) -> None:
        check_choice(self.transition, "transition", get_args(Matrix))
        for name in ("warm_up", "mix"):
            object.__setattr__(self, name, number(getattr(self, name), name, least=0, most=1, without=1))

    @property
    def knows(self) -> Knowledge:
        return "transition" if self.transition == "true" else "nothing"

    def start(self, task: Task) -> State:
        """The true matrix; or, up to its estimate, the identity, which no batch is given.

        Raises:
            BadUsage: There is no true matrix, or no epoch for the estimated one.
        """
        identity = torch.eye(task.num_classes, device=task.labels.device)
        if self.transition != "true":
            if self.warm_epochs(task) >= task.epochs:
                msg = (
                    f"a matrix that is estimated after warm_up={self.warm_up:g} of the training has no epoch left of "
                    f"{task.epochs}; train for more epochs, or lower warm_up"
                )
                raise BadUsage(msg)
            return self.prepared(identity, task)
        if task.transition is None:
            msg = (
                "these labels have no transition matrix that is known, which transition=true takes: say "
                "transition=anchor_points, which estimates one"
            )
            raise BadUsage(msg)
        return self.prepared((1 - self.mix) * task.transition.to(identity) + self.mix * identity, task)

    def loss(self, step: Step) -> Tensor:
        """Cross-entropy up to the estimate, then the corrected loss."""
        if self.transition != "true" and step.epoch <= self.warm_epochs(step.task):
            return F.cross_entropy(step.logits, step.labels)
        return self.corrected(step.logits, step.labels, step.state)

    def end_epoch(self, state: State, task: Task, epoch: int, probabilities: Callable[[], Tensor]) -> None:
        """Estimate the matrix after the last epoch with cross-entropy."""
        if self.transition == "true" or epoch != self.warm_epochs(task):
            return
        seen, labels = probabilities()[task.rows].double().cpu().numpy(), task.labels[task.rows].cpu().numpy()
        found = (1 - self.mix) * _estimated(self.transition, labels, seen) + self.mix * np.eye(task.num_classes)
        for name, tensor in self.prepared(torch.tensor(found, dtype=torch.float32), task).items():
            state[name].copy_(tensor)

    def warm_epochs(self, task: Task) -> int:
        """Epochs with cross-entropy before the matrix is estimated, at least one."""
        return max(1, ceil(self.warm_up * task.epochs - 1e-9))  # 0.1 * 30 is above 3

    def prepared(self, transition: Tensor, task: Task) -> State:
        """What ``corrected`` needs of a matrix."""
        raise NotImplementedError

    def corrected(self, logits: Tensor, labels: Tensor, state: State) -> Tensor:
        """The corrected loss, a scalar, of logits (b, k) and given labels (b,)."""
        raise NotImplementedError


def _estimated(method: Matrix, labels: Labels, probabilities: Floats) -> Floats:
    """The matrix that an estimator reads from given labels (n,) and probabilities (n, k): (k, k), no entry zero.

    Of a class of which it tells nothing, labels are taken for right.
    """
    found = estimate_transition(probabilities, labels, method=method)
    known = np.where(np.isnan(found), np.eye(len(found)), found)
    known = np.maximum(known, SMALLEST)
    return known / known.sum(1, keepdims=True)
