"""What the commands that make runs give back: where a run is, its scores, and how these agree with the truth."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from noisybench.board.agreement import Agreement
from noisybench.board.judging import judge, judge_references
from noisybench.board.truths import MISLABELED, check_asked, read_truths
from noisybench.detection.scoring import Scores
from noisybench.memorization.estimate import Memorization, read_memorization
from noisybench.memorization.reliability import Summary
from noisybench.runs.given_run import keep_given
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.pool_run import DetectorPool, score_pool
from noisybench.runs.reading import read_run
from noisybench.runs.training_run import train_and_score
from noisybench.statistics.confident_learning import NoiseEstimate

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
            metric: A key of ``METRICS`` or, for memorization, of ``MEMORIZATION_METRICS``; None takes the AUROC, or
                Spearman's correlation.
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


def _returning(name: str, function: Callable[P, T], make: Callable[[T], R]) -> Callable[P, R]:
    """``function`` under its public name, with a result that can be asked for agreement, which ``runs`` knows nothing of.

    Help and editors show what it returns, and it travels to other processes by its name here.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return make(function(*args, **kwargs))

    returned = make if isinstance(make, type) else make.__annotations__["return"]
    shown = inspect.signature(function).replace(return_annotation=returned)
    for attribute, value in {
        "__name__": name,
        "__qualname__": name,
        "__module__": __name__,
        "__signature__": shown,
    }.items():
        setattr(call, attribute, value)
    return call


def _results(paths: list[Path]) -> list[Result]:
    return [Result(path) for path in paths]


def _detected(found: DetectorPool) -> Detected:
    return Detected(found.path, found.noise)


def _measured(found: tuple[Path, Summary]) -> MeasuredMemorization:
    return MeasuredMemorization(*found)


evaluate = _returning("evaluate", train_and_score, _results)
memorize = _returning("memorize", measure_memorization, _measured)
detect = _returning("detect", score_pool, _detected)
score_given = _returning("score_given", keep_given, Result)
