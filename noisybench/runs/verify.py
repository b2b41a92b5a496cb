"""Verifying folders: what is written is whole, and what stands together belongs together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.board.agreement import Agreement, read_agreements, read_truths
from noisybench.board.truths import agreements_of, truths_beside
from noisybench.cards.verify import verify_variant
from noisybench.detection.scoring import Kind, Scores, read_scores, score
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import check_fields, file_name, read_columns, read_record
from noisybench.ground.lookup import find
from noisybench.memorization.estimate import MEASURES, estimate_memorization, read_memorization
from noisybench.memorization.held_out import held_out_answers
from noisybench.memorization.pool import read_pool
from noisybench.runs.reading import Run, read_runs
from noisybench.training.trace import Trace, read_trace
from noisybench.variants.variant import Variant, read_variant


def unfinished_runs(folder: Path) -> int:
    """How many runs below a folder have begun and not ended."""
    return sum(not run.finished for run in read_runs(folder))


def verify_runs(folder: Path) -> Iterator[str]:
    """Check every finished run below a folder: history and scores follow from the trace, agreements from the scores.

    Memorization follows from its blocks of models.

    Raises:
        BadData: What differs, and from what.
    """
    _check_places(folder)
    measured = sorted(folder.rglob("memorization.parquet"))
    for path in measured:
        yield _verify_memorization(path)
    checked: set[Path] = set()
    for run in read_runs([folder]) if not measured or next(folder.rglob("run.json"), None) else []:
        path = run.path
        if not run.finished:
            yield f"{path}: unfinished; the command that began it goes on with it"
            continue
        home = path.parent.parent / "variant"
        if home not in checked:
            for _ in verify_variant(home):  # what it says of each check is for a variant alone
                pass
            checked.add(home)
        yield from _verify_run(run, read_variant(home))


def _verify_memorization(path: Path) -> str:
    """Check a measurement of memorization against the models that it was estimated from."""
    variant = read_variant(path.parents[2] / "variant")
    told = read_memorization(path, variant.provenance.variant_id)
    found = estimate_memorization(read_pool(path.parent, variant, models=told.models), variant)
    for name in (*MEASURES, "n_in", "n_out"):
        if not np.array_equal(getattr(told, name), getattr(found, name), equal_nan=True):
            msg = f"{path}: '{name}' does not follow from the models beside it; delete that file and memorize again"
            raise BadData(msg)
    return f"{path.parent}: memorization follows from its {told.models} models"


def _verify_run(run: Run, variant: Variant) -> Iterator[str]:
    """Check one finished run of a variant."""
    path, record = run.path, read_record(run.path / "run.json")
    check_fields(record, {"detectors": Mapping[str, str]}, path / "run.json")
    trace, follows = _check_trace(run, record, variant)
    told = {_key(a): a for a in read_agreements(path / "agreement.parquet")}
    known = read_truths(path / "agreement.parquet")
    truths = []
    for truth in truths_beside(path.parent.parent, variant):
        if truth.digests.items() <= known.items():
            truths.append(truth)
        else:
            yield f"{path}: not yet held against {truth.path}; the command that made the run does so"
    scores: dict[str, tuple[Scores, Kind]] = {}
    for name, spec in record["detectors"].items():
        written = read_scores(path / "scores" / f"{file_name(name)}.parquet")
        if trace is None:
            _check_as_given(path, name, record)
        elif ":" in spec:  # a record may not name code to import
            yield f"{path}: the scores of '{name}' were not computed again: {spec} is not noisybench's"
        elif not np.array_equal(written.values, score(trace, find("detectors", spec)).values):
            msg = f"{path}: the scores of '{name}' do not follow from the trace; delete that folder and evaluate again"
            raise BadData(msg)
        scores[name] = written, "detector"
    _check_agreement(path, told, agreements_of(scores, variant, truths, seed=run.seed))
    yield f"{path}: {follows}, and their agreement from the scores"


def _check_trace(run: Run, record: Mapping[str, Any], variant: Variant) -> tuple[Trace | None, str]:
    """The trace of a run, None of scores that came without one, and words for what follows from what."""
    path, detectors = run.path, f"{len(record['detectors'])} detectors"
    if run.learner.regime == "given" and record.get("form") == "scores":
        return None, "the scores are those that were given"
    trace = read_trace(path / "trace")
    if trace.variant_id != variant.provenance.variant_id:
        msg = f"{path}: the trace is of another variant than the run's; delete that folder and evaluate again"
        raise Mismatch(msg)
    if run.learner.regime == "given":
        if not np.array_equal(trace["given"][-1], variant.labels):
            msg = f"{path}: the trace has other given labels than the variant; delete that folder and score again"
            raise Mismatch(msg)
        return trace, f"{detectors} follow from the probabilities"
    if run.learner.regime == "pool":
        _check_answers(path, trace, record, variant)
        return trace, f"answers follow from the pool's models (but for neighbours), {detectors} from the answers"
    _check_epochs(path, trace, run.learner.epochs)
    _check_history(path, trace, variant)
    return trace, f"history and {detectors} follow from the trace"


def _check_answers(path: Path, trace: Trace, record: Mapping[str, Any], variant: Variant) -> None:
    """The held-out answers of a pool's run are those of its models."""
    check_fields(record, {"fractions": list[float], "models": int, "epochs": int}, path / "run.json")
    folders = [path / f"fraction-{fraction:g}" for fraction in record["fractions"]]
    pools = [read_pool(folder, variant, models=record["models"]) for folder in folders]
    for name, values in held_out_answers(pools, variant, epoch=record["epochs"]).values.items():
        if not np.array_equal(trace[name][-1], values):
            msg = f"{path}: '{name}' does not follow from the models of its pool; delete {path / 'trace'} and say again"
            raise BadData(msg)


