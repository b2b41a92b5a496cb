"""Legacy: inclusive symmetric noise with the random stream of the DivideMix code."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate
from noisybench.variants.flipping import Mode, transition_of
from noisybench.variants.noise import Draw, Noise, require_mode
from noisybench.variants.transitions import uniform_law


@dataclass(frozen=True, slots=True)
class DivideMixSymmetric:
    """Redraw ``int(rate * n)`` labels from all classes, the own one included, as the DivideMix code does for a seed.

    Ids are shuffled, the first ones taken, and new labels drawn in the order of the ids, all from Python's ``random``
    seeded once; the published script seeds it with 123 by default and draws nothing else before. Drawn in mode
    ``exact`` only. ``symmetric`` with ``inclusive=true`` draws the law in every mode, in any order.

    Attributes:
        rate: Share of labels that are redrawn. The share of wrong ones is ``rate * (1 - 1 / k)``: 0.45 for 0.5 and ten
            classes.

    Defects: one in k of the chosen labels stays right, so "50 %" is 45 %; the count is cut, not rounded (0.29 of 50,000
    are 14,499); the code keeps its noise in a file whose name holds rate and kind but no seed, so that a later run with
    another seed may read the noise of the first.

    Source: Li et al. 2020, arXiv:2002.07394, section 4. The stream is that of their public code, ``dataloader_cifar.py``.
    """

    rate: float
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("exact",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("dividemix_symmetric", mode, self.modes)
        k = source.num_classes
        known = source.clean != UNKNOWN
        ids = np.flatnonzero(known).tolist()
        generator = Random(seed)
        generator.shuffle(ids)
        chosen = np.sort(np.array(ids[: int(self.rate * len(ids))], dtype=np.intp))
        labels = np.where(known, source.clean, source.labels)
        labels[chosen] = [generator.randint(0, k - 1) for _ in chosen]
        selected = np.zeros(len(labels), dtype=np.bool_)
        selected[chosen] = True
        return Draw(
            labels=labels,
            flip_probability=np.where(known, self.rate * (1 - 1 / k), np.nan),
            transition=transition_of(np.full(k, self.rate), uniform_law(k, own=True)),
            selected=selected,
            rate_definition="inclusive",
        )


NOISE: type[Noise] = DivideMixSymmetric
