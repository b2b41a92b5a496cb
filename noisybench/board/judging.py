"""Judging: the board holds a run's scores against a truth when it is asked to, so that the order of commands decides nothing.

Answers are kept in the user's own cache, by the digests of everything that they follow from: scores, truth, metric and
the code of the metrics. They are not kept beside the runs, since a folder may be a stranger's, and its files say what he
likes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from noisybench import statistics
from noisybench.board import agreement, references
from noisybench.board.agreement import (
    Agreement,
    against_labels,
    against_mark,
    against_memorization,
    against_right_classes,
)
from noisybench.board.references import reference_scores, reference_suggestions
from noisybench.board.truths import MEMORIZATION, MISLABELED, Asked, Truths
from noisybench.detection.scoring import Kind, Scores, scores_path
from noisybench.ground import random_streams
from noisybench.ground.digests import file_digest
from noisybench.ground.download import cache_folder
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import replacing
from noisybench.memorization import learner, reliability
from noisybench.runs.reading import Run
from noisybench.runs.suggestion_files import suggestion_digests
from noisybench.statistics.detection_metrics import METRICS, Metric
from noisybench.statistics.memorization_metrics import MEMORIZATION_METRICS
from noisybench.statistics.suggestion_metrics import SUGGESTION_METRICS, SuggestionMetric

DIGEST = hashlib.sha256().digest_size
"""Bytes at the start of a kept answer: the digest of the others."""
KNOW_NOTHING = ("random", "flag_nothing")
"""References that stand beside the marks of a source; the others know of mislabeled samples alone."""


def judge(run: Run, truths: Truths, asked: Asked) -> list[Agreement]:
    """Agreement of each detector of a finished run with the truth that is asked for, once for each measurement of it.

    Args:
        run: A finished run.
        truths: Of its labels.
        asked: Truth, metric and stratum; nothing is returned where the labels have no such truth.

    Raises:
        BadData: Scores are missing, broken or not of as many samples.
        Mismatch: The run or its scores are of another variant.
    """
    ours = truths.variant.provenance.variant_id
    if run.record.variant_id != ours:
        msg = f"{run.path} holds a run of variant {run.record.variant_id[:12]}, the labels beside it are of {ours[:12]}; delete one"
        raise Mismatch(msg)
    if asked.truth not in truths.names:
        return []
    if asked.metric in SUGGESTION_METRICS:
        return _judge_suggestions(run, truths, asked)
    digests = {name: file_digest(scores_path(run.path, name)) for name in run.kinds}

    def compute() -> list[Agreement]:
        return [row for name, kind in run.kinds.items() for row in _against(run.scores(name), truths, asked, kind)]

    return _kept({"scores": digests, "kinds": dict(run.kinds)}, truths, asked, compute)


def _judge_suggestions(run: Run, truths: Truths, asked: Asked) -> list[Agreement]:
    """The same for what the detectors suggest; kept where every suggestion has a file, whose digest the record holds."""
    digests = suggestion_digests(run.path, run.record)

    def compute() -> list[Agreement]:
        rows: list[Agreement] = []
        for name, kind in run.kinds.items():
            suggestion = run.suggestion(name, truths.variant)
            rows += against_right_classes(suggestion, truths.variant, detector=name, kind=kind, metrics=(asked.metric,))
        return rows

    if set(digests) != set(run.kinds):
        return compute()
    return _kept({"suggestions": digests, "kinds": dict(run.kinds)}, truths, asked, compute)


def judge_references(truths: Truths, asked: Asked, *, seed: int) -> list[Agreement]:
    """Agreement of what detectors are read against: the references, and memorization itself as a detector.

    Args:
        truths: Of one label column.
        asked: Truth, metric and stratum.
        seed: Decides the random reference.
    """
    if asked.truth not in truths.names:
        return []

    def compute() -> list[Agreement]:
        rows: list[Agreement] = []
        if asked.metric in SUGGESTION_METRICS:
            for suggested in reference_suggestions(truths.variant, seed=seed):
                rows += against_right_classes(
                    suggested,
                    truths.variant,
                    detector=suggested.detector,
                    kind="reference",
                    metrics=(asked.metric,),
                )
            return rows
        for reference in reference_scores(truths.variant, seed=seed):
            if asked.truth in (MISLABELED, MEMORIZATION) or reference.detector in KNOW_NOTHING:
                rows += _against(reference, truths, asked, "reference")
        for one in truths.measured if asked.truth == MISLABELED else ():
            memorization = one.memorization
            if np.isfinite(memorization.values).all():
                name = f"memorization by {memorization.learner.name}"
                itself = Scores(name, memorization.values, memorization.variant_id)
                rows += _against(itself, truths, asked, "reference")
        return rows

    measured = [dict(one.digests) for one in truths.measured]
    return _kept({"seed": seed, "memorization": measured}, truths, asked, compute)


def _against(scores: Scores, truths: Truths, asked: Asked, kind: Kind) -> list[Agreement]:
    """One detector against one truth, by one metric: a row, or one for each measured memorization."""
    metrics = (asked.metric,)
    if asked.truth == MISLABELED:
        return against_labels(scores, truths.variant, kind=kind, metrics=metrics)
    if asked.truth != MEMORIZATION:
        return against_mark(scores, truths.variant, asked.truth, kind=kind, metrics=metrics)
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
        )
    return rows


def _kept(
    follows_from: Mapping[str, object], truths: Truths, asked: Asked, compute: Callable[[], list[Agreement]]
) -> list[Agreement]:
    """What ``compute`` gives, from the cache where the same was asked of the same files before."""
    metric = _own_metric(asked)
    if metric is None:
        return compute()
    what = {
        **follows_from,
        "asked": asdict(asked),
        "metric": metric,
        "variant": dict(truths.digests),
        "measured": [dict(one.digests) for one in truths.measured] if asked.truth == MEMORIZATION else [],
        "code": digest_of_code(),
    }
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / "agreement" / key[:2] / f"{key}.msgpack"
    with suppress(OSError, msgspec.DecodeError):  # missing or damaged: computed again
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            return msgspec.msgpack.decode(content[DIGEST:], type=list[Agreement])
    rows = compute()
    content = msgspec.msgpack.encode(rows)  # which knows NaN, unlike JSON
    with suppress(OSError), replacing(path, sync=False) as part:  # a cache that is not written saves and harms nothing
        part.write_bytes(hashlib.sha256(content).digest() + content)
    return rows


def _own_metric(asked: Asked) -> str | None:
    """What a metric calls, in words; None where that is not noisybench's own, whose code is part of the key."""
    every: dict[str, Metric | SuggestionMetric] = {**METRICS, **SUGGESTION_METRICS}
    compute = (MEMORIZATION_METRICS if asked.truth == MEMORIZATION else every)[asked.metric].compute
    function = getattr(compute, "func", compute)  # a partial's
    if str(function.__module__).partition(".")[0] != "noisybench":
        return None
    given = getattr(compute, "args", ()), getattr(compute, "keywords", {})  # as precision_at(10, …)
    return f"{function.__module__}.{function.__qualname__} {given}"


