"""The commands of studies: questions that are answered by many finished runs."""

from pathlib import Path
from typing import Annotated

import typer

from noisybench.cli.printing import Json, no_format, print_lines, say

study = typer.Typer(help="Questions that are answered by many finished runs.", no_args_is_help=True)
"""The group of commands ``study``."""


@study.command("agreement-grid")
def agreement_grid(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS…", help="Any folders above runs.")],
    *,
    style: Annotated[str, typer.Option("--format", help="table, md, csv or json.")] = "table",
    as_json: Json = False,
) -> None:
    """How answer and label are compared × what is averaged × in-sample or held-out, each against the wrong labels."""
    from noisybench.studies.agreement_grid import HEADER
    from noisybench.studies.agreement_grid import agreement_grid as find

    if style not in STYLES:
        raise no_format(style, STYLES)
    grid = find(runs)
    if as_json or style == "json":
        say(grid.to_json())
    elif style == "csv":
        say(grid.to_csv().rstrip("\n"))
    elif style in ("md", "markdown"):
        say(grid.to_markdown().rstrip("\n"))
    else:
        print_lines(HEADER, grid.lines(), "table")
        say(grid.caption)


STYLES = ("table", "md", "markdown", "csv", "json")
