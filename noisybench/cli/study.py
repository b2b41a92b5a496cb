"""The commands of studies: questions that are answered by many runs."""

from pathlib import Path
from typing import Annotated

import typer

from noisybench.cli.printing import Json, no_format, print_lines, progress_bar, say, tell, whole_number

study = typer.Typer(help="Questions that are answered by many runs.", no_args_is_help=True)
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


@study.command()
def harm(
    *,
    out: Annotated[Path, typer.Option(help="Folder of its runs; a study that was stopped goes on there.")] = Path(
        "harm"
    ),
    preset: Annotated[str, typer.Option(help="quick, standard or exact.")] = "standard",
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the picture: .png, .svg or .pdf.")] = None,
    style: Annotated[str, typer.Option("--format", help="table, md, csv or json.")] = "table",
    table: Annotated[str | None, typer.Option(metavar="NAME", help="One of its tables alone.")] = None,
    workers: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Processes; default: one a core or GPU.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    as_json: Json = False,
) -> None:
    """What a memorised wrong label costs, by how often its instance occurs, and where treatments help or worsen that."""
    from dataclasses import replace

    from noisybench.cli.run import count_workers
    from noisybench.ground.checks import unknown
    from noisybench.ground.errors import UnknownName
    from noisybench.studies.harm import TABLES, preset_of
    from noisybench.studies.harm import harm as carry_out
    from noisybench.training.machine import Machine

    if style not in STYLES:
        raise no_format(style, STYLES)
    if table is not None and table not in TABLES:
        raise UnknownName(unknown(table, TABLES, "table of this study"))
    grid, machine = preset_of(preset), Machine(device)
    machine = replace(machine, workers=count_workers(workers, machine.device, grid.trainings))
    with progress_bar("study harm", grid.trainings * grid.epochs) as step:
        findings = carry_out(grid, out, plot=plot, machine=machine, progress=step)
    if as_json or style == "json":
        say(findings.to_json())
    elif style == "csv":
        say(findings.to_csv(table or TABLES[0]).rstrip("\n"))
    elif style in ("md", "markdown"):
        say(findings.to_markdown(*([] if table is None else [table])).rstrip("\n"))
    else:
        say(findings.about)
        for name in findings.names if table is None else [table]:
            found = findings.table(name)
            say(f"\n{found.caption}")
            print_lines(found.header, found.lines, "table")
    if plot is not None:
        tell(f"the picture is {plot}")


STYLES = ("table", "md", "markdown", "csv", "json")
