"""Forward correction: what the model says of the clean label is carried to the given one by the transition matrix."""

from dataclasses import dataclass

import torch
from torch import Tensor

from noisybench.ground.errors import BadUsage
from noisybench.training.objective import Objective, State, Task
from noisybench.training.objectives._options import log_probabilities
from noisybench.training.objectives._transition import Correction


@dataclass(frozen=True, slots=True)
class ForwardCorrection(Correction):
    """Mean over the batch of −log (Tᵀ p)[given] = −log Σ_i p[i] T[i, given], where T[i, j] = P(given j | clean i).

    With the identity as T this is cross-entropy. Its minimum over all of the distribution is where p is that of the
    clean label, if T is right. Computed as a log-sum-exp, so that no probability becomes zero on the way.

    Source: Patrini et al. 2017, arXiv:1609.03683, the procedure "forward". Deviation: the paper estimates after a whole
    training with cross-entropy, and then trains afresh.
    """

    def prepared(self, transition: Tensor, task: Task) -> State:
        """T itself.

        Raises:
            BadUsage: A label is given that, by the matrix, never is.
        """
        given = torch.bincount(task.labels[task.rows], minlength=task.num_classes) > 0
        impossible = given & (transition <= 0).all(0).to(given.device)
        if impossible.any():
            label = int(impossible.nonzero()[0])
            msg = f"class {label} is given to samples, and the transition matrix gives it to none; say mix=0.01"
            raise BadUsage(msg)
        return {"transition": transition}

    def corrected(self, logits: Tensor, labels: Tensor, state: State) -> Tensor:
        """−log (Tᵀ p)[given], mean over the batch."""
        return -torch.logsumexp(log_probabilities(logits) + state["transition"].log().T[labels], dim=1).mean()


OBJECTIVE: type[Objective] = ForwardCorrection
