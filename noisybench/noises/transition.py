"""Noise by a transition matrix of your own: P(given class | clean class) from a file."""

from collections.abc import Callable
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_array, read_json
from noisybench.variants.flipping import Mode, flip_by_class
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import check_transition


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
        transition = read_matrix(self.matrix)
        check_transition(transition, source.num_classes)
        wrong = transition.copy()
        np.fill_diagonal(wrong, 0.0)
        chance = np.minimum(wrong.sum(1), 1.0)
        # The row of a class that is never wrong is never used; it only must not divide by zero.
        targets = np.where(
            chance[:, None] > 0, wrong / np.where(chance > 0, wrong.sum(1), 1.0)[:, None], np.eye(len(wrong))
        )
        labels, selected = flip_by_class(
            source.labels, source.clean, chance, targets, by_class=True, seed=seed, mode=mode
        )
        return Draw(
            labels=labels,
            flip_probability=np.where(source.clean == UNKNOWN, np.nan, chance[source.clean]),
            transition=transition,
            selected=selected,
        )


def read_matrix(path: Path) -> Floats:
    """The numbers of a file ``.npy``, ``.csv`` or ``.json`` as float64, of whatever shape they are.

    Raises:
        BadUsage: A file of another kind.
        BadData: The file is missing or does not hold rows of numbers of equal length.
    """
    readers: dict[str, Callable[[Path], Any]] = {
        ".npy": read_array,
        ".csv": _read_rows,
        ".json": read_json,
    }
    if path.suffix.lower() not in readers:
        msg = f"a transition matrix is a {', '.join(readers)} file, got '{path.name}'"
        raise BadUsage(msg)
    if not isfile(path):  # noqa: PTH113 - False for a text that can be no path, where Path.is_file raises
        msg = f"there is no transition matrix at {path}"
        raise BadData(msg)
    try:
        matrix = np.asarray(readers[path.suffix.lower()](path))
    except BadData:
        raise
    except (ValueError, OSError) as error:
        msg = f"{path} does not hold rows of numbers of equal length: {error}"
        raise BadData(msg) from None
    if matrix.dtype.kind not in "fiu":
        msg = f"{path} does not hold rows of numbers of equal length: it holds {matrix.dtype}"
        raise BadData(msg)
    return matrix.astype(np.float64)


def _read_rows(path: Path) -> list[list[float]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[float(cell) for cell in line.split(",")] for line in lines if line.strip()]


NOISE: type[Noise] = Transition
