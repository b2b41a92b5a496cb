"""Estimates with their 95 % intervals over samples."""

from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054  # 97.5 % point of the standard normal law


class Estimate(NamedTuple):
    """A value and its 95 % interval over samples, for these labels and this one model."""

    value: float
    low: float
    high: float


NOTHING = Estimate(np.nan, np.nan, np.nan)


def logit_interval(value: float, variance: float) -> Estimate:
    """A 95 % interval that is symmetric on the logit scale and so stays within [0, 1]."""
    if not 0 < value < 1:
        return Estimate(value, value, value)
    centre = np.log(value / (1 - value))
    reach = Z95 * np.sqrt(variance) / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-np.clip([centre - reach, centre + reach], -700, 700)))
    return Estimate(value, float(low), float(high))


def wilson(share: float, n: int) -> Estimate:
    """Wilson's 95 % interval of a share of ``n``, which may be an expectation over ties.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    reach = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    # A share of 0 or 1 is an end of its interval, which rounding may miss.
    return Estimate(share, float(max(min(centre - reach, share), 0)), float(min(max(centre + reach, share), 1)))
