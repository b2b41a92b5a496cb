"""Grids of studies: found by the name of a preset, read from a JSON file, or from the results that were made with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from noisybench.ground.checks import check_kind, unknown
from noisybench.ground.errors import BadData, NoisybenchError, UnknownName
from noisybench.ground.records import read_json_as, record_as
from noisybench.studies.results import StudyResults

Grid = TypeVar("Grid")


def choose_grid(preset: str | Path | Grid, presets: Mapping[str, Grid]) -> Grid:
    """A grid by its name, from a ``.json`` file of its fields, or as it is given.

    Args:
        preset: A key of ``presets``, a path that ends in ``.json``, or a grid.
        presets: Name → grid, all of one kind.

    Raises:
        UnknownName: There is no such preset.
        BadUsage: It is none of the three, or the fields in the file cannot be meant.
        BadData: The file cannot be read, or a field is not of its kind.
    """
    kind = type(next(iter(presets.values())))
    if isinstance(preset, kind):
        return preset
    words = f"say {', '.join(presets)}, a .json file, or give a {kind.__name__}"
    check_kind(preset, (str, Path), "preset", words)
    if str(preset).endswith(".json"):
        return read_json_as(Path(str(preset)), kind, mend=f"give the fields of a {kind.__name__}")
    if str(preset) not in presets:
        raise UnknownName(unknown(str(preset), tuple(presets), "preset") + "; a grid of your own is a .json file")
    return presets[str(preset)]


def grid_of_results(results: StudyResults, study: str, kind: type[Grid]) -> Grid:
    """The grid that results were made with.

    Raises:
        BadUsage: They are no results.
        BadData: It is no grid of this study, or none that can be meant.
    """
    check_kind(results, StudyResults, "results", f"read_results('studies/{study}', '{study}') gives them")
    mend = f"carry out 'noisybench study {study}' again"
    try:
        return record_as(results.grid, kind, Path("the results"), mend=mend)
    except BadData:
        raise
    except NoisybenchError as error:
        msg = f"the results are of no grid of study '{study}': {error}; {mend}"
        raise BadData(msg) from None
