"""How much the predicted probabilities changed from epoch to epoch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from noisybench.training.asking import Batch
from noisybench.training.probe import Probe


@dataclass(frozen=True, slots=True)
class TimeInconsistency:
    """Moving average of the change of the prediction from one epoch to the next, in nats: (b, k) → (b,); 0 at first.

    The change is KL(before ‖ now) + |log before_y - log now_y|, where y is the class that was predicted before. It enters
    the average with the weight ``decay``, and what was before it with the rest. What is remembered is the logarithm of
    the last probabilities and the average, (n, k + 1) float32.

    Attributes:
        decay: Weight of the newest change. At .1 about the last ten changes count.

    Source: Zhou, Wang and Bilmes 2020, Time-Consistent Self-Supervision for Semi-Supervised Learning, ICML, section 3
    (the negative of their time-consistency). Its published text was not at hand: the change is as two accounts of it
    agree, and the decay is ours, as theirs is not known here.
    """

    decay: float = 0.1

    @property
    def name(self) -> str:
        return "time_inconsistency"

    @property
    def passes(self) -> float:
        return 0.0

    @property
    def gradient(self) -> bool:
        return False

    def __call__(self, batch: Batch) -> Tensor:
        return batch.logits.log_softmax(1)

    def gather(
        self,
        values: Tensor,
        labels: Tensor,  # noqa: ARG002 - the protocol
        memory: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """The average so far, and what the next epoch is compared with."""
        average = values.new_zeros(len(values))
        if memory is not None:
            before = memory[:, :-1]
            fell = before - values
            predicted = before.argmax(1, keepdim=True)
            change = (before.exp() * fell).sum(1).clamp_min(0) + fell.gather(1, predicted)[:, 0].abs()
            average = torch.lerp(memory[:, -1], change, self.decay)
        return average, torch.cat([values, average[:, None]], dim=1)


PROBE: Probe = TimeInconsistency()
