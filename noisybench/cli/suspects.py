"""The command for someone who has no truth: suspects."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import (
    Data,
    Json,
    OwnSource,
    SourceSettings,
    print_json,
    print_lines,
    say,
    status,
    tell,
    whole_number,
)
from noisybench.ground.errors import BadUsage
from noisybench.ground.text import one_line

if TYPE_CHECKING:
    from noisybench.board.suspects import Suspects

MOST_COUNTS = 6
"""Classes, and pairs of classes, that are named on the terminal."""


def suspects(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="Your data, as 'noisybench build' takes it (photos/, mine.csv, mine.npz, OWNER/NAME, digits); a variant's "
            "folder; or the folder of finished runs.",
        ),
    ],
    *,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of the labels, where a table does not say.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Frozen features: lite0, minilm, words, pca, …; default: what suits the data."
        ),
    ] = None,
    features_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the features.")] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Samples alike in it, such as frames of one film, say nothing of each other."
        ),
    ] = None,
    detector: Annotated[str | None, typer.Option(help="It ranks; default: feature_consensus, or the run's.")] = None,
    top: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="How many; default: those that disagree.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A page to look at them, decide, and save corrections.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Write them: .csv, .parquet or .json.")] = None,
    style: Annotated[
        str | None,
        typer.Option("--format", help="table, markdown, csv, json; with --to: csv, parquet, json, labelstudio."),
    ] = None,
    paths: Annotated[bool, typer.Option("--paths", help="Print their files alone, a line each.")] = False,
    audit: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="M", help="Draw M labels to look at, for an estimate of how many are wrong."
        ),
    ] = None,
    audit_answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Estimate from the answers that the audit's page saved.")
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of folds and of an audit's draw.")] = 0,
    data: Data = None,
    source_set: SourceSettings = None,
    own_source: OwnSource = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Keep the first N training samples.")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images that cannot be decoded, and name them.")
    ] = False,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What was decided before, as the page saved it; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Folder of runs; default: the cache, so that a second look takes no time.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the labels that disagree with the evidence; needs no truth, and trains no network.

    Of your data or a variant: held-out answers from frozen features. Of finished runs: what their detectors say.
    """
    from noisybench.board.finding import Wish, suspects_at
    from noisybench.ground.options import split_pairs

    if audit_answers is not None and (audit is not None or html is not None):
        msg = "--audit-answers ends an audit, --audit M --html FILE begins one; say one of the two"
        raise BadUsage(msg)
    wish = Wish(features, split_pairs(features_set or [], flag="--features-set"), groups, detector, seed, device, tell)
    options = _options_of_source(source_set or [], label, skip_broken=skip_broken)
    with status(f"looking at {what}"):
        found = suspects_at(
            what,
            wish,
            data=data,
            source_options=options,
            own_source=own_source,
            limit=limit,
            corrections=corrections or (),
            out=out,
        )
    if audit is not None or audit_answers is not None:
        _audit(found, audit, audit_answers, html=html, seed=seed, as_json=as_json)
        return
    if html is not None:
        found.to_html(html, top=top)
        tell(f"note: {html} shows them; open it in a browser, decide, and save the corrections")
    if to is not None:
        from noisybench.board.suspects_files import write_suspects

        write_suspects(found, to, style=style, top=top)
        tell(f"note: {to} holds them")
        style = None
    if as_json:
        print_json(found.record(top))
    elif paths:
        _print_paths(found, top)
    elif style is not None and style != "table":
        _print_rows(found, top, style)
    else:
        _print_summary(found, top)


