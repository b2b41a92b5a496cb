"""Means over independent draws, as what was measured of a hypothesis."""

from collections.abc import Sequence

import numpy as np

from noisybench.statistics.column_means import LEVEL, student
from noisybench.studies.hypotheses import Effect

ALIKE = 1e-12
"""Standard error below which values differ by their rounding alone."""


def measured_over(values: Sequence[float], said: str, *, null: float = 0.0) -> Effect:
    """Mean of independent values from −1 to 1, with its 95 % interval and p-value by Student's t; no interval of a single one.

    Where all are alike, Student's t knows no spread: the sign test has the p-value, and there is an interval, without
    width, from as many units on as make it smaller than .05.

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
    if error < ALIKE and 2.0 ** (1 - units) > LEVEL:
        return Effect(middle, np.nan, np.nan, units, said, null, p_value)
    return Effect(middle, max(float(middle - reach), -1.0), min(float(middle + reach), 1.0), units, said, null, p_value)


def without_value(known: int, asked: int) -> str:
    """What is said of draws that have no value, as of a training that failed; empty where all have one."""
    return "" if known >= asked else f"; {asked - known} of {asked} draws have no value"


def _p_value(over: float, error: float, units: int) -> float:
    """Two-sided, by Student's t; by the sign test where all values are alike, of which t knows no spread."""
    from scipy.special import stdtr

    if error < ALIKE:
        return float(2.0 ** (1 - units)) if abs(over) >= ALIKE else 1.0
    return float(2 * stdtr(units - 1, -abs(over) / error))
