"""Verifying folders: what is written is whole, and what stands together belongs together."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.cards.verify import lies_beside_runs, verify_variant
from noisybench.detection.scoring import score, scores_path
from noisybench.detection.suggesting import suggestion_path
from noisybench.ground.arrays import Floats
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.files import read_columns
from noisybench.ground.lookup import find, is_ours
from noisybench.ground.random_streams import derive
from noisybench.ground.walking import find_below, reached
from noisybench.memorization.closed_form_plan import folder_of_solved
from noisybench.memorization.estimate import MEASURES, estimate_memorization, read_memorization
from noisybench.memorization.held_out import held_out_answers, shares_fitted
from noisybench.memorization.learner import CLOSED_FORM
from noisybench.memorization.pool import BLOCK, Pool, block_path, blocks, folder_of_pool, read_block, read_pool
from noisybench.memorization.subsets import subsets
from noisybench.memorization.tested_blocks import read_whole, tested_beside
from noisybench.runs.folder import RECORD
from noisybench.runs.history_checks import check_epochs, check_history, check_history_column, check_history_of_fits
from noisybench.runs.left_out_checks import AROUND_SETUP, verify_left_out
from noisybench.runs.reading import Run, read_run, read_runs
from noisybench.runs.record import RunRecord
from noisybench.runs.record_checks import (
    again,
    check_about_labels,
    check_checkpoint,
    check_record,
    check_seed,
)
from noisybench.runs.released_measurement import verify_released
from noisybench.runs.schemes import SCHEMES
from noisybench.runs.suggestion_files import compare_suggestions
from noisybench.runs.untrained_checks import check_untrained
from noisybench.training.recipe import Recipe
from noisybench.training.trace import Trace, read_trace, trace_rows
from noisybench.variants.variant import Variant, read_variant

ON_TRUST = (
    "what models answered (traces, blocks, answers in closed form), test_accuracy, susceptibility and losses of histories, seconds and passes, "
    "versions and machines, names of samples, files that scores were given in"
)
"""What tables show and nothing in a folder can compute again."""
NEAR, NEAR_ZERO = 1e-5, 1e-7
"""How far a score may be from the one that is computed again: a share of itself, and of the spread of all."""

Further = Callable[[Run], Iterable[str]]
"""A further check of a finished run: the sentences that it has to say."""


def unfinished_runs(folder: Path) -> int:
    """How many runs below a folder have begun and not ended."""
    return sum(not read_run(path.parent).finished for path in find_below(reached(folder), {RECORD}).paths)


def verify_runs(folder: Path, *, further: Further = lambda _: ()) -> Iterator[str]:
    """Check every finished run below a folder: history and scores follow from the trace, or from a pool's models.

    Memorization follows from its blocks of models, and each field of a record from what it is about. What is left is
    taken on trust, and the last sentence names it.

    Args:
        folder: Any folder above runs.
        further: Called with each run that was found whole.

    Raises:
        BadData: What differs, and from what.
    """
    found = find_below(
        reached(folder), {"run.json", "history.parquet", "scores", "memorization.parquet", "variant.json"}
    )
    for sentence in found.left_out:
        yield f"not checked: {sentence}"
    named: dict[str, list[Path]] = {}
    for path in found.paths:
        named.setdefault(path.name, []).append(path)
    records = {path.parent for path in named.get("run.json", [])}
    measured = named.get("memorization.parquet", [])
    scored = [path.parent for path in named.get("scores", []) if path.is_dir()]
    _check_records({path.parent for path in named.get("history.parquet", [])}.union(scored, records))
    for home in [path.parent for path in named.get("variant.json", []) if lies_beside_runs(path.parent)]:
        for _ in verify_variant(home, cards=False):  # what it says of each check is for a variant alone
            pass
    for path in measured:
        yield verify_memorization(path)
    own: set[str] = set()
    runs = [read_run(path) for path in sorted(records)]  # each of them: a copy of a run may have been changed
    if not measured and not any(run.finished for run in runs):
        read_runs([folder])  # which says what there is instead
    for run in runs:
        check_seed(run.path, run.record)
        if not run.finished and run.record.is_ended:
            lost = "names detectors, and has lost files that they need" if run.record.detectors else "has lost files"
            msg = f"{run.path} {lost}; the command that made it makes them again"
            raise BadData(msg)
        if not run.finished:
            yield f"{run.path}: unfinished; the command that began it goes on with it"
            continue
        yield from verify_run(run, read_variant(run.home / "variant"))
        yield from further(run)
        own |= {spec for spec in run.record.detectors.values() if run.record.regime != "given" and not _is_drawn(spec)}
    scores = f", scores by {', '.join(sorted(own))}" if own else ""
    yield f"taken on trust: {ON_TRUST}{scores}"


def _check_records(folders: set[Path]) -> None:
    """Every run has its record, and stands where that says."""
    for path in sorted(folders):
        if not (path / "run.json").is_file():
            msg = f"{path} has lost its run.json; delete that folder and evaluate again"
            raise BadData(msg)


def _is_drawn(spec: str) -> bool:
    """Whether the scores of a detector can be computed again: a record may not name code to import."""
    return is_ours("detectors", spec)


def verify_memorization(path: Path) -> str:
    """Check a measurement of memorization against the models that it was estimated from.

    Raises:
        BadData: It does not follow from them, or they are not those of its seed.
        Mismatch: Its folder belongs to other models.
    """
    variant = read_variant(path.parents[2] / "variant")
    told = read_memorization(path, variant.provenance.variant_id)
    if told.learner.is_released:
        return verify_released(path, told)
    if told.learner.is_exact:
        return verify_left_out(path, told, variant)
    pool = read_pool(path.parent, variant, models=told.models)
    found = estimate_memorization(pool, variant)
    for name in (*MEASURES, "n_in", "n_out", "learner"):
        ours, theirs = getattr(told, name), getattr(found, name)
        if not (ours == theirs if name == "learner" else np.array_equal(ours, theirs, equal_nan=True)):
            msg = f"{path}: '{name}' does not follow from the models beside it; delete that file and memorize again"
            raise BadData(msg)
    _check_subsets(path.parent, pool, variant)
    for block in (block_path(path.parent, *one) for one in blocks(told.models)):
        if tested_beside(block).is_file():
            read_whole(block, variant)
    setup = setup_of_models(path.parent, pool, variant)
    if setup["recipe"] == CLOSED_FORM:
        wanted = folder_of_solved(setup, seed=pool.seed)
    else:
        wanted = folder_of_pool(setup, purpose=pool.purpose, seed=pool.seed)
    if path.parent.name != wanted:
        msg = f"{path.parent} holds models that belong into a folder called {wanted}; it was renamed, or is a copy: delete it"
        raise Mismatch(msg)
    return f"{path.parent}: memorization follows from its {told.models} models"


def _check_subsets(folder: Path, pool: Pool, variant: Variant) -> None:
    """The models of a pool saw the samples that its seed gives them."""
    learner, models = pool.learner, range(len(pool.included))
    try:
        drawn = subsets(
            models,
            len(variant.labels),
            learner.fraction or 0.0,
            seed=derive(pool.seed, pool.purpose),
            balanced=learner.balanced,
            dropped=variant.dropped,
            groups=variant.copies,
        )
    except BadUsage as error:
        msg = f"{folder} holds models of subsets that cannot be: {error}; delete that folder to train them again"
        raise BadData(msg) from None
    if not np.array_equal(drawn, pool.included):
        msg = f"{folder} holds models of other subsets than its seed gives; delete that folder to train them again"
        raise BadData(msg)


def setup_of_models(folder: Path, pool: Pool, variant: Variant) -> dict[str, Any]:
    """What decides the models of a pool but labels, purpose and seed, as its first block says it."""
    block = read_block(block_path(folder, 0, min(BLOCK, len(pool.included))), variant)
    return {name: value for name, value in block.record["setup"].items() if name not in AROUND_SETUP}


def verify_run(run: Run, variant: Variant) -> Iterator[str]:
    """Check one finished run of a variant, field by field.

    Raises:
        BadData: What differs, and from what.
    """
    path, record = run.path, run.record
    if record.variant_id != variant.provenance.variant_id:
        msg = f"{path / 'run.json'} is of another variant than the run's; delete that folder and evaluate again"
        raise Mismatch(msg)
    check_about_labels(path, record, variant)
    check_record(path, record)
    trace, follows = _check_trace(run, variant)
    yield from _check_scores(run, variant, trace)
    yield from compare_suggestions(path, record, variant, trace)
    for told in (record.files_sha256, {f"scores/{k}": v for k, v in (record.scores_sha256 or {}).items()}):
        _check_digests(path, told or {}, record)
    if record.regime == "training":
        yield from check_checkpoint(path, record)
    left = {
        f"{folder}/{file.name}" for folder in ("scores", "suggestions") for file in (path / folder).glob("*.parquet")
    }
    beyond = sorted(name.removeprefix("scores/") for name in left - _files_of(path, record, record.files_sha256 or {}))
    if beyond:
        yield f"{path}: no table shows {', '.join(beyond)}, which the record does not name"
    yield f"{path}: {follows}"


def _check_scores(run: Run, variant: Variant, trace: Trace | None) -> Iterator[str]:
    """The scores of each detector follow from the trace, or are those that were given."""
    path, record, rounded = run.path, run.record, list[str]()
    for name, spec in record.detectors.items():
        written = run.scores(name)
        if written.variant_id != variant.provenance.variant_id or written.values.shape != variant.labels.shape:
            msg = f"{path}: the scores of '{name}' are of other labels than the run's; delete that folder and evaluate again"
            raise Mismatch(msg)
        if written.detector != name:
            msg = f"{path}: the scores of '{name}' are those of '{written.detector[:60]}'; {again(record)}"
            raise Mismatch(msg)
        if trace is None:
            _check_as_given(path, name, record)
        elif not _is_drawn(spec):
            yield f"{path}: the scores of '{name}' were not computed again: {spec} is not noisybench's"
        else:
            made = score(trace, find("detectors", spec)).values
            if not _is_near(written.values, made):
                msg = f"{path}: the scores of '{name}' do not follow from the trace; delete that folder and evaluate again"
                raise BadData(msg)
            if not np.array_equal(written.values, made):
                rounded.append(name)
    if rounded:
        yield f"{path}: of {', '.join(rounded)} the last digits are others here, as on another kind of processor"


def _is_near(written: Floats, made: Floats) -> bool:
    """Whether scores are those that were computed again, but for rounding: sums are taken in another order elsewhere.

    Counts and shares, of which most tie, have their ties everywhere: samples alike in what is counted stay alike, whatever
    the order of a sum. Digits that part them would be a ranking that no trace gives.
    """
    if not np.isclose(written, made, rtol=NEAR, atol=NEAR_ZERO * float(np.ptp(made))).all():
        return False
    values, first, tied = np.unique(made, return_index=True, return_inverse=True)
    return 2 * len(values) > len(made) or np.array_equal(written, written[first][tied])


def _files_of(path: Path, record: RunRecord, told: Mapping[str, str]) -> set[str]:
    """Files of scores, and of the suggestions whose digests are told, of the detectors of a record."""
    scores = {scores_path(path, name) for name in record.detectors}
    suggestions = {suggestion_path(path, name) for name in record.detectors}
    named = {file.relative_to(path).as_posix() for file in suggestions} & {*told}
    return {file.relative_to(path).as_posix() for file in scores} | named


def _check_digests(path: Path, told: Mapping[str, str], record: RunRecord) -> None:
    """Files are those whose digests the record holds, and it names no other detector's."""
    ours = _files_of(path, record, told)
    for name, digest in told.items():
        folder, _, rest = name.partition("/")
        file = path / name
        if folder == "scores" and not rest.endswith(".parquet"):
            file = scores_path(path, rest)
        if ".." in file.parts or file_digest(file) != digest:
            msg = f"{file} was changed after it was written; run the command that made it again"
            raise BadData(msg)
        if folder in ("scores", "suggestions") and f"{folder}/{file.name}" not in ours:
            msg = f"{path / 'run.json'} holds a digest of {name[:60]}, which is none of its detectors; {again(record)}"
            raise BadData(msg)


