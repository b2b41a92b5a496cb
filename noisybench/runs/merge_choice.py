"""One of several: which folder of a run, which file of an estimate or of features is taken where machines made several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noisybench.ground.claims import check_own_file
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import column_names, read_columns
from noisybench.memorization.block_union import OTHER, BlockUnion, unite_blocks
from noisybench.memorization.estimate import MEASURES, Memorization, read_memorization
from noisybench.runs.folder import RECORD, VARIANT_FILES, is_finished, read_run_record
from noisybench.runs.merge_inputs import files_of_run
from noisybench.runs.record import TRAINED_BY, RunRecord, first_difference
from noisybench.runs.record_checks import check_seed
from noisybench.training.timing import TIMING
from noisybench.variants.variant import Variant, read_variant

_CHECKPOINT = "checkpoint.safetensors"
BESIDE = {RECORD, TIMING, _CHECKPOINT}
"""Files of a run that are not compared as bytes among what it left: the record, seconds, and what may be deleted."""


@dataclass(frozen=True, slots=True)
class ChosenRun:
    """One run, of those of its place in several folders.

    Attributes:
        record: Its record.
        finished: Whether it ended.
        path: The folder that is taken.
        files: Name in the run → file; blocks of its models are those of all folders together.
        digests: Name in the run → SHA-256 that its record tells.
        pools: Share of the samples → blocks of the models; of a pool.
        passed_over: How many other folders have begun it, where a finished one is taken.
    """

    record: RunRecord
    finished: bool
    path: Path
    files: dict[str, Path]
    digests: dict[str, str]
    pools: dict[float, BlockUnion]
    passed_over: int = 0


def choose_run(paths: Sequence[Path], variant: Variant) -> ChosenRun:
    """The run of one place: a finished one before one that was begun, else the one that went farthest.

    Finished ones must agree in every file that both have; of two that differ in how many detectors they have scored, the
    one that has all of the other's is taken.

    Args:
        paths: Its folders, of which the first goes before others that are alike.
        variant: The labels that it must be of.

    Raises:
        BadData: Two finished runs differ, two were made differently, or a file is damaged.
        Mismatch: A run is of another variant or seed.
    """
    ones = [_read(path, variant) for path in paths]
    for other in ones[1:]:
        _check_same_run(ones[0], other)
    finished = [one for one in ones if one.finished]
    best = (finished or ones)[0]
    for other in finished[1:]:
        best = _fuller(best, other)
    if not finished:
        best = max(ones, key=lambda one: len(one.files))
    pools = {
        share: unite_blocks([path / f"fraction-{share:g}" for path in dict.fromkeys((best.path, *paths))], variant)
        for share in best.record.fractions or ()
    }
    for name, digest in best.digests.items():
        if file_digest(best.files[name]) != digest:
            msg = f"{best.files[name]} was changed after it was written; the command that made the run makes it again"
            raise BadData(msg)
    files = {name: path for name, path in best.files.items() if not _is_block(name)}
    for share, pool in pools.items():
        files |= {f"fraction-{share:g}/{name}": path for name, path in pool.files.items()}
        timed = best.path / f"fraction-{share:g}" / TIMING
        files |= {f"fraction-{share:g}/{TIMING}": timed} if timed.is_file() else {}
    return replace(best, files=files, pools=pools, passed_over=len(ones) - len(finished) if finished else 0)


def _read(path: Path, variant: Variant) -> ChosenRun:
    """One folder of a run, whose record is of the variant and of the seed that its name says."""
    files = files_of_run(path)
    record = read_run_record(path)
    check_seed(path, record)
    if record.variant_id != variant.variant_id:
        msg = (
            f"{path / RECORD} is of variant '{record.variant_id[:12]}', the runs beside it are of {variant.variant_id[:12]}; "
            f"delete that folder and evaluate again"
        )
        raise Mismatch(msg)
    finished = is_finished(path, record)
    if record.is_ended and not finished:
        msg = f"{path} names detectors, and has lost files that they need; the command that made it makes them again"
        raise BadData(msg)
    told = {name: digest for name, digest in (record.files_sha256 or {}).items() if name in files} if finished else {}
    for name in set(record.files_sha256 or {}) - set(files) if finished else ():
        msg = f"{path / name} is missing; the command that made the run makes it again"
        raise BadData(msg)
    return ChosenRun(record, finished, path, files, told, {})


def _check_same_run(one: ChosenRun, other: ChosenRun) -> None:
    """Raise ``BadData`` where two runs of one place were made differently."""
    # Of a pool, more models go on where fewer ended; where labels came from, and by which versions, is told further down.
    differs = first_difference(one.record, other.record, ignore=(*TRAINED_BY, "models", "threads", "device"))
    if differs is not None:
        ours, theirs = getattr(one.record, differs), getattr(other.record, differs)
        msg = (
            f"{one.path / RECORD} says {differs} = {str(ours)[:60]}, {other.path / RECORD} says {str(theirs)[:60]}: they are "
            f"not one run; {OTHER}"
        )
        raise BadData(msg)


def _fuller(one: ChosenRun, other: ChosenRun) -> ChosenRun:
    """Of two finished runs the one that has all files of the other, the first where they have the same.

    Raises:
        BadData: A file that both have differs, or each has one that the other lacks.
    """
    for name in sorted({*one.files} & {*other.files} - {RECORD, TIMING}):
        if not _is_block(name) and not _agree(one.files[name], other.files[name]):
            raise BadData(_differ(one, other, name))
    left = [_left_by(one), _left_by(other)]
    only = [sorted(left[0] - left[1]), sorted(left[1] - left[0])]
    if only[0] and only[1]:
        msg = (
            f"{one.path} alone has {only[0][0]}, {other.path} alone has {only[1][0]}: neither of the two finished runs has all; "
            f"evaluate one of them with the detectors of both, and merge again"
        )
        raise BadData(msg)
    if only[1] or (not only[0] and _CHECKPOINT in other.files and _CHECKPOINT not in one.files):
        return other
    return one


def _left_by(run: ChosenRun) -> set[str]:
    """Names of what a run has left but for what may be deleted; of a trace with its columns, since detectors add some."""
    found = {name for name in run.files if name not in BESIDE and not _is_block(name)}
    traced = {name for name in found if name.startswith("trace/")}
    return (found - traced).union(
        *({f"{name} {column}" for column in column_names(run.files[name])} for name in traced)
    )


def _agree(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes, or are of one epoch and have the same numbers in the columns that both have."""
    if file_digest(one) == file_digest(other):
        return True
    if one.parent.name != "trace":
        return False
    both = sorted({*column_names(one)} & {*column_names(other)})
    ours, theirs = read_columns(one, both), read_columns(other, both)
    same = all(np.array_equal(ours[0][name], theirs[0][name], equal_nan=True) for name in both)
    return same and {*column_names(one)} != {*column_names(other)} and ours[1] == theirs[1]


