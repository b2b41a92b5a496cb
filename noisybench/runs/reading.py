"""Reading run folders."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_type_hints

from noisybench.board.agreement import Agreement, read_agreements, read_truths
from noisybench.ground.errors import BadData
from noisybench.ground.files import check_fields, read_columns, read_record
from noisybench.runs.record import RECORDED, Learner
from noisybench.statistics.resampling import LabelColumn

FITS = ("test_accuracy", "mislabeled_fit", "clean_fit", "susceptibility")


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder.

    Attributes:
        path: The folder.
        column: The labels it was trained on.
        learner: The model, the recipe and their options.
        seed: Of the training.
        n: Training samples.
        finished: Whether its agreements are written; what follows is empty otherwise.
        agreements: Of every detector, control and reference.
        history: Name → value at the end of training, NaN where unknown.
        costs: Detector → (seconds, extra passes over the training set).
        truths: Name → digest of the measurements of memorization that it was held against.
    """

    path: Path
    column: LabelColumn
    learner: Learner
    seed: int
    n: int
    finished: bool
    agreements: tuple[Agreement, ...]
    history: Mapping[str, float]
    costs: Mapping[str, tuple[float, float]]
    truths: Mapping[str, str]


Paths: TypeAlias = str | Path | Iterable[str | Path]


# Reading


def read_runs(paths: Paths) -> list[Run]:
    """Every run at or below the folders, each once, those that have begun and not ended included.

    Raises:
        BadData: A folder is missing, no run below them has ended, or a file of a run is broken.
        Mismatch: A run's agreements are of other labels than its own.
    """
    folders = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    for folder in folders:
        if not folder.is_dir():
            msg = f"{folder} is no folder; give folders that hold runs, such as 'runs'"
            raise BadData(msg)
    found = sorted({path.resolve().parent for folder in folders for path in folder.rglob("run.json")})
    runs: dict[tuple[LabelColumn, Learner, int], Run] = {}
    for path in found:
        run = _read_run(path)
        key = (run.column, run.learner, run.seed)
        # A copy of a run is no second run.
        if key not in runs or run.finished > runs[key].finished:
            runs[key] = run
    if not any(run.finished for run in runs.values()):
        begun = f" ({len(runs)} begun and not ended)" if runs else ""
        msg = f"no finished run below {', '.join(map(str, folders))}{begun}; 'noisybench evaluate' makes runs"
        raise BadData(msg)
    return list(runs.values())


def _read_run(path: Path) -> Run:
    record = read_record(path / "run.json")
    finished = (path / "agreement.parquet").is_file()
    check_fields(record, get_type_hints(Learner) | RECORDED, path / "run.json")
    setting = [record[key] for key in ("source_sha256", "source_options", "limit", "params", "mode")]
    column = LabelColumn(record["source"], record["noise"], json.dumps(setting, sort_keys=True), record["variant_id"])
    learner = Learner(*(record[key] for key in Learner._fields))
    seed, n = record["seed"], record["n"]
    if not finished:
        return Run(path, column, learner, seed, n, finished, (), {}, {}, {})
    timing = read_record(path / "timing.json") if (path / "timing.json").is_file() else {}
    check_fields(timing, {"detectors": Mapping[str, Mapping[str, float | int | None]]} if timing else {}, path)
    costs = {
        name: (_number(cost.get("seconds")), _number(cost.get("passes")))
        for name, cost in timing.get("detectors", {}).items()
    }
    columns = {} if learner.regime == "given" else read_columns(path / "history.parquet")[0]
    for name, values in columns.items():
        if values.dtype.kind not in "fiu" or values.ndim != 1:
            msg = f"{path / 'history.parquet'}: '{name}' holds no numbers, one an epoch; evaluate again"
            raise BadData(msg)
    history = {name: float(columns[name][-1]) for name in FITS if name in columns and len(columns[name])}
    agreements = tuple(read_agreements(path / "agreement.parquet", column.variant_id))
    truths = read_truths(path / "agreement.parquet")
    return Run(path, column, learner, seed, n, finished, agreements, history, costs, truths)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def finished_and_begun(runs: Sequence[Run] | Paths) -> tuple[list[Run], list[Run]]:
    """The finished runs in order, and those that have begun and not ended."""
    given: list[Any] = [runs] if isinstance(runs, str | Path) else list(runs)
    known = given if given and all(isinstance(run, Run) for run in given) else read_runs(given)
    ended = sorted((run for run in known if run.finished), key=lambda run: (run.learner, run.column, run.seed))
    return ended, [run for run in known if not run.finished]
