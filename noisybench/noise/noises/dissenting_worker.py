"""Dissenting worker: all the wrong labels of one annotator, then of the next, until the rate is met."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate
from noisybench.ground.random_streams import permutation
from noisybench.noise.annotators import dissent, read_annotators
from noisybench.variants.flipping import Mode, select
from noisybench.variants.noise import Draw, Noise, require_mode


@dataclass(frozen=True, slots=True)
class DissentingWorker:
    """Give a share ``rate`` of the labels the wrong class that one annotator gave, annotator after annotator.

    Annotators come in an order drawn from the seed. Each gives all wrong labels of theirs that no earlier one has
    taken; of the last one, as many as the rate asks for, all equally likely. The flip probability is that for the drawn
    order of annotators: 1 for the labels of the first ones, a share for those of the last, 0 for the rest. As it depends
    on the other samples, there is no mode ``bernoulli``.

    Attributes:
        rate: Share of labels that become wrong; a rate that the annotators' dissent does not reach is refused.
        annotators: ``CIFAR-10_human.pt`` as published (three annotators, who reach 40.208 %), or integers of shape
            (annotators, n) in a ``.npy`` or ``.npz`` file, -1 where one did not answer, in the order of the source.

    Source: Goswami et al. 2023, arXiv:2306.09467, section 3. As in their public code, but that theirs stops silently
    where the dissent does not reach the rate.
    """

    rate: float
    annotators: Path
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("exact", "exact_per_class")

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("dissenting_worker", mode, self.modes)
        clean, known = source.clean, source.clean != UNKNOWN
        answers = read_annotators(self.annotators, source)
        wrong, wanted = dissent(answers, clean, self.rate)
        chance, goal = np.zeros(len(clean)), np.where(known, clean, source.labels)
        left = wanted
        for worker in permutation(seed, "workers", len(answers)):
            free = wrong[worker] & (goal == clean)
            chance[free] = min(left / max(int(free.sum()), 1), 1.0)
            goal[free] = answers[worker, free]
            left -= float(chance[free].sum())
            if left < 1e-9:  # noqa: PLR2004 - rounding of a sum
                break
        selected = select(chance, clean, by_class=False, seed=seed, mode=mode)
        return Draw(
            labels=np.where(selected, goal, np.where(known, clean, source.labels)),
            flip_probability=np.where(known, chance, np.nan),
            selected=selected,
            rate_definition="effective",
        )


NOISE: type[Noise] = DissentingWorker
