"""Human-matched noise: the transition counts of real labels, given to other samples of the class."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.noise.annotators import check_counts_of, source_counts
from noisybench.variants.flipping import Mode, flip_by_class, law_of_labels
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import off_diagonal, row_sums


@dataclass(frozen=True, slots=True)
class Counterpart:
    """Draw class-conditional noise with the transition counts of a real label set, to set the two side by side.

    In mode ``exact_per_class``, on the samples that the counts are of, every cell of the realised counts is that of the
    real set: what differs is only which samples of a class are wrong. On a part of them, or in other modes, the counts
    are those expected, drawn as the mode says.

    Attributes:
        of: A label set of CIFAR-N (``aggre``, ``random1``, ``random2``, ``random3``, ``worse``, ``fine``); or the folder
            or ``labels.parquet`` of a variant; or a ``.npy``, ``.csv`` or ``.json`` file of counts or of probabilities,
            row i of clean class i.
        file: The file of CIFAR-N; None downloads it. Licence: CC BY-NC 4.0.

    Source: Wei et al. 2022, arXiv:2110.12088. They draw each label alone, so that counts differ by chance.
    """

    of: str | Path
    file: Path | None = None
    found: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", check_counts_of(self.of))  # a path, so that provenance names it by its digest

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        counts = source_counts(self.of, self.file, source)
        sizes = row_sums(counts)
        wrong = off_diagonal(counts)
        chance = row_sums(wrong) / np.where(sizes > 0, sizes, 1)
        targets = law_of_labels(wrong)
        labels, selected = flip_by_class(
            source.labels, source.clean, chance, targets, by_class=True, seed=seed, mode=mode
        )
        transition = law_of_labels(counts)
        return Draw(
            labels=labels,
            flip_probability=np.where(source.clean == UNKNOWN, np.nan, chance[source.clean]),
            transition=transition,
            selected=selected,
        )


NOISE: type[Noise] = Counterpart
