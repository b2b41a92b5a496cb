"""The leaderboard's rows as text: for the terminal, Markdown, CSV, JSON and LaTeX."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from noisybench.board.captions import also_known_as, caption, without_truth
from noisybench.board.curvature_steps import CurvatureStep
from noisybench.board.detector_table import Row
from noisybench.board.flags_table import BothRow, Quarters
from noisybench.board.information import in_words
from noisybench.board.model_table import ModelRow
from noisybench.board.row_words import (
    AnyRow,
    Rows,
    blocks_of,
    digits,
    metric_title,
    model_words,
    recipe_words,
    short,
    versions_differ,
)
from noisybench.ground.text import cell, markdown_cell, spreadsheet_cell, visible

if TYPE_CHECKING:
    from rich.table import Table


NOTHING = {"–", "– / –"}
_LATER = ("declared", "aliases", "clustered")  # fields since 0.4.0, last in every form
_OF_DETECTORS = (*CurvatureStep._fields, "neighbours_alike")
_NOT_YET_SHOWN = ("source", "subject", "parts", "ablation")


def to_records(rows: Rows) -> list[dict[str, Any]]:
    """Every field of every row, NaN as None: for JSON, pandas and others."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in _flat(row).items()}
        for row in rows
    ]


def _flat(row: AnyRow) -> dict[str, Any]:
    """Field → value in the order of 0.1.0, then what came since; a learner as its fields, whose memorization in words."""
    flat: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name == "learner":
            flat |= {"model": value.model, "recipe": value.recipe, "setup": row.setup, "observe": row.observe}
            flat |= {"features": value.features, "regime": row.regime, "trained": value.trained, "epochs": value.epochs}
        elif field.name == "truth_learner":
            flat[field.name] = value.name if value is not None else ""
        elif field.name not in (
            "version",
            "information",
            "pretrained",
            "block",
            *_LATER,
            *_OF_DETECTORS,
            *_NOT_YET_SHOWN,
        ):
            flat[field.name] = value
    flat["version"] = row.version
    if not isinstance(row, ModelRow):
        told = row.pretrained
        flat |= {"information": ", ".join(row.information), "block": row.block}
        flat |= {"pretrained": None, "pretrained_supervised": None, "pretrained_overlap": None}
        if told is not None:
            flat |= {
                "pretrained": told.data,
                "pretrained_supervised": told.supervised,
                "pretrained_overlap": told.overlap,
            }
        flat |= {"declared": row.declared, "aliases": ", ".join(row.aliases), "clustered": row.clustered}
    if isinstance(row, Row):
        flat |= {name: getattr(row, name) for name in _OF_DETECTORS}
    return flat


def to_json(rows: Rows) -> str:
    """A JSON list of ``to_records``."""
    return visible(json.dumps(to_records(rows), indent=2, ensure_ascii=False, allow_nan=False))


def to_csv(rows: Rows) -> str:
    """CSV with every field; NaN and None are empty."""
    text = io.StringIO()
    names = list(_flat(rows[0])) if rows else []
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for record in to_records(rows):
        writer.writerow(
            {name: spreadsheet_cell(value) if isinstance(value, str) else value for name, value in record.items()}
        )
    return text.getvalue()


def to_markdown(rows: Rows) -> str:
    """A Markdown table for people, under its caption; that alone where there is no truth to rank by."""
    if without_truth(rows):
        return f"{markdown_cell(without_truth(rows))}\n"
    below = markdown_cell(also_known_as(rows))
    table = f"{caption(rows).replace('<', '&lt;')}\n\n{markdown(*cells_for_people(rows))}"
    return f"{table}\n{below}\n" if below else table


