"""How a study is answered in the shell: its grid chosen, its time told, carried out, or made again of its results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from noisybench.cli.engines import EngineOptions
from noisybench.cli.printing import progress_bar, say, status

if TYPE_CHECKING:
    from noisybench.studies.forecast import StudyForecast
    from noisybench.studies.results import StudyResults
    from noisybench.studies.study import StudyFindings


class OwnStudy(NamedTuple):
    """What the commands of studies have in common.

    Attributes:
        name: Of the study.
        presets: Name → grid.
        carry_out: Trains what is missing.
        forecast: Says what that would be.
        findings: Of results.
        draw: Draws the picture of results.
        tasks: Of a grid, that can be done at once.
        steps: Of a grid, by which progress is told.
    """

    name: str
    presets: Mapping[str, Any]
    carry_out: Callable[..., "StudyFindings"]
    forecast: Callable[..., "StudyForecast"]
    findings: Callable[["StudyResults"], "StudyFindings"]
    draw: Callable[["StudyResults", Path], object]
    tasks: Callable[[Any], int]
    steps: Callable[[Any], int]


@dataclass(frozen=True)
class Asked:
    """The options of a study that do not choose its grid."""

    out: Path
    plot: Path | None
    engines: EngineOptions
    device: str
    dry_run: bool
    remake: bool
    as_json: bool = False


def chosen_grid(own: OwnStudy, preset: str | None, grid: str | None) -> Any:  # noqa: ANN401 - each study has a grid of its own
    """The grid that was asked for; None where nothing was said.

    Raises:
        BadUsage: It is said twice.
        UnknownName: No such preset.
        BadData: A file holds no such grid.
    """
    from noisybench.ground.errors import BadUsage
    from noisybench.studies.grids import choose_grid

    if preset is not None and grid is not None:
        msg = "--preset and --grid both choose the grid; leave one out"
        raise BadUsage(msg)
    asked = preset or grid
    return None if asked is None else choose_grid(asked, own.presets)


def answer_study(own: OwnStudy, grid: Any, asked: Asked) -> "StudyFindings | None":  # noqa: ANN401 - as choose_grid
    """What a study finds, made anew of its results or carried out; None where it was only forecast.

    Args:
        own: The study.
        grid: Of it; None takes the preset standard, and with ``remake`` whatever the results are of.
        asked: The other options.

    Raises:
        BadUsage: Both ``--dry-run`` and ``--remake``.
        BadData: The results cannot be read, or are not what this study leaves.
        Mismatch: The results are of another grid than the one that was asked for.
    """
    from noisybench.ground.drawing import check_picture
    from noisybench.ground.errors import BadUsage, Mismatch
    from noisybench.studies.results import errors_as_other_results, grid_as_json, read_results
    from noisybench.studies.study import json_of
    from noisybench.training.machine import Machine

    if asked.dry_run and asked.remake:
        msg = "--dry-run says what would be trained, and --remake trains nothing; leave one out"
        raise BadUsage(msg)
    if asked.remake:
        picture = None if asked.plot is None else check_picture(asked.plot)
        results = read_results(asked.out, own.name)
        if grid is not None and grid_as_json(grid) != results.grid:
            msg = f"the results in {asked.out} are of another grid; leave out --preset and --grid, or --remake"
            raise Mismatch(msg)
        with errors_as_other_results(results, asked.out):
            found = own.findings(results)
            if picture is not None:
                own.draw(results, picture)
        return found
    chosen = own.presets["standard"] if grid is None else grid
    machine = asked.engines.sized(asked.engines.on(Machine(asked.device)), own.tasks(chosen))
    if asked.dry_run:
        with status(f"study {own.name}"):
            forecast = own.forecast(chosen, asked.out, machine=machine)
        say(json_of(forecast._asdict()) if asked.as_json else forecast.in_words(machine.workers))
        return None
    with progress_bar(f"study {own.name}", own.steps(chosen) // machine.shard.of, "steps") as step:
        return own.carry_out(chosen, asked.out, plot=asked.plot, machine=machine, progress=step)