@cache
def digest_of_code(*more: Path) -> str:
    """Digest of the code that agreement follows from, and of more, so that a changed metric finds nothing in the cache."""
    others = (agreement, references, reliability, learner, random_streams)
    files = [*sorted(Path(str(statistics.__file__)).parent.glob("*.py")), *map(_file_of, others), *more]
    return hashlib.sha256("".join(map(file_digest, files)).encode()).hexdigest()


def _file_of(module: object) -> Path:
    return Path(str(getattr(module, "__file__", "")))


def judge_all(
    runs: Sequence[Run], truths: Mapping[Path, Truths], asked: Asked
) -> tuple[dict[Path, list[Agreement]], list[BadData]]:
    """Folder of each run → agreement of its detectors, and of the references for its labels and seed.

    The second result says what is wrong with the runs that cannot be judged, which the first does not hold.
    """
    beside: dict[tuple[Path, int], list[Agreement]] = {}
    found: dict[Path, list[Agreement]] = {}
    faults = []
    for run in runs:
        of = truths[run.home]
        if (run.home, run.seed) not in beside:
            beside[run.home, run.seed] = judge_references(of, asked, seed=run.seed)
        try:
            found[run.path] = judge(run, of, asked) + beside[run.home, run.seed]
        except BadData as error:
            faults.append(error)
    return found, faults
