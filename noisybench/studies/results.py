"""What the runs of a study gave: plain records in one Parquet file, from which its tables and pictures are made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from noisybench.ground.checks import a_path
from noisybench.ground.errors import BadData, Mismatch, NoisybenchError
from noisybench.ground.record_tables import read_records, write_records
from noisybench.ground.version import __version__
from noisybench.studies.study import plain

RESULTS = "results.parquet"
"""Name of the file in the folder of a study."""


@dataclass(frozen=True, repr=False)
class StudyResults:
    """What the runs of a study gave, and no more is needed for its tables, its picture and its verdicts.

    Attributes:
        study: Its name.
        grid: The fields of its grid, as JSON has them.
        records: Of texts, numbers and booleans. The field ``record`` says of which kind one is; what is unknown is left
            out.
        version: Of noisybench, which made them.
    """

    study: str
    grid: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]
    version: str = __version__

    def __repr__(self) -> str:
        kinds = dict.fromkeys(record["record"] for record in self.records)
        counted = (f"{len(self.of(kind))} of {kind}" for kind in kinds)
        return f"<StudyResults {self.study}: {', '.join(counted)}>"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of one kind, in their order."""
        return [dict(record) for record in self.records if record["record"] == kind]


def results_of(study: str, grid: Any, records: Sequence[Mapping[str, Any]]) -> StudyResults:  # noqa: ANN401 - a dataclass
    """Results of a grid that is a dataclass; NaN becomes what is unknown, and is left out."""
    known = [{name: value for name, value in plain(record).items() if value is not None} for record in records]
    return StudyResults(study, grid_as_json(grid), tuple(known))


def grid_as_json(grid: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """The fields of a grid as JSON has them, tuples as lists."""
    if not is_dataclass(grid) or isinstance(grid, type):
        msg = f"a grid is a dataclass, got {type(grid).__name__}"
        raise TypeError(msg)
    told: dict[str, Any] = json.loads(json.dumps(asdict(grid)))
    return told


def write_results(results: StudyResults, folder: Path) -> Path:
    """Write results into the folder of their study."""
    metadata = {"study": results.study, "grid": json.dumps(results.grid), "noisybench": results.version}
    path = folder / RESULTS
    path.parent.mkdir(parents=True, exist_ok=True)
    write_records(results.records, path, metadata=metadata)
    return path


def read_results(where: str | Path, study: str) -> StudyResults:
    """Results from the folder of a study, or from their file.

    Raises:
        BadData: The file is missing or broken.
        Mismatch: It is of another study.
    """
    path = a_path(where, "the folder of a study")
    path = path / RESULTS if path.suffix != ".parquet" else path
    if not path.is_file():
        msg = f"there is no {path}; carry out 'noisybench study {study}' first, or name its folder with --out"
        raise BadData(msg)
    records, metadata = read_records(path)
    try:
        grid = json.loads(metadata["grid"])
        found, version = metadata["study"], metadata["noisybench"]
    except (KeyError, ValueError, RecursionError):
        msg = f"{path} does not say of which study and grid it is; carry out the study again"
        raise BadData(msg) from None
    if found != study:
        msg = f"{path} is of study '{found}', expected '{study}'; name the folder of that one"
        raise Mismatch(msg)
    if not isinstance(grid, dict) or not all(isinstance(record.get("record"), str) for record in records):
        msg = f"{path} has records that say no kind; carry out the study again"
        raise BadData(msg)
    return StudyResults(study, grid, records, version)


@contextmanager
def errors_as_other_results(results: StudyResults, where: Path) -> Iterator[None]:
    """Turn what reading records does not expect into ``BadData``: a field or a kind of record that is not there.

    Args:
        results: That are read.
        where: They come from, for the message.

    Raises:
        BadData: They are not what this version of their study leaves.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, NoisybenchError):
            raise
        msg = (
            f"the results in {where}, by noisybench {results.version}, are not what study '{results.study}' leaves in "
            f"{__version__} ({type(error).__name__}: {error}); carry it out again with --out {where}, which repeats no "
            f"finished training"
        )
        raise BadData(msg) from error
