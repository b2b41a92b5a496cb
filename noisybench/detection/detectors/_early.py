"""The epochs early in training at which scores of a data diet are taken."""

import numpy as np
from numpy.typing import NDArray

from noisybench.training.trace import Column


def early_mean(column: Column) -> NDArray[np.float64]:
    """Mean over the epochs between 5 % and 10 % of training: (e, n) → (n,).

    Where none of them was observed, it is the first observed epoch after the window's start.
    """
    last = column.epochs[-1]
    first = int(np.argmax(20 * column.epochs >= last))
    beyond = int(np.searchsorted(10 * column.epochs, last, side="right"))
    return column.values[first : max(beyond, first + 1)].mean(0, dtype=np.float64)
