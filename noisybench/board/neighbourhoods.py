"""How often the two nearest others of a sample share its true class, which SimiFeat and HOC take to be always so."""

from collections.abc import Iterable

import numpy as np

from noisybench.runs.reading import Run
from noisybench.statistics.vicinity import share_of_one_class
from noisybench.training.trace import read_trace
from noisybench.variants.variant import read_variant

ENOUGH_ALIKE = 0.9
"""Share of samples from which the assumption is taken to hold."""
ASSUMING = ("simifeat_vote", "simifeat_rank")
"""Detectors that assume it."""
COLUMN = "features.two_nearest"


def share_of_true_neighbours(run: Run) -> float | None:
    """Share of samples whose two nearest others have their true class; None where no neighbours or no truth are known."""
    if run.record.regime != "features":
        return None
    trace = read_trace(run.path / "trace")
    if COLUMN not in trace.columns:
        return None
    variant = read_variant(run.home / "variant")
    share = share_of_one_class(variant.clean, trace[COLUMN][-1].astype(np.int64))
    return None if np.isnan(share) else share


def least_alike(members: Iterable[tuple[Run, str]]) -> float | None:
    """The least such share of the runs of a row; None where its detector does not assume it, or nobody knows.

    Args:
        members: The runs of the row, and the name that its detector has in each.
    """
    shares = [share_of_true_neighbours(run) for run, name in members if name in ASSUMING]
    return min((share for share in shares if share is not None), default=None)
