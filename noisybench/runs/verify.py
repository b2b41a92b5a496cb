"""Verifying folders: what is written is whole, and what stands together belongs together."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from noisybench.cards.verify import verify_variant
from noisybench.detection.scoring import score, scores_path
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_columns
from noisybench.ground.lookup import find
from noisybench.memorization.estimate import MEASURES, estimate_memorization, read_memorization
from noisybench.memorization.held_out import held_out_answers
from noisybench.memorization.pool import read_pool
from noisybench.runs.folder import read_run_record
from noisybench.runs.reading import Run, read_runs
from noisybench.runs.record import RunRecord
from noisybench.training.trace import Trace, read_trace
from noisybench.variants.variant import Variant, read_variant


def unfinished_runs(folder: Path) -> int:
    """How many runs below a folder have begun and not ended."""
    return sum(not run.finished for run in read_runs(folder))


def verify_runs(folder: Path) -> Iterator[str]:
    """Check every finished run below a folder: history and scores follow from the trace, or from a pool's models.

    Memorization follows from its blocks of models. Agreement is not stored, and so needs no check.

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
            for _ in verify_variant(home, cards=False):  # what it says of each check is for a variant alone
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
    path, record = run.path, run.record
    if record.variant_id != variant.provenance.variant_id:
        msg = f"{path / 'run.json'} is of another variant than the run's; delete that folder and evaluate again"
        raise Mismatch(msg)
    trace, follows = _check_trace(run, variant)
    for name, spec in record.detectors.items():
        written = run.scores(name)
        if written.variant_id != variant.provenance.variant_id or written.values.shape != variant.labels.shape:
            msg = f"{path}: the scores of '{name}' are of other labels than the run's; delete that folder and evaluate again"
            raise Mismatch(msg)
        if trace is None:
            _check_as_given(path, name, record)
        elif ":" in spec:  # a record may not name code to import
            yield f"{path}: the scores of '{name}' were not computed again: {spec} is not noisybench's"
        elif not np.array_equal(written.values, score(trace, find("detectors", spec)).values):
            msg = f"{path}: the scores of '{name}' do not follow from the trace; delete that folder and evaluate again"
            raise BadData(msg)
    yield f"{path}: {follows}"


def _check_trace(run: Run, variant: Variant) -> tuple[Trace | None, str]:
    """The trace of a run, None of scores that came without one, and words for what follows from what."""
    path, record, detectors = run.path, run.record, f"{len(run.record.detectors)} detectors"
    if record.regime == "given" and record.form == "scores":
        return None, "the scores are those that were given"
    trace = read_trace(path / "trace")
    if trace.variant_id != variant.provenance.variant_id:
        msg = f"{path}: the trace is of another variant than the run's; delete that folder and evaluate again"
        raise Mismatch(msg)
    if record.regime == "given":
        if not np.array_equal(trace["given"][-1], variant.labels):
            msg = f"{path}: the trace has other given labels than the variant; delete that folder and score again"
            raise Mismatch(msg)
        return trace, f"{detectors} follow from the {'logits' if record.form == 'dynamics' else 'probabilities'}"
    if record.regime == "pool":
        _check_answers(path, trace, record, variant)
        return trace, f"answers follow from the pool's models (but for neighbours), {detectors} from the answers"
    _check_epochs(path, trace, record.epochs)
    _check_history(path, trace, variant)
    return trace, f"history and {detectors} follow from the trace"


def _check_answers(path: Path, trace: Trace, record: RunRecord, variant: Variant) -> None:
    """The held-out answers of a pool's run are those of its models."""
    if not record.fractions or record.models is None:
        msg = f"{path / 'run.json'} does not say of which fractions and how many models the pool is; memorize again"
        raise BadData(msg)
    folders = [path / f"fraction-{fraction:g}" for fraction in record.fractions]
    pools = [read_pool(folder, variant, models=record.models) for folder in folders]
    for name, values in held_out_answers(pools, variant, epoch=record.epochs).values.items():
        if not np.array_equal(trace[name][-1], values):
            msg = f"{path}: '{name}' does not follow from the models of its pool; delete {path / 'trace'} and say again"
            raise BadData(msg)


def _check_as_given(path: Path, name: str, record: RunRecord) -> None:
    """Scores that were brought along are still those that were written down."""
    file = scores_path(path, name)
    if (record.scores_sha256 or {}).get(name) != file_digest(file):
        msg = f"{file} was changed after it was written; run the command that made it again"
        raise BadData(msg)


def _check_places(folder: Path) -> None:
    """Every run has its record, and stands where that says."""
    named = {path.parent for name in ("history.parquet", "run.json") for path in folder.rglob(name)}
    for path in sorted(named | {path.parent for path in folder.rglob("scores") if path.is_dir()}):
        if not (path / "run.json").is_file():
            msg = f"{path} has lost its run.json; delete that folder and evaluate again"
            raise BadData(msg)
        seed = read_run_record(path).seed
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
