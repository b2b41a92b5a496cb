"""Words of a row: what every table and its caption say of a learner, a recipe, a metric and a block."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from noisybench.board.detector_table import Row, about_metric
from noisybench.board.flags_table import BothRow
from noisybench.board.information import RowBlock
from noisybench.board.model_table import ModelRow
from noisybench.board.parts import MEAN_OF_CLASSES
from noisybench.memorization.learner import Learner

MOST_PARTS = 12
"""Columns of parts that people are shown."""
MOST_DECIMALS = 4
CROSS_ENTROPY = "cross_entropy"
"""What a table calls the objective of a learner that names none, beside others that do."""
AnyRow: TypeAlias = Row | ModelRow | BothRow
Rows: TypeAlias = Sequence[Row] | Sequence[ModelRow] | Sequence[BothRow]


def recipe_words(rows: Rows, *, objective_too: bool = True) -> Callable[[AnyRow], str]:
    """What a table says of a row's recipe: its digest too, where no recorded option tells another row from it.

    Args:
        rows: Of the table.
        objective_too: Whether it says the objective, which a table of models has a column for.
    """
    by = objective_words(row.learner for row in rows) if objective_too else lambda _: ""
    setups: dict[tuple[object, ...], set[str]] = {}
    for row in rows:
        setups.setdefault((*shown_of(row.learner), row.observe, row.ablation), set()).add(row.setup)

    def said(row: AnyRow) -> str:
        same = len(setups[*shown_of(row.learner), row.observe, row.ablation]) == 1
        if row.regime == "given":
            return row.learner.recipe or "–"
        if row.regime == "features":
            return "no training" if same else f"no training, {row.setup[:8]}"
        if row.regime == "answers":
            return f"no training, {row.observe}" if same else f"no training, {row.observe}, {row.setup[:8]}"
        epochs = f"{row.learner.epochs} epochs" if row.learner.epochs else ""  # none of what scikit-learn fits
        words = ", ".join(filter(None, (row.learner.recipe, epochs, by(row.learner))))
        words += {
            "after": "",
            "held out": ", pool",
            "two halves": ", two halves",
            "threshold samples": ", threshold samples",
        }.get(row.observe, f", observed {row.observe}")
        return words if same else f"{words}, {row.setup[:8]}"

    return said


def objective_words(learners: Iterable[Learner]) -> Callable[[Learner], str]:
    """What some learners are told apart by: what each minimised; nothing where all of them minimised cross-entropy."""
    named = any(learner.objective for learner in learners)
    return lambda learner: (learner.objective or CROSS_ENTROPY) if named and learner.epochs else ""


def versions_differ(rows: Rows) -> bool:
    """Whether different versions of noisybench trained the rows."""
    return len({row.version for row in rows} - {""}) > 1


def metric_title(row: Row) -> str:
    """What its metric is called."""
    return about_metric(row.metric).title


def model_words(row: Row | BothRow) -> str:
    """What answered, and on what features."""
    learner = row.learner
    if not learner.model:  # a reference
        return "–"
    if row.regime == "features":
        return f"frozen {learner.features}"
    if row.regime == "answers" and "held_out" in row.information:
        return f"{learner.model} and frozen {learner.features}"
    return learner.model if learner.features in ("input", "given") else f"{learner.model} on {learner.features}"


def shown_of(learner: Learner) -> tuple[str, str, str, int, str]:
    """What a table shows of a learner."""
    return learner.model, learner.recipe, learner.objective, learner.epochs, learner.features


def blocks_of(rows: Rows) -> list[RowBlock]:
    """The blocks of the detectors, or learners, of a table, in order."""
    return list(dict.fromkeys(row.block for row in rows if isinstance(row, ModelRow) or row.kind == "detector"))


def ablated(rows: Rows) -> list[str]:
    """Names of the options that have a column each, since rows differ in nothing else that a table shows."""
    return list(dict.fromkeys(name for row in rows for name, _ in row.ablation))


def shown_parts(rows: Rows) -> list[str]:
    """Names of the parts that have a column for people: all, or of very many those in which the best detector is worst."""
    found = [row for row in rows if isinstance(row, Row) and row.parts]
    if not found:
        return []
    best = next((row for row in found if row.rank == 1), found[0])
    names = [part.name for part in best.parts]
    sign = 1 if about_metric(best.metric).higher_is_better else -1
    mean = [name for name in names if name == MEAN_OF_CLASSES]
    parts = [part for part in best.parts if part.name != MEAN_OF_CLASSES]
    if len(parts) <= MOST_PARTS:
        return names
    worst = sorted(parts, key=lambda part: (math.isnan(part.mean), sign * part.mean))
    return [*mean, *(part.name for part in worst[:MOST_PARTS])]


def span(mean: float, low: float, high: float) -> str:
    """A value and its interval, rounded so that half the width of this has two digits, to at most four decimals."""
    half = (high - low) / 2
    if math.isnan(half):
        return digits(mean)
    decimals = 3 if half < 1e-9 else min(max(1 - math.floor(math.log10(half)), 1), MOST_DECIMALS)  # noqa: PLR2004 - but for rounding

    def rounded(value: float) -> str:
        return digits(value) if 0 < abs(value) < 1e-3 else f"{value:.{decimals}f}"  # noqa: PLR2004 - else 0.000

    return f"{rounded(mean)} [{rounded(low)}, {rounded(high)}]"


def short(value: float) -> str:
    """A number of two decimals; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.2f}"


def digits(value: float) -> str:
    """A number of as many decimals as it takes to see something of it; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"  # noqa: PLR2004 - else 0.000
