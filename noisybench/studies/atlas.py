"""The atlas of human noise: where people's wrong labels lie within twins that share their classes, and their difficulty.

Human labels are one draw. Each column is placed within twins: the same labels permuted among samples of one clean class, so
that every (clean class, given class) has its count; and within class and difficulty, so that wrong labels are on as hard
samples, too. What people do beyond that is what lies outside of the twins.
"""

from pathlib import Path

from noisybench.ground.checks import a_path
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.studies.atlas_claims import verdicts_on
from noisybench.studies.atlas_grid import PRESETS, AtlasGrid
from noisybench.studies.atlas_picture import draw_extremes, draw_places
from noisybench.studies.atlas_places import AtlasReadings
from noisybench.studies.atlas_records import atlas_records_of
from noisybench.studies.atlas_runs import run_atlas
from noisybench.studies.atlas_tables import (
    columns_table,
    coordinates_table,
    detectors_table,
    estimands_table,
    extremes_table,
    placement_table,
    sensitivity_table,
)
from noisybench.studies.grids import choose_grid
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine, given_machine

STUDY = "atlas"
TABLES = (
    "placement", "coordinates", "detectors", "estimands", "extremes", "sensitivity", "columns", "verdicts",
)  # fmt: skip
"""Names of its tables, that which csv takes unless another is asked for first."""


def atlas(
    preset: str | Path | AtlasGrid = "standard",
    out: str | Path = "studies/atlas",
    *,
    plot: str | Path | None = None,
    sheet: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """Where people's wrong labels lie, by coordinates, by detectors and by heads on features, within matched twins.

    Parts are kept below ``out``: a study that was stopped goes on, to the same bytes. Tables, pictures and verdicts are made
    from ``out/results.parquet`` alone.

    Args:
        preset: ``quick``, ``standard`` or ``full``, a .json file of a grid, or an ``AtlasGrid``.
        out: Folder of parts and results; features are kept in it, too.
        plot: A .png, .svg or .pdf file for the picture.
        sheet: Such a file for the images of the extremes.
        machine: Where features are computed and tasks carried out; None takes one worker, on a GPU where there is one.
        progress: Called after each block of heads and each column.

    Raises:
        UnknownName: There is no such preset, source, noise or features.
        BadUsage: What cannot be placed, or another kind of picture.
        BadData: Files are missing or broken; or a sheet of what are no images.
        Unfinished: The tasks of the machine's shard are done, and others are not.
    """
    grid, folder = choose_grid(preset, PRESETS), a_path(out, "out")
    pictures = [None if path is None else check_picture(path) for path in (plot, sheet)]
    found = run_atlas(grid, folder, machine=given_machine(machine), progress=progress)
    write_results(results_of(STUDY, grid, atlas_records_of(grid, found)), folder)
    results = read_results(folder, STUDY)
    if pictures[0] is not None:
        draw_atlas(results, pictures[0])
    if pictures[1] is not None:
        draw_atlas_extremes(results, pictures[1])
    return atlas_findings(results)


def atlas_findings(results: StudyResults) -> StudyFindings:
    """Tables and verdicts of results, without any run.

    Raises:
        BadData: The results are not what this study leaves.
    """
    found = AtlasReadings(results)
    tables = [
        placement_table(found), coordinates_table(found), detectors_table(found), estimands_table(found),
        extremes_table(found), sensitivity_table(found), columns_table(found),
    ]  # fmt: skip
    return StudyFindings(STUDY, " ".join(_about(found)), tuple(tables), verdicts_on(found))


def draw_atlas(results: StudyResults, path: str | Path) -> None:
    """Draw people's labels within their twins into a .png, .svg or .pdf file.

    Raises:
        BadUsage: Another kind of picture.
        MissingPackage: It needs matplotlib.
    """
    draw_places(AtlasReadings(results), check_picture(path))


def draw_atlas_extremes(results: StudyResults, path: str | Path) -> None:
    """Draw the images of people's wrong labels of the largest value of each estimand into such a file.

    Raises:
        BadUsage: Another kind of picture.
        BadData: The source has no images.
        MissingPackage: It needs matplotlib.
    """
    draw_extremes(AtlasReadings(results), check_picture(path))


def _about(found: AtlasReadings) -> list[str]:
    """What was run, in sentences."""
    grid = found.grid
    sets = "; ".join(f"{name} ({one['wrong'] / one['known']:.1%} wrong)" for name, one in found.sets.items())
    first = next(iter(found.sets.values()))
    difficulty = "ridge regression of the clean labels" if grid.difficulty is None else Path(grid.difficulty).name
    what = (
        f"{len(found.sets)} label columns of {first['samples']:,} samples of '{first['source']}': {sets}; each within "
        f"{grid.twins} twins of each kind, of which {grid.scored} are scored by detectors."
    )
    seen = (
        f"Detectors and heads see features '{grid.features}'; neighbours are in '{grid.coordinate_features}', difficulty is by "
        f"{difficulty}."
    )
    said = [what, seen]
    injected = [f"'{name}' ({one['noise']})" for name, one in found.sets.items() if one.get("injected")]
    if injected:
        said.append(
            f"No person gave the labels of {', '.join(injected)}: noises stand in, and what is said here of people and of human "
            "errors is said of these."
        )
    contested = max(int(one["contested_samples"]) for one in found.sets.values())
    if contested:
        said.append(f"{contested} samples are contested.")
    if grid.twins < FEWEST_TWINS:
        said.append(f"Fewer than {FEWEST_TWINS} twins: this is a trial, and places nothing.")
    return said


FEWEST_TWINS = 20
"""Twins below which a placement is no more than a trial."""
