"""Parts of a table: a column for each noise, source, rate, class or label column, with intervals and ranks of its own."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from noisybench.board.agreement import Agreement
from noisybench.board.ranking import NO_SAMPLES, AboutMetric, Group, League, SampleEvidence, standings_of
from noisybench.board.subject import SHOWN_OF_AN_ID, nominal_rate
from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName
from noisybench.runs.reading import Run
from noisybench.statistics.column_means import LabelColumn

By = Literal["noise", "source", "rate", "class", "variant"]
"""What a table has a column for each of."""
MEAN_OF_CLASSES = "mean of classes"
_Key: TypeAlias = tuple[int, float, str]


class RowPart(NamedTuple):
    """A row's value among some of its label columns, or in one class.

    Attributes:
        name: Of the column of the table, as ``symmetric`` or ``class 3``.
        mean: As in ``Row``, as the others.
        low: Lower end of the 95 % interval.
        high: Upper end.
        rank: Among the same part of the other rows.
        rank_low: Best rank in the 95 % confidence set: 1 where it is not surely worse than the best.
    """

    name: str
    mean: float
    low: float
    high: float
    rank: int | None
    rank_low: int | None


class Division(NamedTuple):
    """What a table is divided into.

    Attributes:
        by: What it has a column for each of.
        pool: Whether several data sets are averaged; they have a block each otherwise.
    """

    by: By | None = None
    pool: bool = False


UNDIVIDED = Division()
"""One average over all, of each data set."""


def check_by(by: str | None) -> By | None:
    """What a table has columns for; raise ``UnknownName`` where there is no such thing."""
    for known in get_args(By):
        if by == known:
            checked: By = known
            return checked
    if by is not None:
        raise UnknownName(unknown(by, get_args(By), "column of parts"))
    return None


def groups_by(groups: Sequence[Group], by: By) -> dict[str, list[Group]]:
    """Name of each part → what each row averages over in it, the parts in order.

    Args:
        groups: What each row averages over.
        by: Any but ``class``.
    """
    part = _PARTS[by]
    found = sorted({part(run) for group in groups for run, _ in group.values()})
    return {
        key[-1]: [{at: held for at, held in group.items() if part(held[0]) == key} for group in groups] for key in found
    }


def named_classes(
    by_class: Mapping[int, Mapping[Path, Sequence[Agreement]]],
    runs: Sequence[Run],
    class_names: Mapping[str, Sequence[str]],
) -> dict[str, dict[Path, Sequence[Agreement]]]:
    """Name of each given class, as ``class cat`` → folder of each run → its agreements among the samples of the class.

    Args:
        by_class: Given class → folder of each run → its agreements.
        runs: The finished runs.
        class_names: Id of a variant → names of its classes.
    """
    ids = {run.path: run.record.variant_id for run in runs}
    named: dict[str, dict[Path, Sequence[Agreement]]] = {}
    for given, found in by_class.items():
        for path, agreements in found.items():
            names = class_names.get(ids.get(path, ""), ())
            name = names[given] if given < len(names) else given
            named.setdefault(f"class {name}", {})[path] = agreements
    return named


def mean_of_classes(by_class: Mapping[str, Sequence[Group]]) -> list[Group]:
    """What each row averages over where each class counts alike: its mean over those in which it has a value."""
    means: list[Group] = []
    for groups in zip(*by_class.values(), strict=True):
        values: dict[tuple[LabelColumn, int], list[float]] = {}
        held: dict[tuple[LabelColumn, int], tuple[Run, Agreement]] = {}
        for group in groups:
            for at, (run, agreement) in group.items():
                held[at] = run, agreement
                values.setdefault(at, []).extend([agreement.value] * math.isfinite(agreement.value))
        means.append(
            {
                at: (run, replace(one, value=float(np.mean(values[at])) if values[at] else math.nan))
                for at, (run, one) in held.items()
            }
        )
    return means


def parts_of(
    named: Mapping[str, Sequence[Group]],
    leagues: Sequence[League | None],
    about: AboutMetric,
    evidence: SampleEvidence = NO_SAMPLES,
) -> list[tuple[RowPart, ...]]:
    """The parts of each row, in the order given.

    Args:
        named: Name of each part → what each row averages over in it.
        leagues: With whom each row competes.
        about: The metric.
        evidence: How to know what samples do to rows; of the mean of classes it is not known.
    """
    rows: list[list[RowPart]] = [[] for _ in leagues]
    for name, groups in named.items():
        known = NO_SAMPLES if name == MEAN_OF_CLASSES else evidence
        for row, standing in zip(rows, standings_of(groups, leagues, about, known), strict=True):
            row.append(RowPart(name, standing.mean, standing.low, standing.high, standing.rank, standing.rank_low))
    return [tuple(row) for row in rows]


def _by_rate(run: Run) -> _Key:
    rate = nominal_rate(run.record)
    return (1, 0.0, "no rate") if math.isnan(rate) else (0, rate, f"rate={rate:g}")


_PARTS: Mapping[By, Callable[[Run], _Key]] = {
    "noise": lambda run: (0, 0.0, run.column.noise),
    "source": lambda run: (0, 0.0, run.column.source),
    "rate": _by_rate,
    "variant": lambda run: (0, 0.0, f"{run.column.noise} {run.record.variant_id[:SHOWN_OF_AN_ID]}"),
}
"""How a run's part is told: where it stands in the order, and its name."""
