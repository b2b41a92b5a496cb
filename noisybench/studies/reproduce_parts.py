"""The studies that measure the claims of the other papers: found where they are finished, else carried out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from noisybench.ground.checks import unknown
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import each_share
from noisybench.ground.errors import BadData, Mismatch, UnknownName
from noisybench.ground.lookup import find
from noisybench.runs.folder import keep_variant
from noisybench.studies import curvature as curvature_study
from noisybench.studies import harm as harm_study
from noisybench.studies import susceptibility as susceptibility_study
from noisybench.studies import susceptibility_grid
from noisybench.studies.forecast import NOTHING_TO_DO, StudyForecast
from noisybench.studies.hypotheses import Effect
from noisybench.studies.reproduce_runs import ReproduceGrid
from noisybench.studies.results import RESULTS, StudyResults, grid_as_json, read_results
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant

SMALL = "CPU-sized"
"""How the setting of every preset but ``full`` begins."""


class PartStudy(NamedTuple):
    """A study that measures claims.

    Attributes:
        presets: Name → grid.
        carry_out: Trains what is missing, and leaves its results in a folder.
        forecast: What it would train.
        measure: Name of each of its hypotheses → what was measured, or why it was not.
        steps: Epochs and subset models of a grid of its own, by which progress is told.
        whole_grid: Whether its grid says all that it measures; that of susceptibility leaves out the labels.
    """

    presets: Mapping[str, Any]
    carry_out: Callable[[ReproduceGrid, str, Path, Machine, Progress], object]
    forecast: Callable[[ReproduceGrid, str, Path, Machine], StudyForecast]
    measure: Callable[[StudyResults], Mapping[str, Effect | str]]
    steps: Callable[[ReproduceGrid, Any], int]
    whole_grid: bool = True


def part_studies() -> dict[str, PartStudy]:
    """Every such study by its name."""
    return {
        "susceptibility": PartStudy(
            susceptibility_grid.PRESETS,
            lambda grid, preset, out, machine, progress: susceptibility_study.susceptibility(
                own_variants(grid, out / "variants"), preset, out, machine=machine, progress=progress
            ),
            _forecast_susceptibility,
            susceptibility_study.measure_susceptibility,
            lambda grid, own: own.trainings * own.epochs * len(grid.susceptibility_rates),
            whole_grid=False,
        ),
        "curvature": PartStudy(
            curvature_study.PRESETS,
            lambda _, preset, out, machine, progress: curvature_study.curvature(
                preset, out, machine=machine, progress=progress
            ),
            lambda _, preset, out, machine: curvature_study.forecast_curvature(preset, out, machine),
            curvature_study.measure_curvature,
            lambda _, own: own.progress,
        ),
        "harm": PartStudy(
            harm_study.PRESETS,
            lambda _, preset, out, machine, progress: harm_study.harm(preset, out, machine=machine, progress=progress),
            lambda _, preset, out, machine: harm_study.forecast_harm(preset, out, machine),
            harm_study.measure_harm,
            lambda _, own: own.trainings * own.epochs,
        ),
    }


def own_variants(grid: ReproduceGrid, folder: Path) -> list[Path]:
    """Folders of the variants that susceptibility is measured on, laid there unless they are."""
    source, folders = grid.source(), []
    for rate in grid.susceptibility_rates:
        variant = build_variant(source, find("noises", "symmetric")(rate=rate), seed=grid.draws[0])
        keep_variant(variant, folder / variant.name)
        folders.append(folder / variant.name)
    return folders


def _forecast_susceptibility(grid: ReproduceGrid, preset: str, out: Path, machine: Machine) -> StudyForecast:
    with TemporaryDirectory() as folder:
        variants = own_variants(grid, Path(folder))
        return susceptibility_study.forecast_susceptibility(variants, preset, out, machine=machine)


def grid_of_part(name: str, preset: str) -> Any:  # noqa: ANN401 - each study has a grid of its own
    """The grid of a preset of a study.

    Raises:
        UnknownName: It has no such preset.
    """
    presets = part_studies()[name].presets
    if preset not in presets:
        raise UnknownName(unknown(preset, tuple(presets), f"preset of study {name}"))
    return presets[preset]


def finished_part(name: str, preset: str, out: Path) -> StudyResults | None:
    """Results of a study of that preset below ``out`` or beside it; None where there are none.

    Those of another grid are passed over, as is a file that cannot be read. Beside it they are of whatever labels their user
    chose; below it a study whose grid leaves out the labels is asked again, which trains nothing that is finished.
    """
    wanted = grid_as_json(grid_of_part(name, preset))
    below = [out / name] if part_studies()[name].whole_grid else []
    for folder in (*below, out.parent / name):
        if (folder / RESULTS).is_file():
            try:
                found = read_results(folder, name)
            except (BadData, Mismatch):
                continue
            if found.grid == wanted:
                return found
    return None


def part_records(
    grid: ReproduceGrid, out: Path, *, machine: Machine, progress: Progress = lambda: None
) -> list[dict[str, Any]]:
    """What the studies of a grid measured, as plain records: ``part``, ``measured`` and ``unmeasured``.

    Args:
        grid: Names the studies.
        out: Folder of this study: one that is not finished below or beside it is carried out below it.
        machine: How the networks are trained.
        progress: Called after each epoch of each training.

    Raises:
        UnknownName: A study has no such preset.
        Unfinished: What the machine's shard has of them is done, and other shards are not.
    """
    parts = each_share(
        partial(_part, name, preset, grid, out, machine=machine, progress=progress)
        for name, preset in grid.studies.items()
    )
    return [record for part in parts for record in part]


def _part(
    name: str, preset: str, grid: ReproduceGrid, out: Path, *, machine: Machine, progress: Progress
) -> list[dict[str, Any]]:
    """What one study measured, carried out unless it is finished."""
    study, found = part_studies()[name], finished_part(name, preset, out)
    if found is None:
        study.carry_out(grid, preset, out / name, machine, progress)
        found = read_results(out / name, name)
    records: list[dict[str, Any]] = [{"record": "part", "study": name, "preset": preset, "version": found.version}]
    for hypothesis, one in study.measure(found).items():
        about = {"study": name, "hypothesis": hypothesis}
        if isinstance(one, Effect):
            size = "" if preset == "full" or one.of.startswith(SMALL) else f"{SMALL}: "
            records.append({"record": "measured", **about, **asdict(one), "of": f"{size}{one.of}"})
        else:
            records.append({"record": "unmeasured", **about, "why": one})
    return records


def forecast_parts(grid: ReproduceGrid, out: Path, machine: Machine) -> StudyForecast:
    """What the studies would train that are not finished."""
    found, studies = NOTHING_TO_DO, part_studies()
    for name, preset in grid.studies.items():
        if finished_part(name, preset, out) is None:
            found += studies[name].forecast(grid, preset, out / name, machine)
    return found


def steps_of_parts(grid: ReproduceGrid, out: Path) -> int:
    """Steps of the studies that are not finished, by which progress is told."""
    studies = part_studies()
    return sum(
        studies[name].steps(grid, grid_of_part(name, preset))
        for name, preset in grid.studies.items()
        if finished_part(name, preset, out) is None
    )
