"""Command that compares measured truths: truths."""

from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import Json, print_json, print_lines, say, status, tell
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.board.truth_agreement import TruthAgreement
    from noisybench.board.truths import Measured, Truths

HEADER = ("truths", "samples", "Spearman's ρ", "null", "corrected", "Pearson's r", "null", "corrected", "n")


def truths(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS",
            help="Folder of a variant's runs, or one above several; with --released, a variant's folder.",
        ),
    ],
    *,
    released: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Lay memorization that others released beside the runs: files of Feldman and Zhang, of Zenodo 14687826, C-scores.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of runs, for --released; default: runs.")] = None,
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv or json.")] = "table",
    as_json: Json = False,
) -> None:
    """Say how far memorizations of the same labels agree: of networks, in closed form, and such as others released.

    With --released FILE: a variant gets the memorization that others measured of the same labels, which are checked.
    """
    if released is not None:
        _keep_released(released, folder, Path("runs") if out is None else out, as_json=as_json or style == "json")
        return
    from noisybench.board.truth_agreement import compare_memorizations, measured_below
    from noisybench.studies.study import csv_of

    if out is not None:
        msg = "--out is where --released FILE is laid; this only reads RUNS: leave it out"
        raise BadUsage(msg)
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


def _keep_released(released: Path, folder: Path, out: Path, *, as_json: bool) -> None:
    """Lay a released memorization beside the runs of a variant, and say what it is."""
    from noisybench.board.results import memorize_released
    from noisybench.variants.sample_names import read_names
    from noisybench.variants.variant import read_variant

    place = folder / "variant" if (folder / "variant" / "variant.json").is_file() else folder
    variant = read_variant(place)
    n = len(variant.labels)
    names = next((found for each in (place, place.parent) if (found := read_names(each, n)) is not None), None)
    with status(f"reading {released.name}"):
        kept = memorize_released(released, variant, out, sample_names=names, tell=lambda note: tell(f"note: {note}"))
    summary, learner = kept.summary, kept.memorization.learner
    told = {
        "models": summary.models or None,
        "unknown": summary.undefined,
        "largest stderr": summary.largest_stderr,
        "wrong labels": summary.mislabeled_memorization,
        "right labels": summary.clean_memorization,
    }
    known = {name: None if isinstance(value, float) and isnan(value) else value for name, value in told.items()}
    if as_json:
        print_json({"path": str(kept.path), "learner": learner.name, **known})
        return
    say(f"memorization by {learner.name}")
    for name, value in known.items():
        if value is not None:
            say(f"{name:<16}{value:.4g}")
    say(str(kept.path))


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
