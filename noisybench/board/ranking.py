"""Standing of each row of a table: its mean and interval, its rank among the rows that it competes with, and how sure."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from noisybench.board.agreement import Agreement
from noisybench.board.information import RowBlock
from noisybench.board.truths import MEMORIZATION
from noisybench.ground.arrays import Bools
from noisybench.ground.errors import BadUsage
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Run
from noisybench.statistics.column_means import Interval, LabelColumn, mean, settings_of
from noisybench.statistics.comparisons import compare, equivalent_to, rank_sets, resolution_floor, surely_worse
from noisybench.statistics.crossed import RowValues, SampleParts, coverage, variance_parts
from noisybench.statistics.moderation import moderated_rank_sets
from noisybench.statistics.row_intervals import Law, row_intervals

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
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    surely_worse: bool | None = None
    equivalent: bool | None = None
    floor: float = math.nan
    moderated: bool = False


EXACT = ("flag_nothing", "perfect")
"""References whose values follow from the numbers of wrong and right labels alone."""
NOWHERE = Standing(math.nan, math.nan, math.nan, "none")
"""Standing of a row without a value."""


class AboutMetric(Protocol):
    """What the board needs to know of a metric."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a better detector has the higher value."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value there can be."""


class SampleEvidence(NamedTuple):
    """How to know what samples do to rows.

    Attributes:
        parts: Rows that have the same label columns → what samples do to their means; None where that is not known.
        law: Of the metric, see ``row_intervals``.
    """

    parts: Callable[[Sequence[Group]], SampleParts | None]
    law: Law | None


NO_SAMPLES = SampleEvidence(lambda _: None, None)
"""What is known where values alone are given."""


def standings_of(
    groups: Sequence[Group],
    leagues: Sequence[League | None],
    about: AboutMetric,
    evidence: SampleEvidence = NO_SAMPLES,
    *,
    moderated: bool = False,
) -> list[Standing]:
    """Standing of each row.

    Args:
        groups: What each row averages over.
        leagues: With whom each competes; None of one that has no rank.
        about: The metric.
        evidence: How to know what samples do to rows.
        moderated: Whether ranks are by moderated t over draws or seeds, see ``moderation``; of AUROCs alone.

    Raises:
        BadUsage: They cannot be, see ``moderated_ranks``.
    """
    values = [_values_of(group) for group in groups]
    standings = [NOWHERE] * len(groups)
    for members, ranked in _companies(values, leagues):
        samples = evidence.parts([groups[i] for i in members])
        exact = np.array([all(_is_exact(held) for _, held in groups[i].values()) for i in members])
        found = _standings([values[i] for i in members], samples, evidence.law, about, exact, ranked=ranked)
        if moderated and ranked:
            found = moderated_ranks([values[i] for i in members], found)
        for i, standing in zip(members, found, strict=True):
            standings[i] = standing
    return standings


def _values_of(group: Group) -> RowValues:
    """The finite values of a row."""
    found: dict[LabelColumn, dict[int, float]] = {}
    for (column, seed), (_, held) in group.items():
        if math.isfinite(held.value):
            found.setdefault(column, {})[seed] = held.value
    return found


def _companies(values: Sequence[RowValues], leagues: Sequence[League | None]) -> Iterator[tuple[list[int], bool]]:
    """Rows that have a value and the same label columns: those of each league, and those of none."""
    found: dict[object, list[int]] = {}
    for i, (row, league) in enumerate(zip(values, leagues, strict=True)):
        if row:
            found.setdefault((league, frozenset(row)), []).append(i)
    for (league, _), members in found.items():  # type: ignore[misc]
        yield members, league is not None


def _is_exact(held: Agreement) -> bool:
    """Whether an agreement is what it is whatever the samples: of the truth with itself, or of no opinion."""
    return held.kind == "reference" and held.detector in EXACT and held.truth != MEMORIZATION


def _standings(
    rows: Sequence[RowValues],
    samples: SampleParts | None,
    law: Law | None,
    about: AboutMetric,
    exact: Bools,
    *,
    ranked: bool,
) -> list[Standing]:
    """Standing of each of some rows that have the same label columns; a law says nothing of those that are exact."""
    means = np.array([mean({column: [*seeds.values()] for column, seeds in row.items()}) for row in rows])
    covered = [coverage(row, samples=samples is not None) for row in rows]
    parts = variance_parts(rows, samples)
    ends = row_intervals(means, parts, samples, law, about.bounds) if parts else []
    if parts and exact.any():
        alone = row_intervals(means, parts, samples, None, about.bounds)
        ends = [alone[i] if exact[i] else one for i, one in enumerate(ends)]
    found = [
        Standing(value, *(ends[i] if covered[i] != "none" else (math.nan, math.nan)), covered[i])
        for i, value in enumerate(means.tolist())
    ]
    if not ranked:
        return found
    unknown = _spreadless(rows) if samples is None else None
    compared = compare(means, parts, higher_is_better=about.higher_is_better, unknown=unknown)
    best = int(np.argmax(means if about.higher_is_better else -means))
    floor, worse, same = resolution_floor(compared), surely_worse(compared), equivalent_to(best, compared)
    return [
        Standing(*one[:4], *ranks, bool(worse[i]), None if i == best else bool(same[i]), floor)
        for i, (one, ranks) in enumerate(zip(found, rank_sets(compared), strict=True))
    ]


def moderated_ranks(rows: Sequence[RowValues], standings: Sequence[Standing]) -> list[Standing]:
    """The standings with ranks by moderated t, over the draws of one setting, or the seeds of its one draw.

    Raises:
        BadUsage: There are several settings, other seeds of each row, or one draw and one seed.
    """
    settings = settings_of(rows[0])
    columns = settings[0].columns
    seeds = sorted(rows[0][columns[0]])
    if len(settings) > 1:
        msg = f"moderated ranks are of one noise at one setting, and there are {len(settings)}; give the runs of one"
        raise BadUsage(msg)
    if len(columns) > 1:
        areas = np.array([[np.mean([*row[column].values()]) for column in columns] for row in rows])
    elif len(seeds) > 1 and all(sorted(row[columns[0]]) == seeds for row in rows):
        areas = np.array([[row[columns[0]][seed] for seed in seeds] for row in rows])
    else:
        msg = "moderated ranks need several noise draws, or several training seeds that all ranked rows have; leave them out"
        raise BadUsage(msg)
    return [
        one._replace(rank=rank, rank_low=low, rank_high=high, surely_worse=low > 1, floor=math.nan, moderated=True)
        for one, (rank, low, high) in zip(standings, moderated_rank_sets(areas), strict=True)
    ]


def check_moderated(metric: str, by: str | None) -> None:
    """Raise ``BadUsage`` for what has no moderated ranks: another metric than AUROC, or a table with columns of parts."""
    if metric != "auroc":
        msg = f"moderated ranks are of AUROCs, not of '{metric}'; leave one of the two out"
        raise BadUsage(msg)
    if by is not None:
        msg = "moderated ranks are of one noise at one setting, not of parts of a table; leave one of the two out"
        raise BadUsage(msg)


def _spreadless(rows: Sequence[RowValues]) -> Bools:
    """Rows that show no spread of their own in a setting of one label column, though seeds are all that is known, (r,).

    No one is surely better or worse than they: a row that has fewer seeds than others, and all where none has two.
    """
    found = np.zeros(len(rows), dtype=bool)
    for setting in settings_of(rows[0]):
        if len(setting.columns) == 1:
            sizes = np.array([len(row[setting.columns[0]]) for row in rows])
            found |= (sizes < sizes.max()) | (sizes.max() < 2)  # noqa: PLR2004 - a spread needs two
    return found
