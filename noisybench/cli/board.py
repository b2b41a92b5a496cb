"""The command that compares: leaderboard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from noisybench.cli.printing import print_rows, status, tell
from noisybench.ground.errors import BadUsage


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
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv, json, latex or html.")] = "table",
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the page of --format html goes.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw a picture instead of the table: .pdf, .svg or .png.")
    ] = None,
    picture: Annotated[
        str | None,
        typer.Option(
            help="Which one: intervals (default), families, cost, histogram, roc, fits, regions or memorization."
        ),
    ] = None,
) -> None:
    """Compare detectors (or, with --models, the trained models) over variants and seeds.

    With --both: where each detector's flags fall among wrong and clean, memorized and other samples. With --format html
    --to FILE: a page for a browser, of every truth that there is. With --plot: a picture, from the data of the page.
    """
    if style == "html" or to is not None:
        others = {"--both": both, "--models": models, "--truth": truth != "mislabeled", "--stratum": stratum != "all"}
        _write_page(runs, to, style, metric, {**others, "--plot": plot is not None, "--picture": picture is not None})
        return
    from noisybench.board.leaderboard import flags_board, models_board
    from noisybench.board.leaderboard import leaderboard as rank

    if plot is not None:
        from noisybench.board.pictures import draw_board

        others = {"--both": both, "--models": models, "--stratum": stratum != "all", "--format": style != "table"}
        if refused := [name for name, given in others.items() if given]:
            msg = f"--plot draws a picture and takes no {refused[0]}; leave one of the two out"
            raise BadUsage(msg)
        draw_board(runs, plot, picture=picture or "intervals", truth=truth, metric=metric)
        tell(f"note: {plot} holds the picture")
        return
    if picture is not None:
        msg = "--picture is for --plot FILE, which is missing"
        raise BadUsage(msg)
    if both:
        others = {
            "--models": models,
            "--truth": truth != "mislabeled",
            "--metric": metric is not None,
            "--stratum": stratum != "all",
        }
        refused = [name for name, given in others.items() if given]
        if refused:
            msg = f"--both is a table of its own and takes no {refused[0]}; leave one of the two out"
            raise BadUsage(msg)
        print_rows(flags_board(runs).rows, style)
        return
    if models:
        print_rows(models_board(runs).rows, style)
        return
    print_rows(rank(runs, truth=truth, metric=metric, stratum=stratum).rows, style)


def _write_page(runs: list[Path], to: Path | None, style: str, metric: str | None, others: Mapping[str, bool]) -> None:
    """The page of every truth, which a person chooses from in the browser."""
    from noisybench.board.page import leaderboard_page
    from noisybench.ground.html.page import write_page

    if style != "html":
        msg = "--to is the file of a page; say --format html as well, or redirect the output of another format"
        raise BadUsage(msg)
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
