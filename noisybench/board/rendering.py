"""The leaderboard's rows as text: for the terminal, Markdown, CSV, JSON and LaTeX."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from noisybench.board.detector_table import Row, about_metric
from noisybench.board.flags_table import MOST_MEMORIZED, BothRow, Quarters
from noisybench.board.information import RowBlock, in_words
from noisybench.board.model_table import ModelRow
from noisybench.board.neighbourhoods import ENOUGH_ALIKE
from noisybench.ground.text import cell, markdown_cell, one_line, spreadsheet_cell, visible
from noisybench.memorization.learner import Learner
from noisybench.statistics.resampling import weakest
from noisybench.statistics.suggestion_metrics import SUGGESTION_METRICS

if TYPE_CHECKING:
    from rich.table import Table

AnyRow: TypeAlias = Row | ModelRow | BothRow
Rows: TypeAlias = Sequence[Row] | Sequence[ModelRow] | Sequence[BothRow]


NOTHING = {"–", "– / –"}
BLOCK_WORDS: Mapping[RowBlock, str] = {
    "": "", "pretrained": "detectors on features of other data", "knows_truth": "detectors that know something of the truth"
}  # fmt: skip


def _without_truth(row: Row) -> str:
    """What is said where there is nothing to rank by."""
    if row.metric in SUGGESTION_METRICS:
        return "There is no truth to rank by: of no label is it known that it is wrong, and which class is right."
    return one_line(
        f"There is no truth to rank by: of no sample is it known whether it is '{row.truth}'; 'noisybench suspects RUN' "
        f"lists the most suspicious ones."
    )


def caption(rows: Rows) -> str:
    """A few sentences: what the table holds, what its intervals cover, and what is missing."""
    if not rows:
        return "No rows."
    first = rows[0]
    if isinstance(first, Row) and not any(row.n for row in rows):
        return _without_truth(first)
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
    elif isinstance(first, BothRow):
        what = _about_both(rows, first.threshold)
    else:
        what = "Runs at the end of training, mean over noise families"
    said = [] if isinstance(first, ModelRow) else [BLOCK_WORDS[block] for block in _blocks(rows) if block]
    incomplete = sum(not row.complete for row in rows if isinstance(row, ModelRow) or row.kind != "reference")
    missing = []
    if said:
        missing.append(f"{' and '.join(said)} stand in a block of their own, and rank among themselves")
    if _differ(rows):
        missing.append("rows were trained by different versions of noisybench")
    if first.unfinished:
        missing.append(f"{first.unfinished} unfinished run{'s' * (first.unfinished != 1)} left out")
    if isinstance(first, BothRow) and first.unmeasured:
        runs = f"{first.unmeasured} run{'s' * (first.unmeasured != 1)}"
        missing.append(f"{runs} of labels whose memorization was not measured left out")
    missing += _on_neighbours(rows)
    if incomplete:
        rest = ", unranked" if isinstance(first, Row) else ""
        missing.append(f"{incomplete} incomplete row{'s' * (incomplete != 1)}{rest}")
    # Names come from files, which may hold any character.
    return one_line(f"{what}; {covers}." + (f" {'; '.join(missing).capitalize()}." if missing else ""))


def _on_neighbours(rows: Rows) -> list[str]:
    """What is said where detectors assume of neighbours what is known not to hold."""
    told = [(row.detector, row.neighbours_alike) for row in rows if isinstance(row, Row)]
    odd = [(name, share) for name, share in told if share is not None and share < ENOUGH_ALIKE]
    if not odd:
        return []
    who, least = " and ".join(dict.fromkeys(name for name, _ in odd)), min(share for _, share in odd)
    return [f"{who} take the two nearest others to share the true class, as those of {least:.0%} of samples do"]


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
        elif field.name not in ("version", "information", "pretrained", "block", "neighbours_alike"):
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
    if isinstance(row, Row):
        flat["neighbours_alike"] = row.neighbours_alike
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
    """A Markdown table for people, under its caption."""
    return f"{caption(rows).replace('<', '&lt;')}\n\n{markdown(*cells_for_people(rows))}"


def to_latex(rows: Rows) -> str:
    r"""A LaTeX table for people; needs ``\usepackage{booktabs}``."""
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
    words = f"{caption(rows)} In all rows: {said}." if alike else caption(rows)
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
    if _differ(rows):
        shape["trained by"] = lambda row: row.version or "–"
    return list(shape), [[cell(say(row)) for say in shape.values()] for row in rows]


Shape: TypeAlias = "dict[str, Callable[[Any], str]]"
"""Name of each column → what it says of a row."""


def _of_models(rows: Rows) -> Shape:
    return {
        "model": lambda row: row.learner.model,
        "recipe": _recipe(rows),
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
        "model": _model,
        "recipe": _recipe(rows),
        "information": _information,
        **({} if one_truth else {"truth of": _whose}),
        "learner": _matched,
    }


def _of_detectors(rows: Rows) -> Shape:
    first = rows[0] if rows else None
    title = _title(first) if isinstance(first, Row) else "agreement"
    of_memorization = isinstance(first, Row) and first.truth_learner is not None
    return {
        "rank": _rank,
        "detector": lambda row: row.detector,
        title: lambda row: _span(row, "mean", "low", "high"),
        "model": _model,
        "recipe": _recipe(rows),
        "information": _information,
        **({"truth of": _whose, "learner": _matched} if of_memorization else {}),
        "memorized / clean fitted": lambda row: f"{_short(row.mislabeled_fit)} / {_short(row.clean_fit)}",
        "seconds": lambda row: _short(row.seconds),
        "extra passes": lambda row: "–" if math.isnan(row.passes) else f"{row.passes:g}",
    }


def _recipe(rows: Rows) -> Callable[[AnyRow], str]:
    """What a table says of a row's recipe: its digest too, where rows of other options would look alike."""
    setups = {(*_shown(row.learner), row.observe): row.setup for row in rows}
    same = len(setups) == len({row.setup for row in rows})

    def said(row: AnyRow) -> str:
        if row.regime == "given":
            return row.learner.recipe or "–"
        if row.regime == "features":
            return "no training" if same else f"no training, {row.setup[:8]}"
        words = f"{row.learner.recipe}, {row.learner.epochs} epochs"
        words += {"after": "", "held out": ", pool"}.get(row.observe, f", observed {row.observe}")
        return words if same else f"{words}, {row.setup[:8]}"

    return said


