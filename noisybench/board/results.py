"""What the commands that make runs give back: where a run is, its scores, and how these agree with the truth."""

import inspect
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from noisybench.board.agreement import Agreement
from noisybench.board.agreement_file import write_agreement
from noisybench.board.judging import judge, judge_references
from noisybench.board.truths import MISLABELED, Truths, check_asked, read_truths
from noisybench.board.vouching import is_made_since, is_vouched_for, vouch, vouch_for_measured
from noisybench.detection.scoring import Scores, Suggestion
from noisybench.ground.errors import BadData
from noisybench.memorization.estimate import Memorization, read_memorization
from noisybench.memorization.reliability import Summary
from noisybench.runs.answers_run import score_by_answers
from noisybench.runs.features_run import score_frozen
from noisybench.runs.given_run import keep_given
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.pool_run import DetectorPool, score_pool
from noisybench.runs.reading import Run, read_run
from noisybench.runs.record import OF_RULES
from noisybench.runs.released_measurement import keep_released
from noisybench.runs.training_run import train_and_score
from noisybench.runs.verify import verify_memorization, verify_run
from noisybench.statistics.confident_learning import NoiseEstimate
from noisybench.variants.variant import read_variant

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Result(os.PathLike[str]):
    """A finished run.

    Attributes:
        path: Its folder.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def scores(self) -> Mapping[str, Scores]:
        """Name of each detector → its scores."""
        run = read_run(self.path)
        return {name: run.scores(name) for name in run.kinds}

    @property
    def suggestions(self) -> Mapping[str, Suggestion]:
        """Name of each detector that has something to suggest → another class for each sample, or ``UNKNOWN``."""
        run = read_run(self.path)
        variant = read_variant(run.home / "variant")
        found = {name: run.suggestion(name, variant) for name in run.kinds}
        return {name: suggestion for name, suggestion in found.items() if suggestion is not None}

    @property
    def history(self) -> Mapping[str, float]:
        """What is known of the end of training, by name."""
        return read_run(self.path).history

    def truths(self) -> Sequence[str]:
        """What its scores can be held against, now."""
        return read_truths(read_run(self.path).home).names

    def agreement(
        self, metric: str | None = None, *, truth: str = MISLABELED, stratum: str = "all"
    ) -> Sequence[Agreement]:
        """Agreement of each of its detectors with a truth; several rows each where several memorizations were measured.

        Args:
            metric: Name of a metric of that truth; None takes the AUROC, or Spearman's correlation.
            truth: ``mislabeled``, ``memorization`` where it was measured, or a mark of the source.
            stratum: For memorization: ``all`` samples, the ``clean`` or the ``mislabeled`` ones.

        Raises:
            UnknownName: The labels have no such truth, or it no such metric or stratum.
        """
        run = read_run(self.path)
        truths = read_truths(run.home)
        return judge(run, truths, check_asked(truth, metric, stratum, [truths]))


@dataclass(frozen=True, slots=True)
class Detected(Result):
    """A finished run of a detector pool.

    Attributes:
        noise: What confident learning estimates of the noise.
    """

    noise: NoiseEstimate


@dataclass(frozen=True, slots=True)
class MeasuredMemorization(os.PathLike[str]):
    """A measurement of memorization.

    Attributes:
        path: Its folder.
        summary: How good it is.
    """

    path: Path
    summary: Summary

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def memorization(self) -> Memorization:
        """What was measured, with its standard errors."""
        return read_memorization(self.path / "memorization.parquet")

    @property
    def scores(self) -> Mapping[str, Scores]:
        """Memorization as a suspicion, under the name that tables give it."""
        found = self.memorization
        return {self._name: Scores(self._name, found.values, found.variant_id)}

    def agreement(self, metric: str | None = None) -> Sequence[Agreement]:
        """How well memorization itself finds mislabeled samples: a row, none where some sample has no memorization."""
        truths = read_truths(self.path.parent.parent)
        rows = judge_references(truths, check_asked(MISLABELED, metric, "all", [truths]), seed=0)
        return [row for row in rows if row.detector == self._name]

    @property
    def _name(self) -> str:
        return f"memorization by {self.memorization.learner.name}"


def _returning(name: str, function: Callable[P, T], make: Callable[[T, float], R]) -> Callable[P, R]:
    """``function`` under its public name, with a result that can be asked for agreement, which ``runs`` knows nothing of.

    Help and editors show what it returns, and it travels to other processes by its name here.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        since = time.time()
        return make(function(*args, **kwargs), since)

    returned = make.__annotations__["return"]
    shown = inspect.signature(function).replace(return_annotation=returned)
    for attribute, value in {
        "__name__": name,
        "__qualname__": name,
        "__module__": __name__,
        "__signature__": shown,
    }.items():
        setattr(call, attribute, value)
    return call


def keep_results(paths: Iterable[Path], *, since: float) -> None:
    """Leave beside finished runs what follows from them, and note which of them were made here.

    Args:
        paths: Their folders.
        since: When they were begun, in seconds since the epoch.
    """
    truths: dict[Path, Truths] = {}
    for path in paths:
        run = read_run(path)
        if run.record.regime in OF_RULES:  # it feeds no detector
            continue
        of = truths[run.home] = truths.get(run.home) or read_truths(run.home, measured_too=False)
        if not is_vouched_for(run, of) and (is_made_since(path, since) or _is_whole(partial(_exhaust, run, of))):
            vouch(run, of)
        write_agreement(run, of)


def _exhaust(run: Run, truths: Truths) -> None:
    for _ in verify_run(run, truths.variant):
        pass


def _is_whole(check: Callable[[], object]) -> bool:
    """Whether what was there before, and may be a stranger's, passes a check."""
    try:
        check()
    except BadData:  # which a table, and ``verify``, will tell
        return False
    return True


def _results(paths: list[Path], since: float) -> list[Result]:
    keep_results(paths, since=since)
    return [Result(path) for path in paths]


def _detected(found: DetectorPool, since: float) -> Detected:
    keep_results([found.path], since=since)
    return Detected(found.path, found.noise)


def _scored(path: Path, since: float) -> Result:
    keep_results([path], since=since)
    return Result(path)


def _measured(found: tuple[Path, Summary], since: float) -> MeasuredMemorization:
    if is_made_since(found[0], since) or _is_whole(lambda: verify_memorization(found[0] / "memorization.parquet")):
        with suppress(BadData):  # of another measurement, which a table tells
            vouch_for_measured(read_truths(found[0].parent.parent), found[0])
    return MeasuredMemorization(*found)


evaluate = _returning("evaluate", train_and_score, _results)
memorize = _returning("memorize", measure_memorization, _measured)
memorize_released = _returning("memorize_released", keep_released, _measured)
detect = _returning("detect", score_pool, _detected)
score_features = _returning("score_features", score_frozen, _scored)
score_answers = _returning("score_answers", score_by_answers, _results)
score_given = _returning("score_given", keep_given, _scored)
