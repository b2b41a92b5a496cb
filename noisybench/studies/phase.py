"""Phase: where detection works at all, by how hard the wrong labels are and how coherent, at one rate and the same counts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from noisybench.ground.checks import a_path
from noisybench.ground.digests import file_digest
from noisybench.ground.drawing import check_picture
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadUsage
from noisybench.studies.forecast import StudyForecast
from noisybench.studies.grids import choose_grid
from noisybench.studies.hypotheses import Effect, judge_hypotheses, verdicts_of
from noisybench.studies.phase_claims import CLAIMS, measured_phase
from noisybench.studies.phase_grid import PRESETS, PhaseGrid
from noisybench.studies.phase_maps import STUDY, PhaseMaps, mean_or_nan, phase_maps_of
from noisybench.studies.phase_networks import forecast_networks, network_records
from noisybench.studies.phase_picture import draw_phase
from noisybench.studies.phase_points import MAIN, class_noise, read_named
from noisybench.studies.phase_runs import (
    PhaseSetting,
    difficulty_file,
    finished_records,
    forecast_points,
    phase_setting,
    reached_of,
    run_points,
)
from noisybench.studies.phase_tables import (
    map_summary_table,
    map_table,
    memorization_table,
    named_table,
    networks_table,
    parts_table,
    points_table,
    scores_table,
)
from noisybench.studies.results import StudyResults, read_results, results_of, write_results
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine, given_machine

TABLES = ("detectors", "map", "parts", "named", "memorization", "networks", "points", "scores", "verdicts")
"""Names of its tables, that which csv takes unless another is asked for first."""
RAW = ("points", "scores")
"""Those with a line of every record, for who asks for them."""


def phase(
    preset: str | Path | PhaseGrid = "standard",
    out: str | Path = "studies/phase",
    variants: Sequence[str | Path] = (),
    *,
    data: str | Path | None = None,
    difficulty: str | Path | None = None,
    lower_is_harder: bool = False,
    plot: str | Path | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> StudyFindings:
    """Where detectors find wrong labels, over a map of difficulty × coherence at one rate and the same counts in every cell.

    Each point is kept below ``out/points`` as an ordinary variant with its records: a study that was stopped goes on, and
    finished points are not repeated. What they gave is ``out/results.parquet``, of which ``phase_findings`` makes the findings
    again.

    Args:
        preset: ``quick``, ``standard`` or ``full``, a .json file of a grid, or a ``PhaseGrid``.
        out: Folder of the study.
        variants: Folders of variants of the grid's source: named points, each with a map of its own rate and counts.
        data: Where the files of the source are; None takes the cache.
        difficulty: A file of one number a sample, such as C-scores, or a ``memorization.parquet`` measured on the right
            labels; None asks small models about samples that they have not seen.
        lower_is_harder: The numbers of that file have the other sign, as C-scores do.
        plot: A .png, .svg or .pdf file for the picture.
        machine: How features are computed and points carried out; None takes one worker, on a GPU where there is one.
        progress: Called after each point, and after each epoch and subset model of networks.

    Raises:
        UnknownName: There is no such preset, source or feature.
        BadUsage: A variant twice, a preset of another kind, or another kind of picture.
        BadData: The files of the source are missing, a folder is no variant, or not all of its right labels are known.
        Mismatch: A variant is of another source.
        MissingPackage: A picture needs matplotlib.
        Unfinished: The points of the machine's shard are there, and others are not.
    """
    grid, out = choose_grid(preset, PRESETS), a_path(out, "out")
    picture = None if plot is None else check_picture(plot)
    machine = given_machine(machine)
    setting = _setting(grid, [out], variants, data, difficulty, lower_is_harder=lower_is_harder)
    records = [
        _about_setting(setting, models=difficulty is None),
        *run_points(setting, machine=machine, progress=progress),
    ]
    if grid.networks:
        records += network_records(grid, reached_of(records), setting.source, out, machine=machine, progress=progress)
    write_results(results_of(STUDY, grid, records), out)
    results = read_results(out, STUDY)
    if picture is not None:
        draw_phase(results, picture)
    return phase_findings(results)


def _setting(
    grid: PhaseGrid,
    homes: Sequence[Path],
    variants: Sequence[str | Path],
    data: str | Path | None,
    difficulty: str | Path | None,
    *,
    lower_is_harder: bool,
) -> PhaseSetting:
    """What all points have in common, checked; the first of the folders is that of the study."""
    if lower_is_harder and difficulty is None:
        msg = "lower_is_harder is for a file of difficulties; give one with --difficulty, or leave it out"
        raise BadUsage(msg)
    place = None if data is None else a_path(data, "data")
    source = grid.load(place)
    file = difficulty_file(source, *homes) if difficulty is None else a_path(difficulty, "difficulty")
    named = read_named(variants, source)
    return phase_setting(
        grid, source, homes[0], named=named, data=place, difficulty=file, lower_is_harder=lower_is_harder
    )


def _about_setting(setting: PhaseSetting, *, models: bool) -> dict[str, Any]:
    """A record of what no point says."""
    source, file = setting.source, setting.difficulty
    told = "models that had not seen the sample" if models else f"{file.name} sha256:{file_digest(file)[:16]}"
    return {"record": "setting", "samples": len(source.labels), "classes": source.num_classes, "hardness": told}


def forecast_phase(
    preset: str | Path | PhaseGrid = "standard",
    out: str | Path = "studies/phase",
    variants: Sequence[str | Path] = (),
    *,
    data: str | Path | None = None,
    difficulty: str | Path | None = None,
    lower_is_harder: bool = False,
    machine: Machine | None = None,
) -> StudyForecast:
    """Points of the study, those that are finished, and about how long the others take; arguments as of ``phase``.

    The time is by the finished points, or by one that is made elsewhere and thrown away, for which features are computed
    unless they are there. Nothing is written where the study will be.
    """
    grid, out, machine = choose_grid(preset, PRESETS), a_path(out, "out"), given_machine(machine)
    with TemporaryDirectory() as folder:
        elsewhere = Path(folder)
        setting = _setting(grid, [out, elsewhere], variants, data, difficulty, lower_is_harder=lower_is_harder)
        points = forecast_points(setting, elsewhere, machine)
        if not grid.networks:
            return points
        reached = reached_of(finished_records(setting)) if points.finished == points.runs else None
        return points + forecast_networks(grid, reached, setting.source, out, elsewhere=elsewhere, machine=machine)


def phase_findings(results: StudyResults) -> StudyFindings:
    """Tables and verdicts of what the points gave.

    Raises:
        BadData: The results are not what this study leaves.
    """
    maps = phase_maps_of(results)
    judged = judge_hypotheses(CLAIMS, measured_phase(maps))
    tables = [
        map_summary_table, map_table, parts_table, named_table, memorization_table, networks_table, points_table, scores_table,
    ]  # fmt: skip
    return StudyFindings(STUDY, " ".join(_about(maps)), tuple(table(maps) for table in tables), verdicts_of(judged))


def measure_phase(results: StudyResults) -> Mapping[str, Effect | str]:
    """Name of each claim on the map → what was measured, or in words why it was not."""
    return measured_phase(phase_maps_of(results))


def _about(maps: PhaseMaps) -> Iterator[str]:
    """What was run, in sentences."""
    grid = maps.grid
    about = maps.results.of("setting")[0]
    targets = [one for one in maps.points if one["map"] == MAIN and one["role"] == "target"]
    asked = {(one["target_difficulty"], one["target_coherence"]) for one in targets}
    there = {(one["target_difficulty"], one["target_coherence"]) for one in targets if one["reached"]}
    rate = mean_or_nan(one["rate"] for one in maps.points if one["map"] == MAIN and one["reached"])
    cells = {one["cells"] for one in maps.points if one["map"] == MAIN and one["reached"]}
    yield (
        f"{about['samples']:,} samples of '{grid.source}', {rate:.1%} of the labels wrong, {class_noise(grid)}: {len(targets)} label "
        f"columns at {len(asked)} targets of difficulty × coherence ({len(grid.draws)} draw{'s' * (len(grid.draws) > 1)} each), of which {len(there)} were reached"
        + (", all with the same number of labels in every cell of clean and given class." if len(cells) == 1 else ".")
    )
    yield (
        f"Difficulty by {about['hardness']}; coherence among {grid.neighbours} neighbours in features '{grid.coordinates}'; detectors "
        f"from features '{grid.features}'."
    )
    for name in maps.named:
        own = [one for one in maps.points if one["map"] == name]
        reached = sum(one["reached"] for one in own if one["role"] == "target")
        of = sum(one["role"] == "target" for one in own)
        yield f"'{name}', {own[0]['rate']:.1%} wrong, with {len(grid.draws)} counterpart{'s' * (len(grid.draws) > 1)}; {reached} of {of} targets of its own map reached."
