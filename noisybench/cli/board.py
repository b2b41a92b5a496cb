"""The command that compares: leaderboard."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import no_format, print_rows, status, tell
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.board.row_words import Rows


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS…", help="Any folders above runs.")],
    *,
    truth: Annotated[
        str, typer.Option(help="mislabeled, memorization where measured, or a mark, as open_set.")
    ] = "mislabeled",
    metric: Annotated[
        str | None, typer.Option(help="auroc, average_precision, …; of memorization: spearman, overlap_5, …")
    ] = None,
    stratum: Annotated[str, typer.Option(help="all, clean or mislabeled samples; of memorization.")] = "all",
    models: Annotated[bool, typer.Option("--models", help="A table of the runs instead of the detectors.")] = False,
    both: Annotated[
        bool, typer.Option("--both", help="Where flags fall among wrong × memorized, instead of a ranking.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(help="A column for each noise, source, rate, class or variant, beside their mean.")
    ] = None,
    pool: Annotated[
        bool, typer.Option("--pool", help="Average over several data sets, which have a block each otherwise.")
    ] = False,
    more: Annotated[
        bool, typer.Option("--more", help="Also the worst class, the same top between seeds, flags on clean sets.")
    ] = False,
    moderated: Annotated[
        bool, typer.Option("--moderated", help="Ranks by moderated t over few draws or seeds of one noise; of AUROC.")
    ] = False,
    style: Annotated[
        str | None, typer.Option("--format", help="table (default), markdown, csv, json, latex, parquet or html.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the table to a file: .md, .csv, .json, .tex or .parquet; or a page: .html."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw a picture instead of the table: .pdf, .svg or .png.")
    ] = None,
    picture: Annotated[
        str | None,
        typer.Option(
            help="Which one: intervals (default), families, cost, histogram, roc, fits, wrong_by_right, regions or memorization."
        ),
    ] = None,
) -> None:
    """Compare detectors (or, with --models, the trained models) over variants and seeds, each data set by itself.

    With --both: where each detector's flags fall among wrong and clean, memorized and other samples. With --to FILE.html:
    a page for a browser, of every truth that there is. With --plot: a picture, from the data of the page.
    """
    others = {
        "--both": both, "--models": models, "--truth": truth != "mislabeled", "--stratum": stratum != "all",
        "--by": by is not None, "--pool": pool, "--format": style is not None, "--to": to is not None,
        "--plot": plot is not None, "--picture": picture is not None, "--moderated": moderated,
    }  # fmt: skip
    if style == "html" or (style is None and to is not None and to.suffix == ".html"):
        _write_page(
            runs, to, metric, {name: given for name, given in others.items() if name not in ("--format", "--to")}
        )
        return
    if plot is not None:
        free = ("--truth", "--plot", "--picture")
        _refuse({name: given for name, given in others.items() if name not in free}, "--plot")
        from noisybench.board.pictures import draw_board

        draw_board(runs, plot, picture=picture or "intervals", truth=truth, metric=metric)
        tell(f"note: {plot} holds the picture")
        return
    if picture is not None:
        msg = "--picture is for --plot FILE, which is missing"
        raise BadUsage(msg)
    from noisybench.board.leaderboard import flags_board, models_board
    from noisybench.board.leaderboard import leaderboard as rank

    _check_form(style, to)
    if both:
        others = {
            "--models": models,
            "--truth": truth != "mislabeled",
            "--metric": metric is not None,
            "--stratum": stratum != "all",
            "--by": by is not None,
            "--more": more,
            "--moderated": moderated,
        }
        _refuse(others, "--both")
        _show(flags_board(runs, pool=pool).rows, style, to)
    elif models:
        _refuse({"--by": by is not None, "--more": more, "--moderated": moderated}, "--models")
        _show(models_board(runs, pool=pool).rows, style, to)
    else:
        board = rank(
            runs, truth=truth, metric=metric, stratum=stratum, by=by, pool=pool, more=more, moderated=moderated
        )
        _show(board.rows, style, to)


def _refuse(others: Mapping[str, bool], table: str) -> None:
    """Raise ``BadUsage`` for what chooses another table, or has no say in a picture."""
    refused = [name for name, given in others.items() if given]
    if refused:
        what = "draws a picture" if table == "--plot" else "is a table of its own"
        msg = f"{table} {what} and takes no {refused[0]}; leave one of the two out"
        raise BadUsage(msg)


def _check_form(style: str | None, to: Path | None) -> None:
    """Raise for a format or a file that cannot be, before anything is read."""
    from noisybench.board.table_files import FILES, TEXTS, style_of

    if to is not None:
        style_of(to, style)
    elif style in FILES:
        msg = f"'{style}' is the format of a file; say --to FILE as well"
        raise BadUsage(msg)
    elif style is not None and style not in ("table", *TEXTS):
        raise no_format(style, ("table", *TEXTS, *FILES))


def _show(rows: "Rows", style: str | None, to: Path | None) -> None:
    """Print a table, or write it to a file."""
    from noisybench.board.table_files import write_table

    if to is None:
        print_rows(rows, style or "table")
        return
    write_table(rows, to, style=style)
    tell(f"note: {to} holds the table")


def _write_page(runs: list[Path], to: Path | None, metric: str | None, others: Mapping[str, bool]) -> None:
    """The page of every truth, which a person chooses from in the browser."""
    from noisybench.board.page import leaderboard_page
    from noisybench.ground.html.page import write_page

    if refused := [name for name, given in others.items() if given]:
        msg = f"a page shows every truth, and takes no {refused[0]}; leave it out"
        raise BadUsage(msg)
    if to is None or to.is_dir():
        msg = f"a page goes to a file{'' if to is None else f', and {to} is a folder'}; say --to FILE, as in --to leaderboard.html"
        raise BadUsage(msg)
    with status("reading the runs"):
        text = leaderboard_page(runs, metric=metric)
    write_page(text, to)
    tell(f"note: {to} shows them; open it in a browser")
