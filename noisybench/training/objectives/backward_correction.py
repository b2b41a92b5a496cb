"""Backward correction: the losses of all labels, weighted by the inverse transition matrix, are unbiased."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from noisybench.ground.errors import TrainingFailed
from noisybench.training.objective import Objective, State, Task
from noisybench.training.objectives._options import check_numbers, log_probabilities
from noisybench.training.objectives._transition import Correction

HIGHEST_CONDITION = 1e6
"""Condition number from which on a matrix counts as having no inverse: float32 has no digit to spare then."""


@dataclass(frozen=True, slots=True)
class BackwardCorrection(Correction):
    """Mean over the batch of (T⁻¹ ℓ)[given] = Σ_k T⁻¹[given, k] ℓ(x, k), with ℓ(x, k) = −log p(k | x).

    Its expectation over the given labels of a sample is the loss of its clean label, if the prediction does not depend
    on the given label that was drawn: true of other samples, and no longer of those that are learnt by heart. The
    weights of other labels are mostly negative: without a ``floor`` the loss falls without end as predictions become
    surer. With the identity as T this is cross-entropy, but for the floor.

    Attributes:
        floor: Addend to probabilities before their logarithm: the authors' code raises those below 1e-7 to it. 0 is
            cross-entropy itself, with which trainings end in losses that are no number.

    Source: Patrini et al. 2017, arXiv:1609.03683, the procedure "backward"; Natarajan et al. 2013 for two classes.
    Deviation: the paper estimates after a whole training with cross-entropy, and then trains afresh.
    """

    floor: float = 1e-7

    def __post_init__(self) -> None:
        Correction.__post_init__(self)
        check_numbers(self, floor=1)

    def prepared(self, transition: Tensor, task: Task) -> State:
        """T, and its inverse.

        Raises:
            TrainingFailed: It has none.
        """
        matrix = transition.double().cpu().numpy()
        condition = np.linalg.cond(matrix)
        if not condition < HIGHEST_CONDITION:
            msg = (
                f"the transition matrix has no inverse (condition number {condition:.1g}, which must be below "
                f"{HIGHEST_CONDITION:.0e}); say mix=0.1, or train with forward_correction"
            )
            raise TrainingFailed(msg)
        inverse = torch.tensor(np.linalg.inv(matrix), dtype=transition.dtype, device=task.labels.device)
        return {"transition": transition, "inverse": inverse}

    def corrected(self, logits: Tensor, labels: Tensor, state: State) -> Tensor:
        """Σ_k T⁻¹[given, k] (−log p[k]), mean over the batch."""
        return -(state["inverse"][labels] * log_probabilities(logits, self.floor)).sum(1).mean()


OBJECTIVE: type[Objective] = BackwardCorrection
