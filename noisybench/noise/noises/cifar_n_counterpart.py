"""Legacy: the synthetic counterpart of CIFAR-N, with the random stream of its authors' code."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from noisybench.data.source import Source
from noisybench.ground.errors import BadUsage
from noisybench.noise.annotators import LABEL_SETS, human_counts
from noisybench.noise.legacy_generators import draw_in_order
from noisybench.variants.flipping import Mode, law_of_labels
from noisybench.variants.noise import Draw, Noise, require_mode


@dataclass(frozen=True, slots=True)
class CifarNCounterpart:
    """Draw each label from the row of its clean class in the realised transition matrix of a label set of CIFAR-N.

    For seed 0 and the whole training set in its published order these are the labels of the authors' code without
    ``--is_human``. Drawn in mode ``bernoulli`` only. ``counterpart`` has the matrix exactly, in any order of the samples.

    Attributes:
        labels: A label set of CIFAR-N: ``aggre``, ``random1``, ``random2``, ``random3``, ``worse``, or ``fine``.
        file: ``CIFAR-10_human.pt`` or ``CIFAR-100_human.pt`` as published; None downloads it. Licence: CC BY-NC 4.0.

    Defects: the seed is always 0 in the code, so there is one such noise; its counts differ from people's by chance; the
    code divides columns and not rows by the size of the class, which is right only because CIFAR has equal classes.

    Source: Wei et al. 2022, arXiv:2110.12088. The stream is that of their public code, ``data/cifar.py``.
    """

    labels: Literal["aggre", "worse", "random1", "random2", "random3", "fine"]
    file: Path | None = None
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("bernoulli",)

    def __post_init__(self) -> None:
        if self.labels not in LABEL_SETS:
            msg = f"labels must be one of {', '.join(LABEL_SETS)}, got '{self.labels}'"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("cifar_n_counterpart", mode, self.modes)
        counts = human_counts(self.labels, self.file, source)
        return draw_in_order(source, law_of_labels(counts), seed=seed, rate_definition="none")


NOISE: type[Noise] = CifarNCounterpart
