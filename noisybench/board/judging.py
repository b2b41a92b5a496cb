"""Judging: the board holds a run's scores against a truth when it is asked to, so that the order of commands decides nothing.

Answers are kept in the user's own cache, by the digests of everything that they follow from: scores, truth, metric and
the code of the metrics; see ``kept_answers``.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from noisybench import statistics
from noisybench.board import agreement, evidence, own_cut, references
from noisybench.board.agreement import (
    Agreement,
    against_flags,
    against_labels,
    against_mark,
    against_memorization,
    against_right_classes,
)
from noisybench.board.kept_answers import kept
from noisybench.board.own_cut import own_flags
from noisybench.board.references import reference_scores, reference_suggestions
from noisybench.board.truths import MEMORIZATION, MISLABELED, Asked, Truths, is_of_own_kind
from noisybench.detection import suggesting
from noisybench.detection.scoring import Kind, Scores, scores_file
from noisybench.ground import random_streams
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.kept_digests import kept_digest
from noisybench.ground.lookup import find
from noisybench.memorization import learner, reliability
from noisybench.runs.folder import suggestion_files
from noisybench.runs.reading import Run
from noisybench.runs.suggestion_files import suggestion_digests
from noisybench.statistics.metric import Metric

DRAWN_BY_SEED = ("random",)
"""References that the seed of a run decides."""
KNOW_NOTHING = ("random", "flag_nothing")
"""References that stand beside the marks of a source; the others know of mislabeled samples alone."""


def judge(run: Run, truths: Truths, asked: Asked) -> list[Agreement]:
    """Agreement of each detector of a finished run with the truth that is asked for, once for each measurement of it.

    Args:
        run: A finished run.
        truths: Of its labels.
        asked: Truth, metric, stratum and class; nothing is returned where the labels have no such truth or class.

    Raises:
        BadData: Scores are missing, broken or not of as many samples.
        Mismatch: The run or its scores are of another variant.
    """
    return _of_class(_judge(run, truths, asked), asked)


def judge_by_each(run: Run, truths: Truths, truth: str, metrics: Sequence[str]) -> list[Agreement]:
    """Agreement of each detector with one truth by several metrics, which all compare scores; each is read and sorted once.

    Args:
        run: A finished run.
        truths: Of its labels.
        truth: Which of them; nothing is returned where the labels have none of that name.
        metrics: Names of metrics, in whose order the rows come.

    Raises:
        BadData: Scores are missing, broken or not of as many samples.
        Mismatch: The run or its scores are of another variant.
    """
    _check_labels(run, truths)
    return _judge_scores(run, truths, Asked(truth), metrics) if truth in truths.names else []


def _of_class(rows: list[Agreement], asked: Asked) -> list[Agreement]:
    """Rows of the class that is asked for, among those of every class."""
    return rows if asked.given_class is None else [row for row in rows if row.given_class == asked.given_class]


def _judge(run: Run, truths: Truths, asked: Asked) -> list[Agreement]:
    """The rows of ``judge``; of every given class where one is asked for, in one pass over the scores."""
    _check_labels(run, truths)
    if asked.truth not in truths.names:
        return []
    compares = _metric(asked).compares
    if compares == "suggestion":
        return _judge_suggestions(run, truths, asked)
    if compares == "cut":
        return _judge_flags(run, truths, asked)
    return _judge_scores(run, truths, asked, (asked.metric,))


def _check_labels(run: Run, truths: Truths) -> None:
    """Raise ``Mismatch`` unless a run is of the labels beside it."""
    ours = truths.variant.provenance.variant_id
    if run.record.variant_id != ours:
        msg = f"{run.path} holds a run of variant {run.record.variant_id[:12]}, the labels beside it are of {ours[:12]}; delete one"
        raise Mismatch(msg)


def _judge_scores(run: Run, truths: Truths, asked: Asked, metrics: Sequence[str]) -> list[Agreement]:
    """The rows of ``_judge`` where scores are compared, by each of these metrics; what none of them has kept is computed together."""
    files = {name: scores_file(run.path, name) for name in run.kinds}
    digests = {name: kept_digest(file) for name, file in files.items()}

    @cache
    def computed() -> list[Agreement]:
        found = ((run.scores(name), kind) for name, kind in run.kinds.items())
        return [row for scores, kind in found for row in _against(scores, truths, asked, kind, metrics)]

    def by(metric: str) -> list[Agreement]:
        return [row for row in computed() if row.metric == metric]

    follows_from, rows = {"scores": digests, "kinds": dict(run.kinds)}, []
    for metric in metrics:
        rows += _kept(follows_from, truths, replace(asked, metric=metric), partial(by, metric), files.values())
    return [row for row in rows if not is_of_own_kind(run, row.detector, row.learner)]


def _judge_suggestions(run: Run, truths: Truths, asked: Asked) -> list[Agreement]:
    """The same for what the detectors suggest; kept where every suggestion has a file, whose digest the record holds."""
    digests = suggestion_digests(run.path, run.record)

    def compute() -> list[Agreement]:
        rows: list[Agreement] = []
        for name, kind in run.kinds.items():
            suggestion = run.suggestion(name, truths.variant)
            rows += against_right_classes(
                suggestion,
                truths.variant,
                detector=name,
                kind=kind,
                metrics=(asked.metric,),
                classes=_classes(truths, asked),
            )
        return rows

    if set(digests) != set(run.kinds):
        return compute()
    files = suggestion_files(run.path, run.record).values()
    return _kept({"suggestions": digests, "kinds": dict(run.kinds)}, truths, asked, compute, files)


def _judge_flags(run: Run, truths: Truths, asked: Asked) -> list[Agreement]:
    """The same for the flags at each detector's own cut, which follow from its scores and from what the run answered."""

    def compute() -> list[Agreement]:
        flags = own_flags(run, truths.variant)
        rows: list[Agreement] = []
        for name, kind in run.kinds.items():
            rows += against_flags(
                flags[name],
                truths.variant,
                detector=name,
                kind=kind,
                metrics=(asked.metric,),
                classes=_classes(truths, asked),
            )
        return rows

    return _kept(flags_follow_from(run), truths, asked, compute)