def _check_trace(run: Run, variant: Variant) -> tuple[Trace | None, str]:
    """The trace of a run, None of scores that came without one, and words for what follows from what."""
    path, record, many = run.path, run.record, len(run.record.detectors) != 1
    detectors, follow = f"{len(record.detectors)} detector{'s' * many}", "follow" if many else "follows"
    if record.regime == "given" and record.form == "scores":
        return None, "the scores are those that were given"
    for file, rows in trace_rows(path / "trace").items():  # before any of them is unpacked
        if rows != len(variant.labels):
            msg = f"{file} claims {rows} samples, the variant has {len(variant.labels)}; {again(record)}"
            raise Mismatch(msg)
    trace = read_trace(path / "trace", keep=True)  # two dozen detectors read the same few columns
    if trace.variant_id != variant.provenance.variant_id:
        msg = f"{path}: the trace is of another variant than the run's; delete that folder and evaluate again"
        raise Mismatch(msg)
    if record.regime in ("given", "features", "answers"):
        return trace, f"{detectors} {follow} from {check_untrained(path, trace, record, variant)}"
    if record.regime == "pool":
        _check_answers(path, trace, record, variant)
        return trace, f"answers follow from the pool's models (but for neighbours), {detectors} from the answers"
    whole = _check_of_trainings(path, trace, record, variant)
    return (
        trace,
        f"{whole} and {detectors} follow from the trace" if record.detectors else f"{whole} follow from the trace",
    )


