"""Reading run folders: every run below some folders, each once."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Kind, Scores, Suggestion, read_scores, scores_path
from noisybench.ground.checks import a_path
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_columns, read_record
from noisybench.ground.kept_digests import keeping_digests
from noisybench.ground.walking import find_below, reached
from noisybench.runs.fit_words import FITS, RIGHT_SHARES
from noisybench.runs.folder import RECORD, is_finished, kinds_of, log, read_run_record
from noisybench.runs.record import OF_RULES, WITH_HISTORY, RunRecord, Setup, setup_of
from noisybench.runs.suggestion_files import suggestion_of
from noisybench.statistics.column_means import LabelColumn
from noisybench.statistics.equal_fit import wrong_at_right
from noisybench.variants.variant import Variant

MOST_LINES = 20
"""Lines at most about what a table is made without: a folder may be a stranger's."""


class Maker(NamedTuple):
    """What made the scores of a detector: two that differ in it are of two detectors."""

    origin: str
    """What it is found by."""
    code: str
    """Digest of its code; empty of noisybench's own, and where the run's version did not write it down."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder.

    Attributes:
        path: The folder.
        record: What decides the run, and the detectors that it has scores of.
        column: The labels it was trained on, by where they stand in an average.
        setup: What made its scores.
        finished: Whether every detector is scored; what follows is empty otherwise.
        kinds: Name of each detector → detector or control.
        history: Name → value at the end of training, NaN where unknown; ``activation_change`` is the mean over the epochs
            of curvature, as the score made of it is.
        costs: Detector → (seconds, extra passes over the training set).
        at_right: Of a training, the share of wrong labels fitted where each of ``RIGHT_SHARES`` of the right ones is first
            fitted, see ``wrong_at_right``.
        training_seconds: Of the training alone; NaN where nobody knows.
    """

    path: Path
    record: RunRecord
    column: LabelColumn
    setup: Setup
    finished: bool
    kinds: Mapping[str, Kind]
    history: Mapping[str, float]
    costs: Mapping[str, tuple[float, float]]
    at_right: tuple[float, ...] = (math.nan,) * len(RIGHT_SHARES)
    training_seconds: float = math.nan

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.record.seed

    @property
    def home(self) -> Path:
        """The folder of all that is known of its labels."""
        return self.path.parent.parent

    @property
    def version(self) -> str:
        """The version of noisybench that trained it; empty where the record does not say."""
        return (self.record.versions or {}).get("noisybench", "")

    def maker(self, detector: str) -> Maker:
        """What made the scores of one of its detectors."""
        return Maker(self.record.detectors[detector], (self.record.codes or {}).get(detector, ""))

    def scores(self, detector: str) -> Scores:
        """Scores of one of its detectors.

        Raises:
            BadData: The file is broken.
            Mismatch: It does not say of which variant it is.
        """
        return read_scores(scores_path(self.path, detector))

    def suggestion(self, detector: str, variant: Variant) -> Suggestion | None:
        """What one of its detectors suggests in place of the labels of its variant; None where it has nothing to suggest.

        Raises:
            BadData: A file is broken, or not the one that the run left.
            Mismatch: It is of other labels.
        """
        return suggestion_of(self.path, self.record, detector, variant)


P = ParamSpec("P")
T = TypeVar("T")
AnyPath: TypeAlias = str | os.PathLike[str]
Paths: TypeAlias = AnyPath | Iterable[AnyPath]
"""One folder or several; what ``evaluate`` gives is one too."""


def read_runs(paths: Paths) -> list[Run]:
    """Every run at or below the folders, each once, those that have begun and not ended included.

    A run that cannot be read is left out and named in a warning, as is a link that leads nowhere.

    Raises:
        BadUsage: No folder is given.
        BadData: A folder is missing, or no run below them has ended and can be read.
    """
    folders = [a_path(path, "runs") for path in _several(paths)]
    if not folders:
        msg = "no folder was given; give folders that hold runs, such as 'runs'"
        raise BadUsage(msg)
    for folder in folders:
        if not folder.is_dir():
            msg = f"{folder} is no folder; give folders that hold runs, such as 'runs'"
            raise BadData(msg)
    below = [find_below(reached(folder), {RECORD}) for folder in folders]
    runs: dict[tuple[LabelColumn, Setup, int], Run] = {}
    broken: list[BadData] = []
    for path in sorted({path.parent for found in below for path in found.paths}):
        try:
            run = read_run(path)
        except BadData as error:
            broken.append(error)
            continue
        key = (run.column, run.setup, run.seed)
        # A copy of a run is no second run; of several, one that is finished and lies beside its variant is taken.
        if key not in runs or _standing(run) > _standing(runs[key]):
            runs[key] = run
    if not any(run.finished for run in runs.values()):
        if broken:
            raise broken[0]
        begun = f" ({len(runs)} begun and not ended)" if runs else ""
        msg = f"no finished run below {', '.join(map(str, folders))}{begun}; 'noisybench evaluate' makes runs"
        raise BadData(msg)
    leave_out_all([*map(str, broken), *(one for found in below for one in found.left_out)])
    return list(runs.values())


def leave_out(why: object) -> None:
    """Say in one line what a table is made without."""
    log.warning("left out: %s", why)