def flags_follow_from(run: Run) -> dict[str, object]:
    """Digests of all that the flags of a run's detectors follow from, but its labels."""
    trace = run.path / "trace"
    return {
        "scores": {name: kept_digest(scores_file(run.path, name)) for name in run.kinds},
        "kinds": dict(run.kinds),
        "form": run.record.form,
        "trace": {file.name: kept_digest(file) for file in sorted(trace.glob("*")) if file.is_file()},
    }


def judge_references(truths: Truths, asked: Asked, *, seed: int) -> list[Agreement]:
    """Agreement of what detectors are read against: the references, and memorization itself as a detector.

    Args:
        truths: Of one label column.
        asked: Truth, metric, stratum and class.
        seed: Decides the random reference.
    """
    return _of_class(_judge_references(truths, asked, seed=seed), asked)


def _judge_references(truths: Truths, asked: Asked, *, seed: int) -> list[Agreement]:
    """The rows of ``judge_references``; of every given class where one is asked for. A reference has no cut of its own."""
    return [*_judge_by_seed(truths, asked, seed), *_judge_by_seed(truths, asked, None)]


def _judge_by_seed(truths: Truths, asked: Asked, seed: int | None) -> list[Agreement]:
    """The references that a seed decides; where it is None, the others, which are alike in all runs of the labels."""
    compares = _metric(asked).compares
    if asked.truth not in truths.names or compares == "cut":
        return []

    def wanted(name: str) -> bool:
        return (name in DRAWN_BY_SEED) == (seed is not None)

    def compute() -> list[Agreement]:
        rows: list[Agreement] = []
        if compares == "suggestion":
            references = reference_suggestions(truths.variant, seed=seed or 0)
            for suggested in (one for one in references if wanted(one.detector)):
                rows += against_right_classes(
                    suggested,
                    truths.variant,
                    detector=suggested.detector,
                    kind="reference",
                    metrics=(asked.metric,),
                    classes=_classes(truths, asked),
                )
            return rows
        for reference in reference_scores(truths.variant, seed=seed or 0):
            known = asked.truth in (MISLABELED, MEMORIZATION) or reference.detector in KNOW_NOTHING
            if known and wanted(reference.detector):
                rows += _against(reference, truths, asked, "reference")
        for one in truths.measured if asked.truth == MISLABELED and seed is None else ():
            memorization = one.memorization
            if np.isfinite(memorization.values).all():
                name = f"memorization by {memorization.learner.name}"
                itself = Scores(name, memorization.values, memorization.variant_id)
                rows += _against(itself, truths, asked, "reference")
        return rows

    measured = [dict(one.digests) for one in truths.measured]
    return _kept({"seed": seed, "memorization": measured}, truths, asked, compute)


def _against(
    scores: Scores, truths: Truths, asked: Asked, kind: Kind, metrics: Sequence[str] | None = None
) -> list[Agreement]:
    """One detector against one truth, by the metric asked for or by each of these: a row, or one a measured memorization."""
    metrics, classes = metrics or (asked.metric,), _classes(truths, asked)
    if asked.truth == MISLABELED:
        return against_labels(scores, truths.variant, kind=kind, metrics=metrics, classes=classes)
    if asked.truth != MEMORIZATION:
        return against_mark(scores, truths.variant, asked.truth, kind=kind, metrics=metrics, classes=classes)
    rows: list[Agreement] = []
    for one in truths.measured:
        rows += against_memorization(
            scores,
            one.memorization,
            truths.variant,
            kind=kind,
            held_out_error=one.held_out_error,
            metrics=metrics,
            strata=(asked.stratum,),
            classes=classes,
        )
    return rows


