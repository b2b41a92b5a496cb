"""Dissenting label: the wrong labels that some annotator gave, on samples picked at random."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.checks import check_rate
from noisybench.noise.annotators import dissent, read_annotators
from noisybench.variants.flipping import Mode, flip_by_law, select
from noisybench.variants.noise import Draw, Noise, require_mode

_BLOCK = 4096  # samples whose laws are given at a time


@dataclass(frozen=True, slots=True)
class DissentingLabel:
    """Give a share ``rate`` of the labels a class that at least one annotator gave, and that is not the clean one.

    Samples on which some annotator dissents from the clean label are equally likely to be picked; a picked one gets one
    of the dissenting classes, all equally likely however many annotators gave them. The others are never wrong. As the
    chance of a sample depends on how many others are disputed, there is no mode ``bernoulli``.

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
        require_mode("dissenting_label", mode, self.modes)
        known = source.clean != UNKNOWN
        answers = read_annotators(self.annotators, source)
        wrong, wanted = dissent(answers, source.clean, self.rate)
        disputed = wrong.any(0)
        chance = np.where(disputed, wanted / max(int(disputed.sum()), 1), 0.0)
        selected = select(chance, source.clean, by_class=False, seed=seed, mode=mode)
        laws = _laws(answers, wrong, selected, source.num_classes)
        return Draw(
            labels=flip_by_law(source.labels, source.clean, laws, seed=seed),
            flip_probability=np.where(known, chance, np.nan),
            selected=selected,
            rate_definition="effective",
        )


def _laws(
    answers: NDArray[np.int64], wrong: NDArray[np.bool_], selected: NDArray[np.bool_], num_classes: int
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Blocks of selected samples (m,) with weight 1 for each class that an annotator gave wrongly (m, k)."""
    members = np.flatnonzero(selected)
    for block in np.split(members, range(_BLOCK, len(members), _BLOCK)):
        weights = np.zeros((len(block), num_classes))
        annotator, sample = np.nonzero(wrong[:, block])
        weights[sample, answers[annotator, block[sample]]] = 1.0
        yield block, weights


NOISE: type[Noise] = DissentingLabel
