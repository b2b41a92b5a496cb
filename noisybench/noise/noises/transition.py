"""Noise by a transition matrix of your own: P(given class | clean class) from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.noise.matrix_files import read_matrix
from noisybench.variants.flipping import Mode, flip_by_class, law_of_labels
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import check_transition, compact, off_diagonal, row_sums


@dataclass(frozen=True, slots=True)
class Transition:
    """Draw each label from the row of its clean class.

    Attributes:
        matrix: A file ``.npy``, ``.csv`` (commas, no header) or ``.json`` (a list of rows) of shape (k, k). Row i holds
            P(given | clean i) and sums to one; cleanlab's noise matrix is the transpose of this.

    Source: Patrini et al. 2017, arXiv:1609.03683, section 2.
    """

    matrix: Path
    found: ClassVar[bool] = False

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        transition = compact(read_matrix(self.matrix))
        check_transition(transition, source.num_classes)
        wrong = off_diagonal(transition)
        chance = np.minimum(row_sums(wrong), 1.0)
        targets = law_of_labels(wrong)
        labels, selected = flip_by_class(
            source.labels, source.clean, chance, targets, by_class=True, seed=seed, mode=mode
        )
        return Draw(
            labels=labels,
            flip_probability=np.where(source.clean == UNKNOWN, np.nan, chance[source.clean]),
            transition=transition,
            selected=selected,
        )


NOISE: type[Noise] = Transition