def _audit(
    found: "Suspects", m: int | None, answers: Path | None, *, html: Path | None, seed: int, as_json: bool
) -> None:
    """Draw an audit and write its page or sheet, or say what the answers of one tell."""
    from noisybench.board.auditing import begin_audit, end_audit

    if m is not None:
        begun = begin_audit(found, m, html, seed=seed)
        if as_json:
            print_json({key: str(path) for key, path in begun._asdict().items()})
            return
        say(f"{m:,} labels to look at, in random order and without suspicion: {begun.shown}")
        say(
            f"then: noisybench suspects … --audit-answers FILE, with all else as now; the draw is kept in {begun.audit}"
        )
        return
    assert answers is not None  # noqa: S101 - the caller has one of the two
    estimates, sentences = end_audit(found, answers)
    if as_json:
        print_json(estimates)
        return
    for sentence in sentences:
        say(sentence)


def _options_of_source(settings: list[str], label: str | None, *, skip_broken: bool) -> dict[str, str]:
    """Options of the source as text."""
    from noisybench.ground.options import split_pairs

    options = split_pairs(settings, flag="--source-set")
    if label is not None:
        if "label" in options:
            msg = "the column of labels is given twice, by --label and by --source-set label=…"
            raise BadUsage(msg)
        options["label"] = label
    if skip_broken:
        options.setdefault("skip_broken", "true")
    return options


def _print_paths(found: "Suspects", top: int | None) -> None:
    """The files of the chosen suspects, a line each, for other commands."""
    for sample in found.chosen(top):
        file = found.file(int(sample))
        if file is None:
            msg = f"samples of source '{found.source}' are no files; leave --paths out, or say --to FILE"
            raise BadUsage(msg)
        typer.echo(str(file))


def _print_rows(found: "Suspects", top: int | None, style: str) -> None:
    if style == "json":
        print_json(found.record(top)["suspects"])
        return
    columns = found.columns(top)
    words = [[_word(value) for value in row] for row in zip(*columns.values(), strict=True)]
    print_lines(list(columns), words, style)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if isinstance(value, float) else str(value)


def _print_summary(found: "Suspects", top: int | None) -> None:
    """Counts, the evidence and the cut in words, then a table of the chosen suspects, the first of them where they are many."""
    from noisybench.board.suspects import TOP, UNCERTAIN

    share = "" if found.flagged is None else f" ({found.count / len(found):.1%})"
    say(one_line(f"{found.headline()}{share}"))
    for sentence in found.evidence:
        say(f"  evidence  {one_line(sentence)}")
    cut = "" if found.cut is None else f"; they are those of suspicion {found.cut:.4g} and more"
    say(f"  ranking   {one_line(found.detector)}{cut}")
    if found.flagged is not None:
        say(f"  note      {UNCERTAIN}")
    truth = found.truth()
    if truth["known"]:
        say(
            f"  truth     of {truth['flagged_known']:,} flagged whose truth is known, {truth['flagged_known_wrong']:,} are wrong; "
            f"of all {truth['known_wrong']:,} known to be wrong, {truth['flagged_known_wrong']:,} are flagged"
        )
    by_class = [f"{one_line(count.given)} {count.flagged:,} of {count.n:,}" for count in found.by_class()]
    by_pair = [f"{one_line(pair.given)} → {one_line(pair.suggested)} {pair.flagged:,}" for pair in found.by_pair()]
    for title, words in (("by class", by_class), ("by pair", by_pair)):
        if words:
            more = f", {len(words) - MOST_COUNTS} more" if len(words) > MOST_COUNTS else ""
            say(f"  {title:<9} {', '.join(words[:MOST_COUNTS])}{more}")
    many = found.flagged is None or found.count > TOP
    shown = found.table(TOP if top is None and many else top)
    named = found.names is not None
    header = ["name" if named else "sample", "given", "suggested", "suspicion"]
    lines = [
        [one.name if named else str(one.sample), one.given, one.suggested or "unknown", f"{one.suspicion:.4f}"]
        for one in shown
    ]
    if lines:
        print_lines(header, lines, "table")
    if top is None and found.count > len(shown):
        say(f"the first {len(shown)} of {found.count:,}; --top N, --to FILE or --html FILE gives more")
