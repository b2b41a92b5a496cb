"""Words of the table of models: at which share of right labels it compares, and what stands in its columns."""

import math
from collections.abc import Mapping, Sequence

from noisybench.board.model_table import AtRight, ModelRow
from noisybench.runs.fit_words import RIGHT_SHARES

OWN_DETECTION, CORRECTED, SECONDS = "own detection", "corrected labels", "seconds of training"

KNOWS: Mapping[str, str] = {"nothing": "nothing", "rate": "the rate", "transition": "the transition matrix"}
"""What an objective is told of the truth, in words."""


def shares_shown(rows: Sequence[ModelRow]) -> dict[str, float]:
    """Data set → the share of right labels at which people see its wrong labels fitted.

    The one that most of its rows have a value at, of several the highest; a data set none of whose rows has one is left out.
    """
    found: dict[str, float] = {}
    for source in dict.fromkeys(row.source for row in rows):
        there = [at.right for row in rows if row.source == source for at in row.at_right if not math.isnan(at.wrong)]
        if there:
            found[source] = max(RIGHT_SHARES, key=lambda share, there=there: (there.count(share), share))  # type: ignore[misc]
    return found


def at_share(row: ModelRow, share: float | None) -> AtRight | None:
    """What a row has fitted at a share of the right labels; None without such a share."""
    return next((at for at in row.at_right if at.right == share), None)


def equal_fit_title(shares: Sequence[float]) -> str:
    """What the column is called, of the shares at which it compares."""
    different = sorted(set(shares))
    return f"wrong labels fitted at {percent(different[0]) if len(different) == 1 else 'equal'} right"


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.95)
    '95 %'
    """
    return f"{100 * share:g} %"


def about_models(rows: Sequence[ModelRow]) -> list[str]:
    """Sentences on the columns of models, of those that a table has."""
    said = []
    shares = sorted(set(shares_shown(rows).values()))
    if shares:
        at = " or ".join(map(percent, shares))
        said.append(
            f"{equal_fit_title(shares).capitalize()}: where a training has first fitted {at} of the right labels; – where one "
            f"never has, or has after the first epoch that was observed."
        )
    if any(row.own_detector for row in rows):
        said.append(
            "Own detection: AUROC against wrong labels of what the objective leaves of each sample. Corrected labels: share "
            "of the wrong labels whose right class its target gives."
        )
    return said