def leave_out_all(reasons: Iterable[str]) -> None:
    """Say in a line each what a table is made without, each reason once; of very many, how many there are."""
    different = list(dict.fromkeys(reasons))
    for reason in different[:MOST_LINES]:
        leave_out(reason)
    if len(different) > MOST_LINES:
        leave_out(f"{len(different) - MOST_LINES} more, {len(different)} in all")


def _standing(run: Run) -> tuple[bool, bool]:
    return run.finished, (run.home / "variant" / "variant.json").is_file()


def read_run(path: Path) -> Run:
    """One run folder.

    Raises:
        BadData: A file of it is missing or broken.
    """
    record = read_run_record(path)
    finished = is_finished(path, record)
    columns = _history(path) if finished and record.regime in WITH_HISTORY else {}
    costs, seconds = _costs(path) if finished else ({}, math.nan)
    one = record.regime == "training"
    return Run(
        path=path,
        record=record,
        column=_column_of(record),
        setup=setup_of(record),
        finished=finished,
        kinds=kinds_of(path, record) if finished else {},
        history=_last_of_history(columns),
        costs=costs,
        at_right=_at_right(columns if one else {}),
        training_seconds=seconds if one else math.nan,
    )


def _column_of(record: RunRecord) -> LabelColumn:
    options = dict(record.source_options), record.limit, dict(record.params), record.mode
    # What people corrected is no further draw of the noise.
    corrected = () if record.corrections is None else (record.corrections,)
    setting = json.dumps([record.source_sha256, *options, *corrected], sort_keys=True)
    family = f"{record.noise}, corrected" if corrected else record.noise
    return LabelColumn(record.source, family, setting, record.variant_id)


def _history(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a history, one number an epoch each."""
    columns = read_columns(path / "history.parquet")[0]
    for name, values in columns.items():
        if values.dtype.kind not in "fiu" or values.ndim != 1:
            msg = f"{path / 'history.parquet'}: '{name}' holds no numbers, one an epoch; evaluate again"
            raise BadData(msg)
    return columns


def _last_of_history(columns: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """What is known of the end of training, by name."""
    found = {name: float(columns[name][-1]) for name in FITS if name in columns and len(columns[name])}
    changes = columns.get("activation_change", np.zeros(0))
    known = changes[np.isfinite(changes)]
    return {**found, "activation_change": float(known.mean())} if known.size else found


def _at_right(columns: Mapping[str, NDArray[Any]]) -> tuple[float, ...]:
    """The share of wrong labels fitted where each of ``RIGHT_SHARES`` of the right ones is first fitted."""
    right, wrong = (columns.get(name, np.zeros(0)) for name in ("clean_fit", "mislabeled_fit"))
    return tuple(wrong_at_right(right, wrong, RIGHT_SHARES).tolist())


def _costs(path: Path) -> tuple[dict[str, tuple[float, float]], float]:
    """Seconds and extra passes of each detector, and seconds of training.

    Nothing is known where the file was lost, or is damaged: no result depends on it.
    """
    try:
        timing = read_record(path / "timing.json")
        detectors = msgspec.convert(timing.get("detectors", {}), dict[str, dict[str, float | int | None]])
        purposes = msgspec.convert(timing.get("purposes", {}), dict[str, float])
    except (BadData, msgspec.ValidationError):
        return {}, math.nan
    costs = {name: (_number(cost.get("seconds")), _number(cost.get("passes"))) for name, cost in detectors.items()}
    return costs, purposes.get("training", math.nan)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _several(runs: object) -> list[Any]:
    """One folder, or several, as a list."""
    if isinstance(runs, str | bytes | os.PathLike) or not isinstance(runs, Iterable) or getattr(runs, "ndim", 1) == 0:
        return [runs]
    return list(runs)


def reads_runs(table: Callable[P, T]) -> Callable[P, T]:
    """A function whose first argument is ``runs``, within which none of their files is read twice: ``keeping_digests``."""

    @wraps(table)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        runs = args[0] if args else kwargs.get("runs")
        given = [] if isinstance(runs, Iterator) else _several(runs)  # an iterator can be gone through once only
        folders = [run.path if isinstance(run, Run) else run for run in given]
        known = bool(folders) and all(isinstance(folder, str | os.PathLike) for folder in folders)
        with keeping_digests(folders) if known else nullcontext():
            return table(*args, **kwargs)

    return reading


def finished_and_begun(runs: Sequence[Run] | Paths) -> tuple[list[Run], list[Run]]:
    """The finished runs in order, and those that have begun and not ended."""
    given = _several(runs)
    known = given if given and all(isinstance(run, Run) for run in given) else read_runs(given)
    known = [run for run in known if run.record.regime not in OF_RULES]  # they feed no detector
    ended = sorted((run for run in known if run.finished), key=lambda run: (*_order(run.setup), run.column, run.seed))
    return ended, [run for run in known if not run.finished]


def _order(setup: Setup) -> tuple[object, ...]:
    learner = setup.learner
    said = (learner.model, learner.recipe, learner.objective, setup.setup, learner.epochs, setup.observe)
    return (*said, learner.features, setup.regime, learner.trained)
