"""Transition matrices: checked, and counted."""

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadData


def count_transitions(labels: Labels, clean: Labels, num_classes: int) -> NDArray[np.int64]:
    """How many samples of clean class i are given class j, shape (k, k)."""
    counts = np.bincount(clean * num_classes + labels, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def check_transition(matrix: NDArray[np.float64], num_classes: int) -> None:
    """Raise ``BadData`` unless ``matrix`` is (k, k), not negative, with rows P(given | clean) that sum to one."""
    if matrix.shape != (num_classes, num_classes):
        msg = (
            f"a transition matrix of {num_classes} classes has shape ({num_classes}, {num_classes}), got {matrix.shape}"
        )
        raise BadData(msg)
    if not (matrix >= 0).all():  # NaN is not >= 0 either
        row, column = np.argwhere(~(matrix >= 0))[0]
        msg = f"transition[{row}, {column}] = {matrix[row, column]} is not a probability"
        raise BadData(msg)
    sums = matrix.sum(1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-8)  # noqa: PLR2004 - rounding of a sum
    if wrong.size:
        hint = "; its columns do: give the transpose" if np.allclose(matrix.sum(0), 1, atol=1e-8) else ""
        msg = f"row {wrong[0]} of the transition matrix sums to {sums[wrong[0]]:.6g}, expected 1{hint}"
        raise BadData(msg)
