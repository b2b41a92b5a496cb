"""Command that compares measured truths: truths."""

from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import Json, print_json, print_lines, say
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.board.truth_agreement import TruthAgreement
    from noisybench.board.truths import Measured, Truths

HEADER = ("truths", "samples", "Spearman's ρ", "null", "corrected", "Pearson's r", "null", "corrected", "n")


def truths(
    folder: Annotated[Path, typer.Argument(metavar="RUNS", help="Folder of a variant's runs, or one above several.")],
    *,
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv or json.")] = "table",
    as_json: Json = False,
) -> None:
    """Say how far memorizations that were measured of the same labels agree, those in closed form and those of networks."""
    from noisybench.board.truth_agreement import compare_memorizations, measured_below
    from noisybench.studies.study import csv_of

    there = measured_below(folder)
    several = {home: of for home, of in there.items() if len(of.measured) > 1}
    if not several:
        told = "was not measured" if not there else "was measured by one learner alone"
        msg = (
            f"{folder}: memorization {told}, and it takes two to compare; 'noisybench memorize VARIANT' measures that of a "
            f"network, 'noisybench memorize VARIANT --model kernel_ridge --features NAME' that in closed form"
        )
        raise BadUsage(msg)
    found = {
        home: compare_memorizations([one.memorization for one in _ordered(of)], of.variant)
        for home, of in several.items()
    }
    if as_json or style == "json":
        print_json([_record(of, row) for home, of in several.items() for row in found[home]])
        return
    if style == "csv":
        say(csv_of([_record(of, row) for home, of in several.items() for row in found[home]]).rstrip("\n"))
        return
    for home, of in several.items():
        _print(of, found[home], style)


def _ordered(of: "Truths") -> list["Measured"]:
    """What was measured, of networks first, so that what is in closed form is held against them."""
    return sorted(of.measured, key=lambda one: one.memorization.learner.recipe == "closed_form")


def _record(of: "Truths", row: "TruthAgreement") -> dict[str, object]:
    """A row for machines."""
    told = asdict(row) | {"one": row.one.name, "other": row.other.name}
    told |= {"estimand_one": row.one.estimand, "estimand_other": row.other.estimand}
    known = {key: None if isinstance(value, float) and isnan(value) else value for key, value in told.items()}
    return {"variant_id": of.variant.provenance.variant_id, **known}


def _print(of: "Truths", rows: list["TruthAgreement"], style: str) -> None:
    """The learners by number, a table of each two, and what its columns are."""
    number = {one.memorization.learner: i for i, one in enumerate(_ordered(of), 1)}
    trust = {row.one: row.reliability_one for row in rows if row.stratum == "all"}
    trust |= {row.other: row.reliability_other for row in rows if row.stratum == "all"}
    lines = []
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        of_each = [
            text
            for row in (one, other)
            for text in (
                f"{_shown(row.value)} [{_shown(row.low)}, {_shown(row.high)}]",
                _shown(row.null),
                _shown(row.corrected),
            )
        ]
        lines.append((f"{number[one.one]} and {number[one.other]}", one.stratum, *of_each, str(one.n)))
    say(f"{of.variant.name}: memorization, and the share of its variance that is no sampling error (reliability), by")
    for learner, i in number.items():
        say(f"{i:>3}  {learner.name}: {_shown(trust[learner])}")
    print_lines(HEADER, lines, style)
    say(
        "Intervals are over samples. Null: the mean correlation where nothing agrees but which labels are wrong. Corrected: "
        "divided by the root of both reliabilities of these samples; – where one is not above 0."
    )


def _shown(value: float) -> str:
    return "–" if isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