def to_latex(rows: Rows) -> str:
    r"""A LaTeX table for people; needs ``\usepackage{booktabs}``. Where there is no truth to rank by, a sentence alone."""
    if without_truth(rows):
        return f"{_latex(without_truth(rows))}\n"
    header, body = cells_for_people(rows)
    lines = [" & ".join(map(_latex, line)) + r" \\" for line in (header, *body)]
    for end in sorted(ends_of_blocks(rows), reverse=True):
        lines.insert(end + 2, r"\midrule")
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(caption(rows))}}}",
            rf"\begin{{tabular}}{{{'l' * len(header)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_table(rows: Rows) -> "Table":
    """A table for the terminal, with its caption, where what is alike in all rows is said once to save width."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    header, body = cells_for_people(rows)
    own = ("rank", "kind", "detector", header[2])
    alike = [  # but for references, which have none
        name
        for name, *cells in zip(header, *body, strict=True)
        if len(rows) > 1 and len(set(cells) - NOTHING) == 1 and name not in own and not isinstance(rows[0], ModelRow)
    ]
    said = "; ".join(f"{name} {body[0][header.index(name)]}" for name in alike)  # references come last
    words = "\n".join(filter(None, (caption(rows) + (f" In all rows: {said}." if alike else ""), also_known_as(rows))))
    # Text, since a name may look like rich's markup
    table = Table(caption=Text(words), caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [position for position, name in enumerate(header) if name not in alike]
    for position in shown:
        table.add_column(Text(header[position]), no_wrap=header[position] in own, overflow="fold")
    ends = ends_of_blocks(rows)
    for number, line in enumerate(body):
        table.add_row(*(Text(line[position]) for position in shown), end_section=number in ends)
    return table


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Any header and lines of cells as a Markdown table."""
    lines = [header, ["---"] * len(header), *body]
    return "".join("| " + " | ".join(map(markdown_cell, line)) + " |\n" for line in lines)


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
    shape["variants × seeds"] = _runs
    if versions_differ(rows):
        shape["trained by"] = lambda row: row.version or "–"
    return list(shape), [[cell(say(row)) for say in shape.values()] for row in rows]


Shape: TypeAlias = "dict[str, Callable[[Any], str]]"
"""Name of each column → what it says of a row."""


def _of_models(rows: Rows) -> Shape:
    return {
        "model": lambda row: row.learner.model,
        "recipe": recipe_words(rows),
        "test accuracy": lambda row: _span(row, "test_accuracy"),
        "memorized share": lambda row: _span(row, "mislabeled_fit"),
        "clean share fitted": lambda row: _span(row, "clean_fit"),
        "susceptibility": lambda row: _span(row, "susceptibility"),
    }


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
        "model": model_words,
        "recipe": recipe_words(rows),
        "information": _information,
        **({"truth of": _whose, "learner": _matched} if of_memorization else {}),
        "memorized / clean fitted": lambda row: f"{short(row.mislabeled_fit)} / {short(row.clean_fit)}",
        "seconds": lambda row: short(row.seconds),
        "extra passes": lambda row: "–" if math.isnan(row.passes) else f"{row.passes:g}",
    }


def _runs(row: AnyRow) -> str:
    return f"{row.variants} × {row.seeds}" + ("" if row.complete else ", incomplete")


def _quarter(quarter: str, row: BothRow) -> str:
    return f"{short(getattr(row, f'caught_{quarter}'))} / {short(getattr(row, f'flags_{quarter}'))}"


def _information(row: Row | BothRow) -> str:
    return "–" if row.kind == "reference" else in_words(row.information, row.pretrained, declared=row.declared)


def ends_of_blocks(rows: Rows) -> set[int]:
    """The lines of a table behind which another block of detectors, or the controls, begin; none of a table of one block."""
    if len(blocks_of(rows)) < 2 and not any(blocks_of(rows)):  # noqa: PLR2004 - nothing to tell apart
        return set()
    kinds = [None if isinstance(row, ModelRow) else (row.kind, row.kind == "detector" and row.block) for row in rows]
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
    mean, *ends = (getattr(row, field) for field in (name, low or f"{name}_low", high or f"{name}_high"))
    return digits(mean) if any(map(math.isnan, ends)) else f"{digits(mean)} [{', '.join(map(digits, ends))}]"


def _latex(text: str) -> str:
    special: dict[str, str | int | None] = {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "×": r"$\times$",
        "–": "--",
    }
    return cell(text).translate(str.maketrans(special))
