"""What the commands that train, measure or fit give back, and these commands themselves: each imports what trains."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from noisybench.board.agreement import Agreement
from noisybench.board.finished import Result, is_whole, keep_results, returning, scored
from noisybench.board.judging import judge_references
from noisybench.board.truths import MISLABELED, check_asked, read_truths
from noisybench.board.vouching import is_made_since, vouch_for_measured
from noisybench.detection.scoring import Scores
from noisybench.ground.errors import BadData
from noisybench.memorization.estimate import Memorization, read_memorization
from noisybench.memorization.reliability import Summary
from noisybench.runs.answers_run import score_by_answers
from noisybench.runs.features_run import score_frozen
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.pool_run import DetectorPool, score_pool
from noisybench.runs.released_measurement import keep_released
from noisybench.runs.training_run import train_and_score
from noisybench.runs.verify import verify_memorization
from noisybench.statistics.confident_learning import NoiseEstimate


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


def _results(paths: list[Path], since: float) -> list[Result]:
    keep_results(paths, since=since)
    return [Result(path) for path in paths]


def _detected(found: DetectorPool, since: float) -> Detected:
    keep_results([found.path], since=since)
    return Detected(found.path, found.noise)


def _measured(found: tuple[Path, Summary], since: float) -> MeasuredMemorization:
    if is_made_since(found[0], since) or is_whole(lambda: verify_memorization(found[0] / "memorization.parquet")):
        with suppress(BadData):  # of another measurement, which a table tells
            vouch_for_measured(read_truths(found[0].parent.parent), found[0])
    return MeasuredMemorization(*found)


evaluate = returning("evaluate", train_and_score, _results, module=__name__)
memorize = returning("memorize", measure_memorization, _measured, module=__name__)
memorize_released = returning("memorize_released", keep_released, _measured, module=__name__)
detect = returning("detect", score_pool, _detected, module=__name__)
score_features = returning("score_features", score_frozen, scored, module=__name__)
score_answers = returning("score_answers", score_by_answers, _results, module=__name__)