def _metric(asked: Asked) -> Metric:
    found: Metric = find("metrics", asked.metric)
    return found


def _classes(truths: Truths, asked: Asked) -> range | None:
    """Every class where one is asked for, None where samples are compared together."""
    return None if asked.given_class is None else range(truths.variant.num_classes)


def _kept(
    follows_from: Mapping[str, object],
    truths: Truths,
    asked: Asked,
    compute: Callable[[], list[Agreement]],
    files: Iterable[Path | str] = (),
) -> list[Agreement]:
    """What ``compute`` gives, from the cache where the same was asked of the same files before."""
    metric = _own_metric(asked)
    if metric is None:
        return compute()
    what = {
        **follows_from,
        "asked": {**asdict(asked), "given_class": None if asked.given_class is None else "each"},
        "metric": metric,
        "variant": dict(truths.digests),
        "measured": [dict(one.digests) for one in truths.measured] if asked.truth == MEMORIZATION else [],
        "code": digest_of_code(),
    }
    return kept(what, compute, list[Agreement], files)


def _own_metric(asked: Asked) -> str | None:
    """What a metric calls, in words; None where that is not noisybench's own, whose code is part of the key."""
    metric = _metric(asked)
    function = getattr(metric.compute, "func", metric.compute)  # a partial's
    if str(getattr(function, "__module__", "")).partition(".")[0] != "noisybench":
        return None
    given = getattr(metric.compute, "args", ()), getattr(metric.compute, "keywords", {})  # as precision_at(10, …)
    if not all(isinstance(value, int | float | str) for value in (*given[0], *given[1].values())):
        return None  # of which two may look alike
    return f"{metric.compares}: {function.__module__}.{function.__qualname__} {given} {metric.needs_held_out_error}"


@cache
def digest_of_code(*more: Path) -> str:
    """Digest of the code that agreement follows from, and of more, so that a changed metric finds nothing in the cache."""
    others = (agreement, evidence, own_cut, references, suggesting, reliability, learner, random_streams)
    files = [*sorted(Path(str(statistics.__file__)).parent.rglob("*.py")), *map(_file_of, others), *more]
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()


def _file_of(module: object) -> Path:
    return Path(str(getattr(module, "__file__", "")))


def judge_all(
    runs: Sequence[Run], truths: Mapping[Path, Truths], asked: Asked
) -> tuple[dict[Path, list[Agreement]], list[BadData]]:
    """Folder of each run → agreement of its detectors, and of the references for its labels and seed.

    The second result says what is wrong with the runs that cannot be judged, which the first does not hold.
    """
    found, faults = _judge_all(runs, truths, asked)
    return {path: _of_class(rows, asked) for path, rows in found.items()}, faults


def judge_all_by_class(
    runs: Sequence[Run], truths: Mapping[Path, Truths], asked: Asked
) -> tuple[dict[int, dict[Path, list[Agreement]]], list[BadData]]:
    """Given class → what ``judge_all`` finds among its samples alone, for every class in one pass over each run's scores.

    A run whose labels have fewer classes is in fewer of them.
    """
    found, faults = _judge_all(runs, truths, replace(asked, given_class=0))  # any class, which gives the rows of all
    by_class: dict[int, dict[Path, list[Agreement]]] = {}
    for path, rows in found.items():
        for row in rows:
            if row.given_class is not None:
                by_class.setdefault(row.given_class, {}).setdefault(path, []).append(row)
    return dict(sorted(by_class.items())), faults


def _judge_all(
    runs: Sequence[Run], truths: Mapping[Path, Truths], asked: Asked
) -> tuple[dict[Path, list[Agreement]], list[BadData]]:
    """What ``judge_all`` finds; of every given class where one is asked for."""
    beside: dict[tuple[Path, int | None], list[Agreement]] = {}
    found: dict[Path, list[Agreement]] = {}
    faults = []
    for run in runs:
        of = truths[run.home]
        for seed in (run.seed, None):
            if (run.home, seed) not in beside:
                beside[run.home, seed] = _judge_by_seed(of, asked, seed)
        try:
            found[run.path] = _judge(run, of, asked) + beside[run.home, run.seed] + beside[run.home, None]
        except BadData as error:
            faults.append(error)
    return found, faults