def _differ(one: ChosenRun, other: ChosenRun, name: str) -> str:
    """The message for a file of two finished runs that has other bytes in each."""
    differs = first_difference(one.record, other.record)
    why = "of one version and machine"
    if differs is not None:
        ours, theirs = getattr(one.record, differs), getattr(other.record, differs)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            key = next(key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key))
            differs, ours, theirs = f"{differs}.{key}", ours.get(key), theirs.get(key)
        why = (
            f"{differs} is {str(ours)[:60]} of one and {str(theirs)[:60]} of the other, which may give other last bits"
        )
    return f"{one.files[name]} and {other.files[name]} are of one finished run and differ ({why}); {OTHER}"


def _is_block(name: str) -> bool:
    """Whether a file of a run is one of the models of its pool, which are joined by themselves."""
    return name.startswith("fraction-")


def choose_variant(paths: Sequence[Path]) -> tuple[Path, Variant]:
    """The variant beside the runs of one folder: the first, of the same labels, truth and classes as all others.

    Raises:
        BadData: Labels, clean labels or class names differ, or a file is damaged.
    """
    for path in paths:
        for name in VARIANT_FILES:
            check_own_file(path / name)
    found = [(path, read_variant(path)) for path in paths]
    first, variant = found[0]
    for path, other in found[1:]:
        same = {
            "labels": variant.variant_id == other.variant_id,
            "clean labels": np.array_equal(variant.clean, other.clean),
            "class names": variant.class_names == other.class_names,
        }
        for what, alike in same.items():
            if not alike:
                msg = (
                    f"{first / 'labels.parquet'} and {path / 'labels.parquet'} have one folder's name and other {what}; "
                    f"{OTHER}"
                )
                raise Mismatch(msg)
    return first, variant


def choose_estimate(paths: Sequence[Path], variant: Variant) -> tuple[Path, Memorization] | None:
    """The estimate of one measurement: that of the most models, the first of those that say the same; None without any.

    Raises:
        BadData: Two of as many models differ, or a file is damaged.
        Mismatch: One is of another variant.
    """
    best: tuple[Path, Memorization] | None = None
    for path in paths:
        check_own_file(path)
        found = read_memorization(path, variant.variant_id)
        if best is None or found.models > best[1].models:
            best = path, found
        elif found.models == best[1].models and not _say_the_same(best[1], found):
            msg = f"{best[0]} and {path} are of one measurement and differ; {OTHER}"
            raise BadData(msg)
    return best


def _say_the_same(one: Memorization, other: Memorization) -> bool:
    """Whether two estimates have the same numbers, whatever Arrow wrote them."""
    names = (*MEASURES, "n_in", "n_out")
    alike = all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)
    return alike and one.learner == other.learner
