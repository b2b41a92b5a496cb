r"""The rows of a table in LaTeX, for a paper: ``\usepackage{booktabs}`` is all that it needs."""

import re

from noisybench.board.captions import caption, without_truth
from noisybench.board.detector_table import Row
from noisybench.board.model_table import ModelRow
from noisybench.board.rendering import alike_in_all, cells_for_people, ends_of_blocks, headings_of
from noisybench.board.row_words import AnyRow, Rows, metric_title
from noisybench.ground.text import cell

MARKS = "Bold: best of its block. Underlined: may be the best."


def to_latex(rows: Rows) -> str:
    r"""A LaTeX table; needs ``\usepackage{booktabs}``.

    The best of each block of rows that rank among themselves is bold, those not surely worse are underlined; what is
    alike in all rows is said in the caption. Where there is no truth to rank by, a sentence alone.
    """
    if without_truth(rows):
        return f"{_latex(without_truth(rows))}\n"
    header, body = cells_for_people(rows)
    alike, said = alike_in_all(rows, header, body)
    shown = [i for i, name in enumerate(header) if name not in alike]
    ends, headings = ends_of_blocks(rows), headings_of(rows)
    lines = []
    for number, line in enumerate(body):
        if number in headings:
            lines.append(rf"\multicolumn{{{len(shown)}}}{{l}}{{\textit{{{_latex(headings[number])}}}}} \\")
        marks = _marks(rows[number])
        lines.append(_line([_marked(line[i], marks.get(header[i], "")) for i in shown]))
        if number in ends:
            lines.append(r"\midrule")
    marked = f" {MARKS}" if any(isinstance(row, Row) and row.rank is not None for row in rows) else ""
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(caption(rows) + said + marked)}}}",
            rf"\label{{{_label(rows)}}}",
            rf"\begin{{tabular}}{{{'l' * len(shown)}}}",
            r"\toprule",
            _line([_latex(header[i]) for i in shown]),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _marks(row: AnyRow) -> dict[str, str]:
    """Column → how its value is set."""
    if not isinstance(row, Row):
        return {}
    ranks = {metric_title(row): (row.rank, 1 if row.surely_worse is False else row.rank_low)}
    ranks |= {part.name: (part.rank, part.rank_low) for part in row.parts}
    return {
        name: r"\textbf" if rank == 1 else r"\underline"
        for name, (rank, rank_low) in ranks.items()
        if rank == 1 or rank_low == 1
    }


def _marked(text: str, mark: str) -> str:
    """A cell, of which a mark is set around the value and not around its interval."""
    if not mark:
        return _latex(text)
    value, space, rest = text.partition(" ")
    return f"{mark}{{{_latex(value)}}}{space}{_escaped(rest)}"


def _label(rows: Rows) -> str:
    """A label by what the table is: ``tab:mislabeled-auroc``, ``tab:models`` or ``tab:flags``."""
    first = rows[0] if rows else None
    words = "flags"
    if first is None or isinstance(first, Row):
        words = "leaderboard" if first is None else f"{first.truth}-{first.metric}"
    elif isinstance(first, ModelRow):
        words = "models"
    return "tab:" + re.sub(r"[^A-Za-z0-9-]+", "-", words)


def _latex(text: str) -> str:
    """Text as LaTeX sets it; what it begins with is no option of the line's end before it."""
    escaped = _escaped(text)
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped


def _escaped(text: str) -> str:
    special: dict[str, str | int | None] = {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "×": r"$\times$",
        "±": r"$\pm$",
        "–": "--",
        "ρ": r"$\rho$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
    return cell(text).translate(str.maketrans(special))
