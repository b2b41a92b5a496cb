"""A finished run: where it is, its scores, and how these agree with the truth; of given scores, which need no torch."""

import inspect
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from noisybench.board.agreement import Agreement
from noisybench.board.agreement_file import write_agreement
from noisybench.board.judging import judge
from noisybench.board.truths import MISLABELED, Truths, check_asked, read_truths
from noisybench.board.vouching import is_made_since, is_vouched_for, vouch
from noisybench.detection.scoring import Scores, Suggestion
from noisybench.ground.errors import BadData
from noisybench.runs.given_run import keep_given
from noisybench.runs.reading import Run, read_run
from noisybench.runs.record import OF_RULES
from noisybench.runs.verify import verify_run
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


def returning(name: str, function: Callable[P, T], make: Callable[[T, float], R], *, module: str) -> Callable[P, R]:
    """``function`` under its public name, with a result that can be asked for agreement, which ``runs`` knows nothing of.

    Help and editors show what it returns, and it travels to other processes by its name in ``module``.
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
        "__module__": module,
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
        if not is_vouched_for(run, of) and (is_made_since(path, since) or is_whole(partial(_exhaust, run, of))):
            vouch(run, of)
        write_agreement(run, of)


def _exhaust(run: Run, truths: Truths) -> None:
    for _ in verify_run(run, truths.variant):
        pass


def is_whole(check: Callable[[], object]) -> bool:
    """Whether what was there before, and may be a stranger's, passes a check."""
    try:
        check()
    except BadData:  # which a table, and ``verify``, will tell
        return False
    return True


def scored(path: Path, since: float) -> Result:
    """The result of a run without training, beside which what follows from it is left."""
    keep_results([path], since=since)
    return Result(path)


score_given = returning("score_given", keep_given, scored, module=__name__)
