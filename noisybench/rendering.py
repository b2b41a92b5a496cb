"""The leaderboard's rows as text: for the terminal, Markdown, CSV, JSON and LaTeX."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from noisybench.leaderboard import ModelRow, Row, Rows, about_metric
from noisybench.resampling import weakest

if TYPE_CHECKING:
    from rich.table import Table


def caption(rows: Rows) -> str:
    """One or two sentences: what the table holds, what its intervals cover, and what is missing."""
    if not rows:
        return "No rows."
    first = rows[0]
    ranked = [row for row in rows if not isinstance(row, Row) or row.rank is not None] or list(rows)
    covers = {
        "draws": "95 % intervals cover new noise draws and training seeds",
        "seeds": "95 % intervals cover new training seeds only, as some setting has one noise draw",
        "none": "no intervals, as some setting has a single run",
    }[weakest({row.interval for row in ranked})]
    if isinstance(first, Row):
        part = "" if first.stratum == "all" else f" of {first.stratum} samples"
        what = f"{_title(first)} against '{first.truth}'{part}, mean over noise families"
        covers += "; behind a rank stands its 95 % confidence set"
    else:
        what = "Runs at the end of training, mean over noise families"
    incomplete = sum(not row.complete for row in rows)
    missing = [f"{first.unfinished} unfinished run{'s' * (first.unfinished != 1)} left out"] if first.unfinished else []
    if incomplete:
        rest = ", unranked" if isinstance(first, Row) else ""
        missing.append(f"{incomplete} incomplete row{'s' * (incomplete != 1)}{rest}")
    return f"{what}; {covers}." + (f" {'; '.join(missing).capitalize()}." if missing else "")


def to_records(rows: Rows) -> list[dict[str, Any]]:
    """Every field of every row, NaN as None: for JSON, pandas and others."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(row).items()}
        for row in rows
    ]


def to_json(rows: Rows) -> str:
    """A JSON list of ``to_records``."""
    return json.dumps(to_records(rows), indent=2, ensure_ascii=False, allow_nan=False)


def to_csv(rows: Rows) -> str:
    """CSV with every field; NaN and None are empty."""
    text = io.StringIO()
    names = [field.name for field in fields(rows[0])] if rows else []
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for record in to_records(rows):
        writer.writerow({name: _one_line(value) if isinstance(value, str) else value for name, value in record.items()})
    return text.getvalue()


def to_markdown(rows: Rows) -> str:
    """A Markdown table for people, under its caption."""
    return f"{caption(rows)}\n\n{markdown(*_cells_of(rows))}"


def to_latex(rows: Rows) -> str:
    r"""A LaTeX table for people; needs ``\usepackage{booktabs}``."""
    header, body = _cells_of(rows)
    lines = [" & ".join(_latex(cell) for cell in line) + r" \\" for line in (header, *body)]
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

    header, body = _cells_of(rows)
    own = ("rank", "detector", header[2])
    alike = [
        name
        for name, *cells in zip(header, *body, strict=True)
        if len(rows) > 1 and len(set(cells)) == 1 and name not in own and isinstance(rows[0], Row)
    ]
    said = "; ".join(f"{name} {body[0][header.index(name)]}" for name in alike)
    words = f"{caption(rows)} In all rows: {said}." if alike else caption(rows)
    # Text, since a name may look like rich's markup
    table = Table(caption=Text(words), caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [position for position, name in enumerate(header) if name not in alike]
    for position in shown:
        table.add_column(Text(header[position]), no_wrap=header[position] in own, overflow="fold")
    for line in body:
        table.add_row(*(Text(line[position]) for position in shown))
    return table


def markdown(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Any header and lines of cells as a Markdown table."""
    lines = [header, ["---"] * len(header), *body]
    return "".join("| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _cells_of(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the columns for people, alike in every form."""
    setups = {(row.model, row.recipe, row.epochs, row.observe): row.setup for row in rows}
    same = all(setups[row.model, row.recipe, row.epochs, row.observe] == row.setup for row in rows)

    def recipe(row: Row | ModelRow) -> str:
        if row.regime == "given":
            return "given"
        words = f"{row.recipe}, {row.epochs} epochs" + ("" if row.observe == "after" else f", observed {row.observe}")
        return words if same else f"{words}, {row.setup[:8]}"

    def runs(row: Row | ModelRow) -> str:
        return f"{row.variants} × {row.seeds}" + ("" if row.complete else ", incomplete")

    shape: dict[str, Callable[[Any], str]]
    first = rows[0] if rows else None
    if isinstance(first, ModelRow):
        shape = {
            "model": lambda row: row.model,
            "recipe": recipe,
            "test accuracy": lambda row: _span(row, "test_accuracy"),
            "memorized share": lambda row: _span(row, "mislabeled_fit"),
            "clean share fitted": lambda row: _span(row, "clean_fit"),
            "susceptibility": lambda row: _span(row, "susceptibility"),
            "variants × seeds": runs,
        }
    else:
        title = "agreement" if first is None else _title(first)
        shape = {
            "rank": _rank,
            "detector": lambda row: row.detector,
            title: lambda row: _span(row, "mean", "low", "high"),
            "model": _model,
            "recipe": recipe,
            **({"truth of": _whose} if first is not None and first.truth_learner else {}),
            "memorized / clean fitted": lambda row: f"{_short(row.mislabeled_fit)} / {_short(row.clean_fit)}",
            "seconds": lambda row: _short(row.seconds),
            "extra passes": lambda row: "–" if math.isnan(row.passes) else f"{row.passes:g}",
            "variants × seeds": runs,
        }
    return list(shape), [[cell(row) for cell in shape.values()] for row in rows]


def _title(row: Row) -> str:
    return about_metric(row.metric).title


def _model(row: Row) -> str:
    return row.model if row.features in ("input", "given") else f"{row.model} on {row.features}"


def _whose(row: Row) -> str:
    return f"{row.truth_learner} ({'matched' if row.matched else 'transferred'})"


def _rank(row: Row) -> str:
    if row.rank is None:
        return row.kind if row.kind != "detector" else "incomplete" if not row.complete else "–"
    return f"{row.rank} [{row.rank_low}, {row.rank_high}]"


def _span(row: Row | ModelRow, name: str, low: str = "", high: str = "") -> str:
    mean, *ends = (getattr(row, field) for field in (name, low or f"{name}_low", high or f"{name}_high"))
    return _digits(mean) if any(map(math.isnan, ends)) else f"{_digits(mean)} [{', '.join(map(_digits, ends))}]"


def _digits(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"  # noqa: PLR2004 - else 0.000


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _latex(text: str) -> str:
    special: dict[str, str | int | None] = {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "×": r"$\times$",
        "–": "--",
    }
    return _one_line(text).translate(str.maketrans(special))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
