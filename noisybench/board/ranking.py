"""Standing of each row of a table: its mean and interval, its rank among the rows that it competes with, and how sure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from noisybench.board.agreement import Agreement
from noisybench.board.averages import cells_of
from noisybench.board.information import RowBlock
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Run
from noisybench.statistics.resampling import Interval, LabelColumn, estimate, rank_sets

Group: TypeAlias = "Mapping[tuple[LabelColumn, int], tuple[Run, Agreement]]"
"""What a row averages over: label column and seed → run and its agreement."""


class League(NamedTuple):
    """Rows that compete with each other.

    Attributes:
        truth_learner: Whose memorization they are held against; each is a truth of its own.
        block: What they were made with.
        source: The data set; empty where several are pooled.
    """

    truth_learner: Learner | None
    block: RowBlock
    source: str = ""


class Standing(NamedTuple):
    """Where a row stands; see the fields of ``Row``."""

    mean: float
    low: float
    high: float
    interval: Interval
    rank: int | None
    rank_low: int | None
    rank_high: int | None


class AboutMetric(Protocol):
    """What the board needs to know of a metric."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a better detector has the higher value."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value there can be."""


def standings_of(groups: Sequence[Group], leagues: Sequence[League | None], about: AboutMetric) -> list[Standing]:
    """Standing of each row.

    Args:
        groups: What each row averages over.
        leagues: With whom each competes; None of one that has no rank.
        about: The metric.
    """
    cells = [cells_of((run, held.value) for run, held in group.values()) for group in groups]
    ranks: dict[int, tuple[int, int, int]] = {}
    for league in {one: None for one in leagues if one is not None}:
        contenders = [i for i, one in enumerate(leagues) if one == league and cells[i]]
        sets = rank_sets([cells[i] for i in contenders], higher_is_better=about.higher_is_better)
        ranks |= dict(zip(contenders, sets, strict=True))
    return [Standing(*estimate(cells[i], about.bounds), *ranks.get(i, (None, None, None))) for i in range(len(groups))]