def _check_as_given(path: Path, name: str, record: Mapping[str, Any]) -> None:
    """Scores that were brought along are still those that were written down."""
    place = path / "scores" / f"{file_name(name)}.parquet"
    check_fields(record, {"scores_sha256": Mapping[str, str]}, path / "run.json")
    if record["scores_sha256"].get(name) != file_digest(place):
        msg = f"{place} was changed after it was written; run the command that made it again"
        raise BadData(msg)


def _check_places(folder: Path) -> None:
    """Every run has its record, and stands where that says."""
    for path in sorted({path.parent for name in ("agreement.parquet", "run.json") for path in folder.rglob(name)}):
        if not (path / "run.json").is_file():
            msg = f"{path} has lost its run.json; delete that folder and evaluate again"
            raise BadData(msg)
        seed = read_record(path / "run.json").get("seed")
        if path.name != f"seed-{seed}":
            msg = f"{path} holds the run of seed {seed}; it was renamed, or is a copy: delete it"
            raise Mismatch(msg)


def _check_epochs(path: Path, trace: Trace, epochs: int) -> None:
    """What every run records was observed at the end; the columns of detectors are checked by their scores."""
    for name in ("correct", "prediction"):
        last = trace.column(name).epochs[-1]
        if last != epochs:
            msg = (
                f"{path}: '{name}' was last observed in epoch {last} of {epochs}; delete that folder and evaluate again"
            )
            raise BadData(msg)


def _check_history(path: Path, trace: Trace, variant: Variant) -> None:
    """The shares of wrong and of right labels fitted are those of the trace, epoch by epoch."""
    history = read_columns(path / "history.parquet", ["epoch", "mislabeled_fit", "clean_fit"])[0]
    correct = trace.column("correct")
    if not np.array_equal(history["epoch"], correct.epochs):
        msg = f"{path}: history.parquet and the trace are of different epochs; delete that folder and evaluate again"
        raise BadData(msg)
    for name, chosen in (("mislabeled_fit", variant.mislabeled), ("clean_fit", variant.known & ~variant.mislabeled)):
        for epoch, told, answers in zip(correct.epochs, history[name], correct.values, strict=True):
            found = answers[chosen].mean(dtype=np.float64) if chosen.any() else np.nan
            if not np.isclose(told, found, rtol=0, atol=1e-12, equal_nan=True):
                msg = (
                    f"{path}: {name} of epoch {epoch} is {told} in history.parquet, the trace gives {found}; "
                    f"delete that folder and evaluate again"
                )
                raise BadData(msg)


def _key(agreement: Agreement) -> tuple[str, ...]:
    return (agreement.detector, agreement.truth, agreement.metric, agreement.stratum, agreement.learner)


def _check_agreement(path: Path, told: Mapping[tuple[str, ...], Agreement], expected: Sequence[Agreement]) -> None:
    for agreement in expected:
        found = told.get(_key(agreement))
        for part in ("value", "low", "high", "n"):
            value, right = (getattr(one, part, np.nan) for one in (found, agreement))
            if found is None or not np.isclose(value, right, rtol=0, atol=1e-12, equal_nan=True):
                what = agreement.metric if part == "value" else f"{agreement.metric} ({part})"
                msg = f"{path}: {what} of '{agreement.detector}' is {found and value}, its scores give {right}"
                raise BadData(msg)
