"""The commands of studies: questions that are answered by many runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noisybench.cli.answering import Asked, OwnStudy, answer_study, chosen_grid
from noisybench.cli.engines import (
    Address,
    EngineName,
    EngineOptions,
    ShardName,
    TaskCpus,
    TaskGpus,
    TaskMemory,
    Workers,
)
from noisybench.cli.printing import Json, no_format, print_lines, say, tell, whole_number

if TYPE_CHECKING:
    from noisybench.studies.study import StudyFindings

study = typer.Typer(help="Questions that are answered by many runs.", no_args_is_help=True)
"""The group of commands ``study``."""
STYLES = ("table", "md", "markdown", "csv", "json")
Out = Annotated[Path, typer.Option(help="Folder of its runs and results; a study that was stopped goes on there.")]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the picture: .png, .svg or .pdf.")]
Style = Annotated[str, typer.Option("--format", help="table, md, csv or json.")]
Table = Annotated[str | None, typer.Option(metavar="NAME", help="One of its tables alone.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say how many runs it has and what they take; train nothing.")]
Preset = Annotated[
    str | None, typer.Option(metavar="NAME", help="A grid by name: quick, standard or full, default standard.")
]
GridFile = Annotated[
    str | None,
    typer.Option(
        "--grid", metavar="PRESET|FILE", help="A preset, or a .json file of the fields of a grid of your own."
    ),
]
Remake = Annotated[bool, typer.Option("--remake", help="From the results that are in its folder; nothing is run.")]


@study.command("agreement-grid")
def agreement_grid(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS…", help="Any folders above runs.")],
    *,
    style: Style = "table",
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
    out: Out = Path("studies/harm"),
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="quick, standard, exact, claims or full; default standard.")
    ] = None,
    grid: GridFile = None,
    plot: Plot = None,
    style: Style = "table",
    table: Table = None,
    dry_run: DryRun = False,
    remake: Remake = False,
    workers: Workers = None,
    engine: EngineName = "processes",
    address: Address = None,
    task_cpus: TaskCpus = None,
    task_gpus: TaskGpus = None,
    task_memory: TaskMemory = None,
    shard: ShardName = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """What a memorised wrong label costs, by how often its instance occurs, and where treatments help or worsen that."""
    from noisybench.studies import harm as module

    check_report(style, table, module.TABLES)
    own = OwnStudy(
        "harm",
        module.PRESETS,
        module.harm,
        module.forecast_harm,
        module.harm_findings,
        module.draw_harm,
        lambda wanted: wanted.trainings,
        lambda wanted: wanted.trainings * wanted.epochs,
    )
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    asked = Asked(out, plot, engines, device, dry_run=dry_run, remake=remake, as_json=as_json)
    found = answer_study(own, chosen_grid(own, preset, grid), asked)
    if found is not None:
        report_study(found, style, as_json=as_json, table=table, first=module.TABLES[0], plot=plot)


@study.command()
def reproduce(
    *,
    out: Out = Path("studies/reproduce"),
    preset: Preset = None,
    grid: GridFile = None,
    plot: Plot = None,
    style: Style = "table",
    table: Table = None,
    dry_run: DryRun = False,
    remake: Remake = False,
    workers: Workers = None,
    engine: EngineName = "processes",
    address: Address = None,
    task_cpus: TaskCpus = None,
    task_gpus: TaskGpus = None,
    task_memory: TaskMemory = None,
    shard: ShardName = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Every claim of the four founding papers that can be tested: the published figure, ours, the setting and the verdict."""
    from noisybench.studies import reproduce as module
    from noisybench.studies.reproduce_parts import steps_of_parts

    check_report(style, table, module.TABLES)
    own = OwnStudy(
        "reproduce",
        module.PRESETS,
        module.reproduce,
        module.forecast_reproduce,
        module.reproduce_findings,
        module.draw_reproduce,
        lambda wanted: wanted.tasks,
        lambda wanted: wanted.steps + steps_of_parts(wanted, out),
    )
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    asked = Asked(out, plot, engines, device, dry_run=dry_run, remake=remake, as_json=as_json)
    found = answer_study(own, chosen_grid(own, preset, grid), asked)
    if found is not None:
        report_study(found, style, as_json=as_json, table=table, first=module.TABLES[0], plot=plot)


