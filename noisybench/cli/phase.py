"""The command ``study phase``: where detection works, by how hard wrong labels are and how coherent."""

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
from noisybench.cli.printing import Json
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


def phase(
    variants: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[VARIANT…]", help="Folders of variants of that source: each gets a map of its own counts."
        ),
    ] = None,
    *,
    out: Out = Path("studies/phase"),
    preset: Preset = None,
    grid: GridFile = None,
    data: Annotated[Path | None, typer.Option(help="Where the files of the source are; default: the cache.")] = None,
    difficulty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="How hard each sample is, such as C-scores, or a memorization.parquet of the right labels; else models tell.",
        ),
    ] = None,
    lower_is_harder: Annotated[
        bool, typer.Option("--lower-is-harder", help="The numbers of --difficulty have the other sign, as C-scores do.")
    ] = False,
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
    """Where detection works at all: detectors over a map of difficulty × coherence, at one rate and the same counts."""
    from functools import partial

    from noisybench.studies import phase as module
    from noisybench.studies.phase_grid import PRESETS
    from noisybench.studies.phase_picture import draw_phase

    check_report(style, table, module.TABLES)
    folders = variants or []
    given: Any = {"data": data, "difficulty": difficulty, "lower_is_harder": lower_is_harder}
    own = OwnStudy(
        "phase",
        PRESETS,
        partial(module.phase, variants=folders, **given),
        partial(module.forecast_phase, variants=folders, **given),
        module.phase_findings,
        draw_phase,
        lambda wanted: wanted.points(len(folders)),
        lambda wanted: wanted.points(len(folders)) + wanted.networks * (wanted.epochs + wanted.pool_models),
    )
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    asked = Asked(out, plot, engines, device, dry_run=dry_run, remake=remake, as_json=as_json)
    found = answer_study(own, chosen_grid(own, preset, grid), asked)
    if found is not None:
        empty = [one.name for one in found.tables if not one.lines]
        raw = [*module.RAW, *empty]
        report_study(found, style, as_json=as_json, table=table, first=module.TABLES[0], plot=plot, raw=raw)
