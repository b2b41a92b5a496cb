"""Wrong labels fitted at equal right labels fitted: what stopping early gives too is no merit of a training.

A training that is stopped early has fitted fewer wrong labels than one that goes on, and fewer right ones as well. Two
trainings are compared where they have fitted the same share of the right labels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from noisybench.ground.arrays import Floats, as_array
from noisybench.ground.errors import BadData, BadUsage


def wrong_at_right(right: ArrayLike, wrong: ArrayLike, shares: Sequence[float]) -> Floats:
    """Share of wrong labels fitted when a share of the right ones is first fitted: (e,), (e,) and (s,) → (s,).

    The first of the observed epochs with at least that share of the right labels ends the way to it. Between this epoch
    and the one observed before it, both shares are taken to move in a straight line. What comes later plays no part, so
    that a curve may go back and forth. Epochs in which either share is unknown are passed over.

    Args:
        right: Share of the right labels fitted after each epoch, NaN where unknown.
        wrong: Share of the wrong labels fitted after the same epochs.
        shares: Shares of the right labels, from 0 to 1.

    Returns:
        NaN where the share is never reached, and where the first observed epoch is beyond it already.

    Raises:
        BadData: The curves are no numbers, or not of the same epochs.
        BadUsage: A share is not from 0 to 1.

    >>> wrong_at_right([0.5, 0.7, 0.9], [0.1, 0.2, 0.6], [0.4, 0.5, 0.8, 0.95]).round(3).tolist()
    [nan, 0.1, 0.4, nan]
    """
    across, up, wanted = (
        _numbers(values, what) for values, what in ((right, "right"), (wrong, "wrong"), (shares, "shares"))
    )
    if across.ndim != 1 or across.shape != up.shape:
        msg = f"curves must have one value an epoch each, got shapes {across.shape} and {up.shape}"
        raise BadData(msg)
    if wanted.ndim != 1:
        msg = f"shares must be a list of shares of right labels, got shape {wanted.shape}"
        raise BadData(msg)
    beyond = wanted[~((wanted >= 0) & (wanted <= 1))]
    if beyond.size:
        msg = f"shares of right labels are from 0 to 1, got {beyond[0]:g}"
        raise BadUsage(msg)
    known = np.isfinite(across) & np.isfinite(up)
    across, up = across[known], up[known]
    found = np.full(wanted.shape, np.nan)
    if not across.size:
        return found
    reached = across[:, None] >= wanted  # (e, s)
    end = reached.argmax(0)
    exact = reached.any(0) & (across[end] == wanted)
    found[exact] = up[end[exact]]
    between = reached.any(0) & ~exact & (end > 0)
    after, before = end[between], end[between] - 1
    part = (wanted[between] - across[before]) / (across[after] - across[before])
    found[between] = up[before] + part * (up[after] - up[before])
    return found


def _numbers(values: ArrayLike, what: str) -> Floats:
    """Real numbers as float64, or ``BadData``."""
    array = as_array(values, what=what)
    if array.dtype.kind not in "biuf":
        msg = f"{what} must be real numbers, got {array.dtype}"
        raise BadData(msg)
    return array.astype(np.float64)
