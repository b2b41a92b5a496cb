"""The given label: for detectors that must know which of the classes it is."""

from dataclasses import dataclass

from torch import Tensor

from noisybench.training.asking import Batch
from noisybench.training.probe import Probe, When


@dataclass(frozen=True, slots=True)
class Given:
    """The label that each sample is trained on: (b, ...) → (b,); asked once, as it is the same after every epoch."""

    name: str = "given"
    passes: float = 0.0
    gradient: bool = False
    when: When = "last_epoch"

    def __call__(self, batch: Batch) -> Tensor:
        return batch.labels


PROBE: Probe = Given()
