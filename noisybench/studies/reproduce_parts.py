"""The studies that measure the claims of the other papers: found where they are finished, else carried out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from noisybench.ground.checks import unknown
from noisybench.ground.engines.processes import Progress
from noisybench.ground.errors import BadData, Mismatch, UnknownName
from noisybench.studies import harm as harm_study
from noisybench.studies.forecast import NOTHING_TO_DO, StudyForecast
from noisybench.studies.hypotheses import Effect
from noisybench.studies.results import RESULTS, StudyResults, grid_as_json, read_results
from noisybench.studies.study import StudyFindings
from noisybench.training.machine import Machine


class PartStudy(NamedTuple):
    """A study that measures claims.

    Attributes:
        presets: Name → grid.
        carry_out: Trains what is missing, and leaves its results in its folder.
        forecast: What it would train.
        measure: Name of each of its hypotheses → what was measured, or why it was not.
        steps: Of a grid, by which progress is told.
    """

    presets: Mapping[str, Any]
    carry_out: Callable[..., StudyFindings]
    forecast: Callable[[Any, Path, Machine], StudyForecast]
    measure: Callable[[StudyResults], Mapping[str, Effect | str]]
    steps: Callable[[Any], int]


def part_studies() -> dict[str, PartStudy]:
    """Every such study by its name."""
    return {
        "harm": PartStudy(
            harm_study.PRESETS,
            harm_study.harm,
            harm_study.forecast_harm,
            harm_study.measure_harm,
            lambda grid: grid.trainings * grid.epochs,
        ),
    }


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

    Those of another grid are passed over, as is a file that cannot be read.
    """
    wanted = grid_as_json(grid_of_part(name, preset))
    for folder in (out / name, out.parent / name):
        if (folder / RESULTS).is_file():
            try:
                found = read_results(folder, name)
            except (BadData, Mismatch):
                continue
            if found.grid == wanted:
                return found
    return None


def part_records(
    studies: Mapping[str, str], out: Path, *, machine: Machine, progress: Progress = lambda: None
) -> Iterator[dict[str, Any]]:
    """What the studies measured, as plain records: ``part``, ``measured`` and ``unmeasured``.

    Args:
        studies: Study → its preset.
        out: Folder of this study: one that is not finished below or beside it is carried out below it.
        machine: How the networks are trained.
        progress: Called after each epoch of each training.

    Raises:
        UnknownName: A study has no such preset.
    """
    for name, preset in studies.items():
        found = finished_part(name, preset, out)
        if found is None:
            part_studies()[name].carry_out(preset, out / name, machine=machine, progress=progress)
            found = read_results(out / name, name)
        yield {"record": "part", "study": name, "preset": preset, "version": found.version}
        for hypothesis, one in part_studies()[name].measure(found).items():
            about = {"study": name, "hypothesis": hypothesis}
            if isinstance(one, Effect):
                yield {"record": "measured", **about, **asdict(one)}
            else:
                yield {"record": "unmeasured", **about, "why": one}


def forecast_parts(studies: Mapping[str, str], out: Path, machine: Machine) -> StudyForecast:
    """What the studies would train that are not finished."""
    found = NOTHING_TO_DO
    for name, preset in studies.items():
        if finished_part(name, preset, out) is None:
            found += part_studies()[name].forecast(preset, out / name, machine)
    return found
