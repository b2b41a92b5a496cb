"""The command of the atlas of human noise."""

from pathlib import Path
from typing import Annotated, Any

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
from noisybench.cli.printing import Json, tell, whole_number
from noisybench.cli.study import (
    Device,
    DryRun,
    GridFile,
    Out,
    Plot,
    Preset,
    Remake,
    Style,
    Table,
    check_report,
    report_study,
)


def atlas(
    variants: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[VARIANT…]", help="Folders of variants of one source, in place of the sets of the preset."
        ),
    ] = None,
    *,
    out: Out = Path("studies/atlas"),
    preset: Preset = None,
    grid: GridFile = None,
    data: Annotated[Path | None, typer.Option(help="Where the files of the source are.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="CIFAR-10_human.pt, as published.")] = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="First samples of the source.")
    ] = None,
    difficulty: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A difficulty of each sample, such as C-scores.")
    ] = None,
    lower_is_harder: Annotated[
        bool,
        typer.Option(
            "--lower-is-harder",
            help="Lower values of --difficulty are harder; not needed for a .npz with 'cscores' in its name.",
        ),
    ] = False,
    contested: Annotated[
        str | None,
        typer.Option(
            metavar="again|keep", help="Whether to measure again without the contested samples; default: again."
        ),
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="People's verdicts on the test set: cifar10_mturk.json.")
    ] = None,
    plot: Plot = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the images of the extremes: .png, .svg or .pdf.")
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
    """Where people's wrong labels lie: by coordinates, detectors and heads on features, within twins of the same classes."""
    from dataclasses import replace

    from noisybench.ground.drawing import check_picture
    from noisybench.ground.errors import BadUsage
    from noisybench.studies import atlas as module
    from noisybench.studies.atlas_forecast import forecast_atlas
    from noisybench.studies.atlas_grid import PRESETS, most_tasks
    from noisybench.studies.results import read_results

    check_report(style, table, module.TABLES)
    own = OwnStudy(
        "atlas", PRESETS, module.atlas, forecast_atlas, module.atlas_findings, module.draw_atlas,
        tasks=most_tasks, steps=most_tasks,
    )  # fmt: skip
    chosen = chosen_grid(own, preset, grid)
    given: dict[str, Any] = {
        "variants": tuple(map(str, variants)) if variants else None, "data": data and str(data),
        "labels": labels and str(labels), "limit": limit, "difficulty": difficulty and str(difficulty),
        "lower_is_harder": lower_is_harder or None, "contested": contested, "verdicts": verdicts and str(verdicts),
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if variants and (limit is not None or labels is not None):
        msg = "--limit and --labels are of the sets of a preset, and variants are as they were built; leave them out"
        raise BadUsage(msg)
    if given:
        chosen = replace(chosen or PRESETS["standard"], **given)
    images = None if sheet is None else check_picture(sheet)
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    asked = Asked(out, plot, engines, device, dry_run=dry_run, remake=remake, as_json=as_json)
    found = answer_study(own, chosen, asked)
    if found is not None:
        if images is not None:
            module.draw_atlas_extremes(read_results(out, "atlas"), images)
            tell(f"the images of the extremes are {images}")
        report_study(found, style, as_json=as_json, table=table, first=module.TABLES[0], plot=plot)
