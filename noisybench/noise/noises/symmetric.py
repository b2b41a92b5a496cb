"""Symmetric noise: a wrong label is any other class, all equally likely."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate
from noisybench.variants.flipping import Mode, flip_by_class, transition_of
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import uniform_law


@dataclass(frozen=True, slots=True)
class Symmetric:
    """Give a share ``rate`` of the labels another class, drawn uniformly.

    Attributes:
        rate: Share of labels that are redrawn; by default all of them become wrong.
        inclusive: Redraw from all classes, the own one included, as DivideMix, ELR and others do. The expected share
            of wrong labels is then ``rate * (1 - 1 / num_classes)``.

    Source: van Rooyen et al. 2015, arXiv:1505.07634, section 2 (exclusive); Li et al. 2020, arXiv:2002.07394
    (inclusive).
    """

    rate: float
    inclusive: bool = False
    found: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        k = source.num_classes
        targets = uniform_law(k, own=self.inclusive)
        chance = np.full(k, self.rate)
        labels, selected = flip_by_class(
            source.labels, source.clean, chance, targets, by_class=False, seed=seed, mode=mode
        )
        wrong = self.rate * (1 - 1 / k) if self.inclusive else self.rate
        return Draw(
            labels=labels,
            flip_probability=np.where(source.clean == UNKNOWN, np.nan, wrong),
            transition=transition_of(chance, targets),
            selected=selected,
            rate_definition="inclusive" if self.inclusive else "effective",
        )


NOISE: type[Noise] = Symmetric