def _check_of_trainings(path: Path, trace: Trace, record: RunRecord, variant: Variant) -> str:
    """What one observed training or several left follows from their answers; words for what does."""
    scheme = next((one for one in SCHEMES.values() if one.regime == record.regime), None)
    if scheme is None:
        check_epochs(path, trace, record.epochs)
        check_history(path, trace, record, variant)
        return "history"
    for fault in scheme.faults_of_trace(trace, variant, record):
        msg = f"{path}: the trace {fault}; {again(record)}"
        raise BadData(msg)
    check_history_of_fits(path, scheme.history(trace, variant), tested=scheme.curve is not None)
    return f"{scheme.words}, history"


def _check_answers(path: Path, trace: Trace, record: RunRecord, variant: Variant) -> None:
    """The models of a pool are those of the record, and its held-out answers and history are theirs."""
    shares = list(record.fractions or ())
    pools = [read_pool(path / f"fraction-{share:g}", variant, models=record.models) for share in shares]
    setups = []
    for share, pool in zip(shares, pools, strict=True):
        folder = path / f"fraction-{share:g}"
        wanted = replace(record.learner, fraction=share)
        odd = [
            field.name for field in fields(wanted) if getattr(wanted, field.name) != getattr(pool.learner, field.name)
        ]
        if odd or pool.seed != record.seed:
            name = odd[0] if odd else "seed"
            theirs = getattr(pool.learner, name) if odd else pool.seed
            ours = getattr(wanted, name) if odd else record.seed
            msg = f"{path / 'run.json'} says {name} = {str(ours)[:60]}, its models are of {str(theirs)[:60]}; {again(record)}"
            raise Mismatch(msg)
        _check_subsets(folder, pool, variant)
        setups.append(setup_of_models(folder, pool, variant))
    _check_setup_of_pool(path, record, setups)
    for name, values in held_out_answers(pools, variant, epoch=record.epochs).values.items():
        if not np.array_equal(trace[name][-1], values):
            msg = f"{path}: '{name}' does not follow from the models of its pool; delete {path / 'trace'} and say again"
            raise BadData(msg)
    history = read_columns(path / "history.parquet", ["epoch", "mislabeled_fit", "clean_fit"])[0]
    check_history_column(path, "epoch", history["epoch"], np.array([record.epochs]))
    for name, fitted in shares_fitted(pools[-1], variant).items():
        check_history_column(path, name, history[name], np.array([fitted]), "its models give")


def _check_setup_of_pool(path: Path, record: RunRecord, setups: list[dict[str, Any]]) -> None:
    """Setup, folder and options of a pool are those of its models."""
    from noisybench.runs.pool_run import digest_of_setup, folder_of_pools  # brings torch

    if path.parent.name != folder_of_pools(setups) or record.setup != digest_of_setup(setups[-1]):
        msg = f"{path} has another setup or folder than its models give; {again(record)}"
        raise Mismatch(msg)
    for field in fields(Recipe):
        if setups[-1].get(field.name) != getattr(record, field.name):
            msg = f"{path / 'run.json'} says another {field.name} than its models were trained with; {again(record)}"
            raise Mismatch(msg)


def _check_as_given(path: Path, name: str, record: RunRecord) -> None:
    """Scores that were brought along are still those that were written down."""
    file = scores_path(path, name)
    if (record.scores_sha256 or {}).get(name) != file_digest(file):
        msg = f"{file} was changed after it was written; run the command that made it again"
        raise BadData(msg)