@study.command()
def susceptibility(
    variants: Annotated[
        list[Path] | None, typer.Argument(metavar="VARIANT…", help="Folders of variants; --remake needs none.")
    ] = None,
    *,
    out: Out = Path("studies/susceptibility"),
    preset: Preset = None,
    grid: GridFile = None,
    data: Annotated[Path | None, typer.Option(help="Where the files of the source are, if they moved.")] = None,
    plot: Plot = None,
    style: Style = "table",
    table: Table = None,
    dry_run: DryRun = False,
    remake: Remake = False,
    workers: Workers = None,
    engine: EngineName = "processes",
    address: Address = None,
    task_cpus: TaskCpus = None,
    task_gpus: TaskGpus = None,
    task_memory: TaskMemory = None,
    shard: ShardName = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Does susceptibility track how much of the wrong labels is fitted, and do training accuracy and it choose good models?"""
    from functools import partial

    from noisybench.studies import susceptibility as module
    from noisybench.studies.susceptibility_grid import PRESETS
    from noisybench.studies.susceptibility_picture import draw_susceptibility

    check_report(style, table, module.TABLES)
    folders = variants or []
    own = OwnStudy(
        "susceptibility",
        PRESETS,
        partial(module.susceptibility, folders, data=data),
        partial(module.forecast_susceptibility, folders, data=data),
        module.susceptibility_findings,
        draw_susceptibility,
        lambda wanted: wanted.trainings * len(folders),
        lambda wanted: wanted.trainings * len(folders) * wanted.epochs,
    )
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    asked = Asked(out, plot, engines, device, dry_run=dry_run, remake=remake, as_json=as_json)
    found = answer_study(own, chosen_grid(own, preset, grid), asked)
    if found is not None:
        report_study(found, style, as_json=as_json, table=table, first=module.TABLES[0], plot=plot)


@study.command()
def curvature(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCES…]", help="Names of sources, or folders of variants, in place of those of the preset."
        ),
    ] = None,
    *,
    out: Out = Path("studies/curvature"),
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="quick, standard, images or full; default standard.")
    ] = None,
    grid: GridFile = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the source's files, or of a folder for each source.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="First samples of each source.")
    ] = None,
    plot: Plot = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the most curved images: .png, .svg or .pdf.")
    ] = None,
    style: Style = "table",
    table: Table = None,
    dry_run: DryRun = False,
    remake: Remake = False,
    workers: Workers = None,
    engine: EngineName = "processes",
    address: Address = None,
    task_cpus: TaskCpus = None,
    task_gpus: TaskGpus = None,
    task_memory: TaskMemory = None,
    shard: ShardName = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Whether curvature finds planted errors and conflicting duplicates, and agrees with memorization."""
    from dataclasses import replace

    from noisybench.ground.drawing import check_picture
    from noisybench.studies import curvature as module
    from noisybench.studies.results import read_results

    check_report(style, table, module.TABLES)
    own = OwnStudy(
        "curvature",
        module.PRESETS,
        module.curvature,
        module.forecast_curvature,
        module.curvature_findings,
        module.draw_curvature,
        tasks=lambda one: one.trainings,
        steps=lambda one: one.progress,
    )
    chosen = chosen_grid(own, preset, grid)
    given: Any = {"sources": tuple(sources) if sources else None, "limit": limit, "data": data and str(data)}
    given = {name: value for name, value in given.items() if value is not None}
    if given:
        chosen = replace(chosen or module.PRESETS["standard"], **given)
    images = None if sheet is None else check_picture(sheet)
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    asked = Asked(out, plot, engines, device, dry_run=dry_run, remake=remake, as_json=as_json)
    found = answer_study(own, chosen, asked)
    if found is not None:
        if images is not None:
            module.draw_most_curved(read_results(out, "curvature"), images)
            tell(f"the most curved images are {images}")
        report_study(found, style, as_json=as_json, table=table, first=module.TABLES[0], plot=plot)


def check_report(style: str, table: str | None, tables: Sequence[str]) -> None:
    """Raise unless there are such a format and such a table; before anything is trained.

    Raises:
        BadUsage: No such format.
        UnknownName: No such table.
    """
    from noisybench.ground.checks import unknown
    from noisybench.ground.errors import UnknownName

    if style not in STYLES:
        raise no_format(style, STYLES)
    if table is not None and table not in tables:
        raise UnknownName(unknown(table, tuple(tables), "table of this study"))


def report_study(
    findings: "StudyFindings",
    style: str,
    *,
    as_json: bool,
    table: str | None,
    first: str,
    plot: Path | None,
    raw: Sequence[str] = (),
) -> None:
    """Print what a study found, and say where its picture is.

    Args:
        findings: Of the study.
        style: One of ``STYLES``.
        as_json: The same as the style json.
        table: One of its tables alone; None prints all, and CSV the first.
        first: Name of the table that CSV has unless another is asked for.
        plot: File of the picture that was drawn.
        raw: Tables that people see only where they ask for one of them.
    """
    shown = [name for name in findings.names if name not in raw] if table is None else [table]
    if as_json or style == "json":
        say(findings.to_json())
    elif style == "csv":
        say(findings.to_csv(table or first).rstrip("\n"))
    elif style in ("md", "markdown"):
        say(findings.to_markdown(*shown).rstrip("\n"))
    else:
        say(findings.about)
        for name in shown:
            found = findings.table(name)
            say(f"\n{found.caption}")
            print_lines(found.header, found.lines, "table")
    if plot is not None:
        tell(f"the picture is {plot}")
