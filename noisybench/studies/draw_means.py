"""Means over independent draws, as what was measured of a hypothesis."""

from collections.abc import Sequence

import numpy as np

from noisybench.statistics.column_means import LEVEL, student
from noisybench.studies.hypotheses import Effect


def measured_over(values: Sequence[float], said: str, *, null: float = 0.0) -> Effect:
    """Mean of independent values with its 95 % interval and p-value by Student's t; no interval of a single one.

    Args:
        values: One of each unit, shape (u,).
        said: The setting, in words.
        null: What the effect must exceed beside zero.
    """
    each = np.array(values, dtype=np.float64)
    middle, units = float(each.mean()), len(each)
    if units == 1:
        return Effect(middle, np.nan, np.nan, 1, said, null)
    error = float(each.std(ddof=1)) / np.sqrt(units)
    reach = float(student(units - 1, LEVEL)) * error
    return Effect(
        middle, middle - reach, middle + reach, units, said, null, _p_value(middle - max(0.0, null), error, units)
    )


def _p_value(over: float, error: float, units: int) -> float:
    """Two-sided, by Student's t."""
    from scipy.special import stdtr

    if not error:
        return 1.0 if not over else 0.0
    return float(2 * stdtr(units - 1, -abs(over) / error))
