"""The command for someone who has no truth: suspects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import (
    Data,
    Json,
    OwnSource,
    SourceSettings,
    no_format,
    print_json,
    print_lines,
    say,
    status,
    tell,
    whole_number,
)
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadUsage
from noisybench.ground.text import one_line

if TYPE_CHECKING:
    from noisybench.board.suspects import Suspects

PRINTED, FILES = ("table", "markdown", "csv", "json"), ("parquet", "labelstudio")
"""Formats on the terminal, and those that are of files alone."""
LEAST = 4
"""Labels of the smallest audit: two of those that disagree, and two of the others."""
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
        str | None, typer.Option(metavar="COLUMN", help="The column of labels, where a table does not say which it is.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="lite0, minilm, words, pca, … ('noisybench list features'); default: what suits the data.",
        ),
    ] = None,
    features_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the features.")] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="A column, or a file with an entry for each sample: samples of one group, such as frames of one film, say "
            "nothing of each other's labels.",
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            metavar="hnsw", help="Find neighbours by an index: nearly all, and sooner where samples are many."
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="The one whose scores rank the labels; default: feature_consensus, or that of the runs."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="N", help="How many labels are shown or written; default: those that disagree."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page on which you look at them, decide, and save corrections."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them as a file that ends in .csv, .parquet or .json.")
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="On the terminal table, markdown, csv or json; with --to csv, parquet, json or labelstudio.",
        ),
    ] = None,
    paths: Annotated[
        bool, typer.Option("--paths", help="Print the names of their files, a line each, and nothing else.")
    ] = False,
    audit: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="M",
            help="Draw M labels for you to look at; your answers tell how many are wrong.",
        ),
    ] = None,
    audit_answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What the audit's page saved: how many labels are wrong, with an interval."),
    ] = None,
    seed: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Of the folds, and of an audit's draw.")
    ] = 0,
    data: Data = None,
    source_set: SourceSettings = None,
    own_source: OwnSource = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Look at the first N samples alone.")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images that cannot be decoded, and name them.")
    ] = False,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="What was decided before, as the page saved it; may be repeated, in their order."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of runs; default: one in the cache. A second look at the same labels takes no time."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the labels that disagree with the evidence; needs no truth, and trains no network.

    The evidence, of your data or a variant: held-out answers of simple models on frozen features.
    Of finished runs: what their detectors say.
    """
    from noisybench.board.finding import Wish, suspects_at
    from noisybench.ground.options import split_pairs

    # All of this before anything is read: a refused command says one line, at once.
    forms = {"--paths": paths, "--json": as_json, "--format": style is not None and to is None}
    _check_audit(audit, audit_answers, html, {"--to": to, "--top": top, "--format": style, "--paths": paths})
    _check_forms(forms, style, top, to=to)
    sheet = {"--audit": Path("audit.csv")} if audit is not None and html is None else {}
    _check_files({"--html": html, "--to": to, **sheet}, [what, data, audit_answers, *(corrections or []), groups])
    from noisybench.statistics.neighbour_index import as_index

    wish = Wish(
        features,
        split_pairs(features_set or [], flag="--features-set"),
        groups,
        detector,
        seed,
        device,
        tell,
        as_index(index),
    )
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


def _check_audit(audit: int | None, answers: Path | None, html: Path | None, others: Mapping[str, object]) -> None:
    """Raise ``BadUsage`` for what an audit has no use for."""
    if audit is None and answers is None:
        return
    if answers is not None and (audit is not None or html is not None):
        msg = "--audit-answers ends an audit, --audit M --html FILE begins one; say one of the two"
        raise BadUsage(msg)
    if audit is not None:
        whole(audit, "--audit", least=LEAST)
    for flag, value in others.items():
        if value:
            msg = f"an audit shows what was drawn, and no list of suspects; leave {flag} out"
            raise BadUsage(msg)


def _check_forms(forms: Mapping[str, bool], style: str | None, top: int | None, *, to: Path | None) -> None:
    """Raise unless there is one form of what is printed, which exists, and a number of suspects that can be."""
    said = [flag for flag, value in forms.items() if value]
    if len(said) > 1:
        msg = f"{said[0]} and {said[1]} are two forms of what is printed; say one of them"
        raise BadUsage(msg)
    if top is not None:
        whole(top, "--top", least=1)
    if to is None and style in FILES:
        msg = f"'{style}' is the format of a file; say --to FILE as well"
        raise BadUsage(msg)
    if to is None and style is not None and style not in PRINTED:
        raise no_format(style, PRINTED)


def _check_files(written: Mapping[str, Path | None], read: Sequence[str | Path | None]) -> None:
    """Raise ``BadUsage`` where a file that would be written is one that is read or lies among data, or two are one."""
    folders = [Path(path) for path in read if path is not None and Path(path).is_dir()]
    taken = {Path(path).resolve(): str(path) for path in read if path is not None and Path(path).is_file()}
    for flag, path in written.items():
        if path is not None and path.resolve() in taken:
            msg = f"{flag} {path} would be written over {taken[path.resolve()]}; name another file"
            raise BadUsage(msg)
        for folder in folders:
            if path is not None and path.resolve().is_relative_to(folder.resolve()):
                msg = f"{flag} would write into {folder}, which is read, so that it would be taken for data; name a file elsewhere"
                raise BadUsage(msg)
        if path is not None:
            taken[path.resolve()] = f"the file of {flag}"


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
    cut = "" if found.cut is None else f"; the cut is a suspicion of {found.cut:.4g}"
    say(f"  ranking   by {one_line(found.detector)}{cut}")
    if found.flagged is not None:
        say(f"  note      {UNCERTAIN}")
    truth = found.truth()
    if truth["known"]:
        right = (truth["flagged_known"] or 0) - (truth["flagged_known_wrong"] or 0)
        say(
            f"  truth     known of {truth['known']:,} labels: {truth['known_wrong']:,} are wrong, of which "
            f"{truth['flagged_known_wrong']:,} disagree; the others are right, of which {right:,} disagree"
        )
    by_class = [f"{one_line(count.given)}: {count.flagged:,} of {count.n:,}" for count in found.by_class()]
    by_pair = [f"{one_line(pair.given)} → {one_line(pair.suggested)}: {pair.flagged:,}" for pair in found.by_pair()]
    for title, words in (("by class", by_class), ("by pair", by_pair)):
        if words:
            more = f", {len(words) - MOST_COUNTS:,} more" if len(words) > MOST_COUNTS else ""
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
    if found.flagged is not None and len(shown) > found.count:
        say(f"the first {found.count:,} of these disagree with the evidence; the others follow in the ranking")
    if top is None and found.count > len(shown):
        say(f"the first {len(shown)} of {found.count:,}; --top N, --to FILE or --html FILE gives more")
