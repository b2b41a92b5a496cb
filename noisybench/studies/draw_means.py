"""Means over independent draws, as what was measured of a hypothesis."""

from collections.abc import Sequence

import numpy as np

from noisybench.statistics.column_means import LEVEL, student
from noisybench.studies.hypotheses import Effect

ALIKE = 1e-12
"""Standard error below which values differ by their rounding alone."""


def measured_over(values: Sequence[float], said: str, *, null: float = 0.0) -> Effect:
    """Mean of independent values from −1 to 1, with its 95 % interval and p-value by Student's t; no interval of a single one.

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
    p_value = _p_value(middle - max(0.0, null), error, units)
    return Effect(middle, max(middle - reach, -1.0), min(middle + reach, 1.0), units, said, null, p_value)


def _p_value(over: float, error: float, units: int) -> float:
    """Two-sided, by Student's t; by the sign test where all values are alike, of which t knows no spread."""
    from scipy.special import stdtr

    if error < ALIKE:
        return float(2.0 ** (1 - units)) if over else 1.0
    return float(2 * stdtr(units - 1, -abs(over) / error))
