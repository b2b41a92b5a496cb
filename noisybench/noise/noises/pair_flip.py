"""Pair-flip noise: a wrong label is the next class."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate
from noisybench.variants.flipping import Mode, flip_by_class, transition_of
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import mapped_law


@dataclass(frozen=True, slots=True)
class PairFlip:
    """Give a share ``rate`` of the labels the next class; the last class becomes the first.

    Attributes:
        rate: Share of labels that become wrong, in every class alike.

    Source: Han et al. 2018, arXiv:1804.06872, section 4 and appendix A.
    """

    rate: float
    found: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        chance = np.full(source.num_classes, self.rate)
        targets = mapped_law((np.arange(source.num_classes) + 1) % source.num_classes)
        labels, selected = flip_by_class(
            source.labels, source.clean, chance, targets, by_class=False, seed=seed, mode=mode
        )
        return Draw(
            labels=labels,
            flip_probability=np.where(source.clean == UNKNOWN, np.nan, self.rate),
            transition=transition_of(chance, targets),
            selected=selected,
            rate_definition="effective",
        )


NOISE: type[Noise] = PairFlip