def _runs(row: AnyRow) -> str:
    return f"{row.variants} × {row.seeds}" + ("" if row.complete else ", incomplete")


def _differ(rows: Rows) -> bool:
    """Whether different versions of noisybench trained the rows."""
    return len({row.version for row in rows} - {""}) > 1


def _title(row: Row) -> str:
    return about_metric(row.metric).title


def _about_both(rows: Rows, threshold: float) -> str:
    """What the shares are, and whose memorization."""
    learners = {row.truth_learner.name for row in rows if isinstance(row, BothRow)}
    whose = f"by {next(iter(learners))}" if len(learners) == 1 else "by the learner under 'truth of'"
    sizes = {tuple(getattr(row, f"samples_{quarter}") for quarter in Quarters._fields) for row in rows}
    count = f", {' + '.join(map(str, next(iter(sizes))))} samples" if len(sizes) == 1 else ""
    return (
        f"Every detector flags as many samples as are mislabeled. False alarms: share of the {MOST_MEMORIZED} % most "
        f"memorized clean samples that it flags. Then, of wrong and clean samples, memorized (at least "
        f"{threshold:g}, {whose}) or not{count}: share of such samples that it flags / share of its flags that fall on "
        f"them; those of 'chance' fall as the samples do. Means over noise families"
    )


def _quarter(quarter: str, row: BothRow) -> str:
    return f"{_short(getattr(row, f'caught_{quarter}'))} / {_short(getattr(row, f'flags_{quarter}'))}"


def _model(row: Row | BothRow) -> str:
    learner = row.learner
    if not learner.model:  # a reference
        return "–"
    if row.regime == "features":
        return f"frozen {learner.features}"
    return learner.model if learner.features in ("input", "given") else f"{learner.model} on {learner.features}"


def _information(row: Row | BothRow) -> str:
    return "–" if row.kind == "reference" else in_words(row.information, row.pretrained)


def _shown(learner: Learner) -> tuple[str, str, int, str]:
    """What a table shows of a learner."""
    return learner.model, learner.recipe, learner.epochs, learner.features


def _blocks(rows: Rows) -> list[RowBlock]:
    """The blocks of the detectors of a table, in order."""
    return list(dict.fromkeys(row.block for row in rows if not isinstance(row, ModelRow) and row.kind == "detector"))


def ends_of_blocks(rows: Rows) -> set[int]:
    """The lines of a table behind which another block of detectors, or the controls, begin; none of a table of one block."""
    if len(_blocks(rows)) < 2 and not any(_blocks(rows)):  # noqa: PLR2004 - nothing to tell apart
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
    return cell(text).translate(str.maketrans(special))
