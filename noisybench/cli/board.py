"""Commands that compare: leaderboard, suspects."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from noisybench.cli.printing import print_json, print_lines, print_rows, whole_number
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
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv, json or latex.")] = "table",
) -> None:
    """Compare detectors (or, with --models, the trained models) over variants and seeds.

    With --both: where each detector's flags fall among wrong and clean, memorized and other samples.
    """
    from noisybench.board.leaderboard import flags_board, models_board
    from noisybench.board.leaderboard import leaderboard as rank

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


def suspects(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the one above its seeds.")],
    *,
    detector: Annotated[str | None, typer.Option(help="It ranks; default: cumulative_loss if there.")] = None,
    top: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="How many samples.")] = 20,
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv or json.")] = "table",
) -> None:
    """Show the most suspicious samples of a run; needs no truth."""
    from noisybench.board.suspects import suspects as find_suspects

    found = find_suspects(run, detector=detector, top=top)
    if style == "json":
        print_json([asdict(suspect) for suspect in found])
        return
    short = style in ("table", "markdown")  # people want the ranking score, machines all of them
    named = any(suspect.name for suspect in found)
    header = ["sample", *(["name"] if named else []), "given", "given_name", "predicted", "predicted_name"]
    header += list(found[0].scores)[:1] if short else list(found[0].scores)
    lines = []
    for suspect in found:
        scores = list(suspect.scores.values())
        words = [f"{scores[0]:.4f}"] if short else [repr(value) for value in scores]
        given = (*([suspect.name] if named else []), str(suspect.given), suspect.given_name)
        lines.append([str(suspect.sample), *given, str(suspect.predicted), suspect.predicted_name, *words])
    print_lines(header, lines, style)
