"""The leaderboard's rows as people read them: their cells, alike in every form, on the terminal and in Markdown."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from noisybench.board.captions import also_known_as, caption, without_truth
from noisybench.board.detector_table import Row
from noisybench.board.flags_table import BothRow, Quarters
from noisybench.board.information import in_words
from noisybench.board.model_table import ModelRow
from noisybench.board.model_words import (
    CORRECTED,
    KNOWS,
    OWN_DETECTION,
    SECONDS,
    at_share,
    equal_fit_title,
    percent,
    shares_shown,
)
from noisybench.board.row_words import (
    AnyRow,
    Rows,
    ablated,
    blocks_of,
    digits,
    metric_title,
    model_words,
    objective_words,
    recipe_words,
    short,
    shown_parts,
    span,
    versions_differ,
)
from noisybench.ground.text import cell, markdown_cell
from noisybench.runs.fit_words import FIT_WORDS

if TYPE_CHECKING:
    from rich.table import Table


MOST_OPTIONS = 2
"""Options that have a column each for people; more of them share one."""
NOTHING = {"–", "– / –"}


def to_markdown(rows: Rows) -> str:
    """A Markdown table for people, under its caption; that alone where there is no truth to rank by."""
    if without_truth(rows):
        return f"{markdown_cell(without_truth(rows))}\n"
    below = markdown_cell(also_known_as(rows))
    header, body = cells_for_people(rows)
    headings = headings_of(rows)
    lines = [header, ["---"] * len(header)]
    for number, line in enumerate(body):
        if number in headings:
            lines.append(_heading(header, f"**{markdown_cell(headings[number])}**"))
        lines.append([markdown_cell(one) for one in line])
    table = f"{markdown_cell(caption(rows))}\n\n{_piped(lines)}"
    return f"{table}\n{below}\n" if below else table


def to_table(rows: Rows, width: int | None = None) -> "Table":
    """A table for the terminal, with its caption, where what is alike in all rows is said once to save width.

    Args:
        rows: A line each.
        width: Characters that a line has; columns of parts that have no room lose their intervals, then the last go. None
            keeps all.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    header, body = cells_for_people(rows)
    alike, said = alike_in_all(rows, header, body)
    parts = {header.index(name) for name in shown_parts(rows)}
    shown = [position for position, name in enumerate(header) if name not in alike]
    if width is not None:
        shown, body, left = _fitting(header, body, shown, parts, width)
        said += left
    # Text, since a name may look like rich's markup
    table = Table(caption=Text(caption(rows) + said), caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    kept = {*OWN, FIT_WORDS["test_accuracy"] if "objective" in header else header[2], *shown_parts(rows)}
    for position in shown:
        table.add_column(Text(header[position]), no_wrap=header[position] in kept, overflow="fold")
    ends, headings = ends_of_blocks(rows), headings_of(rows)
    for number, line in enumerate(body):
        if number in headings:
            heading = _heading(header, headings[number])
            table.add_row(*(Text(heading[position], style="bold") for position in shown))
        table.add_row(*(Text(line[position]) for position in shown), end_section=number in ends)
    return table


def _fitting(
    header: Sequence[str], body: list[list[str]], shown: list[int], parts: set[int], width: int
) -> tuple[list[int], list[list[str]], str]:
    """Columns and cells for lines of a width, and a sentence on what of the parts is left out; of few parts, all."""

    def needed() -> int:
        return 1 + sum(2 + max(len(line[i]) for line in (header, *body)) for i in shown)

    if not parts or needed() <= width:
        return shown, body, ""
    body = [[text.partition(" [")[0] if i in parts else text for i, text in enumerate(line)] for line in body]
    there = [i for i in shown if i in parts]
    while len(there) > 1 and needed() > width:
        shown = [i for i in shown if i != there[-1]]
        there.pop()
    less = len(parts) - len(there)
    further = f" and {less} further part{'s' * (less != 1)}" if less else ""
    return shown, body, f" Intervals of parts{further} have no room here; markdown, csv and json have them."


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Any header and lines of cells as a Markdown table."""
    return _piped([list(map(markdown_cell, line)) for line in (header, ["---"] * len(header), *body)])


def _piped(lines: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


OWN = {"rank", "kind", "detector"}
"""Columns that a table keeps, also where all rows are alike in them; so is that of the value."""


def alike_in_all(rows: Rows, header: Sequence[str], body: Sequence[Sequence[str]]) -> tuple[list[str], str]:
    """Names of the columns that are alike in all rows but references, which have none, and a sentence of what they hold."""
    of_models = bool(rows) and isinstance(rows[0], ModelRow)
    if len(rows) < 2 or (of_models and "objective" not in header):  # noqa: PLR2004 - a table of one row has nothing to save
        return [], ""
    kept = {*OWN, header[2], *shown_parts(rows)} if not of_models else {*header} - {"model", "recipe"}
    columns = {name: cells for name, *cells in zip(header, *body, strict=True) if name not in kept}
    alike = [name for name, cells in columns.items() if len(set(cells) - NOTHING) == 1]
    told = set() if of_models or {"model", "recipe"} - {*alike} else {"model", "recipe"}  # which the caption says
    said = "; ".join(f"{name} {columns[name][0]}" for name in alike if name not in told)  # references come last
    return alike, f" In all rows: {said}." if said else ""


def headings_of(rows: Rows) -> dict[int, str]:
    """Line of a table → the data set whose rows begin with it; empty where there is one, which the caption names."""
    sources = [row.source for row in rows]
    if len(set(sources)) < 2:  # noqa: PLR2004 - nothing to tell apart
        return {}
    return {i: source for i, source in enumerate(sources) if i == 0 or sources[i - 1] != source}


def _heading(header: Sequence[str], words: str) -> list[str]:
    """A line that names the rows below it, in the column of their names."""
    place = header.index("detector") if "detector" in header else 0
    return ["" if i != place else words for i in range(len(header))]


def cells_for_people(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the columns for people, alike in every form."""
    first = rows[0] if rows else None
    shape = (
        _of_models(rows)
        if isinstance(first, ModelRow)
        else _of_flags(rows)
        if isinstance(first, BothRow)
        else _of_detectors(rows)
    )
    options = ablated(rows)
    if len(options) > MOST_OPTIONS:
        shape["options"] = partial(_options, options)
    else:
        shape |= {f"option {name}" if name in shape else name: partial(_option, name) for name in options}
    shape["variants × seeds"] = _runs
    if versions_differ(rows):
        shape["trained by"] = lambda row: row.version or "–"
    return list(shape), [[cell(say(row)) for say in shape.values()] for row in rows]


Shape: TypeAlias = "dict[str, Callable[[Any], str]]"
"""Name of each column → what it says of a row."""


def _of_models(rows: Rows) -> Shape:
    known = [row for row in rows if isinstance(row, ModelRow)]
    shares, by = shares_shown(known), objective_words(row.learner for row in known)
    return {
        "model": lambda row: row.learner.model,
        "recipe": recipe_words(rows, objective_too=False),
        **({"objective": lambda row: by(row.learner)} if any(row.learner.objective for row in known) else {}),
        **({"knows": lambda row: KNOWS.get(row.knows, row.knows)} if any(row.block for row in known) else {}),
        **{words: partial(_span, name=name) for name, words in FIT_WORDS.items()},
        **({equal_fit_title([*shares.values()]): partial(_at_right, shares)} if shares else {}),
        **({OWN_DETECTION: partial(_span, name="own_detection")} if any(row.own_detector for row in known) else {}),
        **(
            {CORRECTED: partial(_span, name="corrected")} if any(not math.isnan(row.corrected) for row in known) else {}
        ),
        **({SECONDS: lambda row: short(row.seconds)} if any(not math.isnan(row.seconds) for row in known) else {}),
    }


def _at_right(shares: Mapping[str, float], row: ModelRow) -> str:
    """Wrong labels fitted at the share of right labels of a row's data set, which is named where data sets differ in it."""
    at = at_share(row, shares.get(row.source))
    if at is None or math.isnan(at.wrong):
        return "–"
    return span(at.wrong, at.low, at.high) + (f" at {percent(at.right)}" if len(set(shares.values())) > 1 else "")


def _of_flags(rows: Rows) -> Shape:
    one_truth = len({row.truth_learner for row in rows if isinstance(row, BothRow)}) == 1
    return {
        "kind": lambda row: row.kind,
        "detector": lambda row: row.detector,
        "false alarms": lambda row: _span(row, "false_alarms", "low", "high"),
        **{quarter.replace("_", ", "): partial(_quarter, quarter) for quarter in Quarters._fields},
        "model": model_words,
        "recipe": recipe_words(rows),
        "information": _information,
        **({} if one_truth else {"truth of": _whose}),
        "learner": _matched,
    }


def _of_detectors(rows: Rows) -> Shape:
    first = rows[0] if rows else None
    title = metric_title(first) if isinstance(first, Row) else "agreement"
    of_memorization = isinstance(first, Row) and first.truth_learner is not None
    return {
        "rank": _rank,
        "detector": lambda row: row.detector,
        title: lambda row: _span(row, "mean", "low", "high"),
        **{name: partial(_part, name) for name in shown_parts(rows)},
        "model": model_words,
        "recipe": recipe_words(rows),
        "information": _information,
        **({"truth of": _whose, "learner": _matched} if of_memorization else {}),
        "wrong / right labels fitted": lambda row: f"{short(row.mislabeled_fit)} / {short(row.clean_fit)}",
        "seconds": lambda row: short(row.seconds),
        "extra passes": lambda row: "–" if math.isnan(row.passes) else f"{row.passes:g}",
        **_further(rows),
    }


def _further(rows: Rows) -> Shape:
    """The further figures of rows that have any, see ``FurtherFigures``."""
    shape: Shape = {}
    known = [row for row in rows if isinstance(row, Row)]
    if any(row.worst_class for row in known):
        shape["worst class"] = lambda row: (
            f"{row.worst_class}: {digits(row.worst_class_value)}" if row.worst_class else "–"
        )
    if any(not math.isnan(row.top_overlap) for row in known):
        shape["same top between seeds"] = lambda row: short(row.top_overlap)
    if any(not math.isnan(row.false_flags) for row in known):
        shape["flagged of a clean set"] = lambda row: digits(row.false_flags)
    return shape


def _part(name: str, row: Row) -> str:
    return next((span(part.mean, part.low, part.high) for part in row.parts if part.name == name), "–")


def _option(name: str, row: AnyRow) -> str:
    value = dict(row.ablation).get(name)
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _options(names: Sequence[str], row: AnyRow) -> str:
    told = [f"{name}={_option(name, row)}" for name in names if name in dict(row.ablation)]
    return ", ".join(told) or "–"


def _runs(row: AnyRow) -> str:
    return f"{row.variants} × {row.seeds}" + ("" if row.complete else ", incomplete")


def _quarter(quarter: str, row: BothRow) -> str:
    return f"{short(getattr(row, f'caught_{quarter}'))} / {short(getattr(row, f'flags_{quarter}'))}"


def _information(row: Row | BothRow) -> str:
    return "–" if row.kind == "reference" else in_words(row.information, row.pretrained, declared=row.declared)


def ends_of_blocks(rows: Rows) -> set[int]:
    """The lines behind which another data set, block of detectors, or the controls begin; none of a table of one block."""
    kinds = [
        (row.source, row.block if isinstance(row, ModelRow) else (row.kind, row.kind == "detector" and row.block))
        for row in rows
    ]
    if len(blocks_of(rows)) < 2 and not any(blocks_of(rows)):  # noqa: PLR2004 - nothing to tell apart
        kinds = [(source, "") for source, _ in kinds]
    return {i for i, (one, after) in enumerate(pairwise(kinds)) if one != after}


def _whose(row: Row | BothRow) -> str:
    return row.truth_learner.name if row.truth_learner is not None else "–"


def _matched(row: Row | BothRow) -> str:
    return "–" if row.matched is None else "matched" if row.matched else "transferred"


def _rank(row: Row) -> str:
    if row.rank is None:
        lacking = not row.complete and not math.isnan(row.mean)
        return row.kind if row.kind != "detector" else "incomplete" if lacking else "–"
    return f"{row.rank} [{row.rank_low}, {row.rank_high}]"


def _span(row: AnyRow, name: str, low: str = "", high: str = "") -> str:
    return span(*(getattr(row, field) for field in (name, low or f"{name}_low", high or f"{name}_high")))
