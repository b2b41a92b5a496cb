"""The command that compares: leaderboard."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import no_format, print_rows, tell
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
    style: Annotated[
        str | None, typer.Option("--format", help="table (default), markdown, csv, json, latex or parquet.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the table to a file: .md, .csv, .json, .tex or .parquet."),
    ] = None,
) -> None:
    """Compare detectors (or, with --models, the trained models) over variants and seeds, each data set by itself.

    With --both: where each detector's flags fall among wrong and clean, memorized and other samples.
    """
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
        }
        _refuse(others, "--both")
        _show(flags_board(runs, pool=pool).rows, style, to)
    elif models:
        _refuse({"--by": by is not None, "--more": more}, "--models")
        _show(models_board(runs, pool=pool).rows, style, to)
    else:
        board = rank(runs, truth=truth, metric=metric, stratum=stratum, by=by, pool=pool, more=more)
        _show(board.rows, style, to)


def _refuse(others: Mapping[str, bool], table: str) -> None:
    """Raise ``BadUsage`` for what chooses another table."""
    refused = [name for name, given in others.items() if given]
    if refused:
        msg = f"{table} is a table of its own and takes no {refused[0]}; leave one of the two out"
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
