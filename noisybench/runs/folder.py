"""The run folder: begun and finished here, recognised in ``mending``, and what stands beside the runs of a variant.

A run stands at ``runs/<variant>/<what>/seed-<k>``, beside the variant itself (``variant/``), the names of its samples and
the memorization that was measured of it (``memorization/``). It has begun when it has a ``run.json``, and is finished
when that names detectors, and their scores and the history are there.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisybench.detection.scoring import Detector, Kind, scores_file, scores_path
from noisybench.detection.suggesting import suggestion_path
from noisybench.ground.digests import file_digest
from noisybench.ground.durability import rename_durably, synced_together, temporary
from noisybench.ground.errors import BadData
from noisybench.ground.files import column_names, own_file_name, read_columns, write_json
from noisybench.ground.kept_digests import stands_whole
from noisybench.ground.locks import made_once
from noisybench.ground.lookup import find, is_ours
from noisybench.ground.records import read_json_as
from noisybench.runs.detector_codes import codes_in, information_in
from noisybench.runs.record import WITH_HISTORY, RunRecord
from noisybench.variants.sample_names import NAMES, write_table_of_names
from noisybench.variants.variant import Variant, read_variant, write_variant

RECORD = "run.json"
LEFT_BY_A_RUN = (
    "trace", "scores", "suggestions", "history.parquet", "checkpoint.safetensors", "checkpoint.pt", "timing.json", "parts",
)  # fmt: skip
"""Everything that a training leaves in its folder beside the record."""
PARTS = "parts"
"""Folder of the trainings of a run that has several and is not finished."""

EPOCH = re.compile(r"epoch-\d{4,9}\.parquet")
"""Files of a trace."""

log = logging.getLogger("noisybench")


# Begin, recognise, finish


def read_run_record(folder: Path) -> RunRecord:
    """The record of a run, of this version or of 0.1.0.

    Raises:
        BadData: It is missing, damaged, or holds something else.
    """
    return read_json_as(folder / RECORD, RunRecord, mend="delete that folder and run it again", allow_unknown=True)


def whole_record(folder: Path) -> RunRecord | None:
    """The record of a run; None where it is damaged, also where no more than its last line end is cut off."""
    try:
        found = read_run_record(folder)
    except BadData:
        return None
    return found if (folder / RECORD).read_bytes().endswith(b"}\n") else None


def begin(folder: Path, record: RunRecord) -> None:
    """Write the record of a run that is not finished: it names no detector."""
    nothing = replace(record, detectors={}, controls=None, codes=None, information=None)
    write_json(replace(nothing, files_sha256=None, scores_sha256=None).as_json(), folder / RECORD)


def finish(folder: Path, record: RunRecord, detectors: Mapping[str, str], kinds: Mapping[str, Kind]) -> None:
    """Write the record of a finished run, which comes after all that it speaks of.

    Args:
        folder: Of the run.
        record: What decides it.
        detectors: Name of each detector that is scored → what the catalog finds it by.
        kinds: Name → what it is.
    """
    controls = sorted(name for name in detectors if kinds[name] == "control")
    codes, files = codes_in(folder, detectors), digests_of(folder, detectors)
    done = replace(record, detectors=dict(detectors), controls=controls, codes=codes, files_sha256=files)
    write_json(replace(done, information=information_in(folder, detectors)).as_json(), folder / RECORD)


def train_again(folder: Path, record: RunRecord) -> None:
    """Write the record of a finished run whose trace and history are about to be written again: without their digests."""
    if record.files_sha256 is not None:
        again = ("trace/", "history.parquet")
        kept = {name: digest for name, digest in record.files_sha256.items() if not name.startswith(again)}
        write_json(replace(record, files_sha256=kept).as_json(), folder / RECORD)


def is_finished(folder: Path, record: RunRecord) -> bool:
    """Whether a run has all that its record speaks of: scores, suggestions, the history, and the epochs of its trace.

    Files that are cut off, emptied or zeroed to their end count as missing; nothing is read but the ends of each.
    """
    files = [scores_file(folder, name) for name in record.detectors]
    if record.regime in WITH_HISTORY:
        files.append(str(folder / "history.parquet"))
    suggested = {f"suggestions/{own_file_name(name)}.parquet" for name in record.detectors}
    files += [
        *_epochs(folder, record),
        *(f"{folder}{os.sep}{name}" for name in suggested & {*(record.files_sha256 or ())}),
    ]
    return record.is_ended and all(stands_whole(path) for path in files)


def epochs_of(folder: Path, record: RunRecord) -> list[Path]:
    """The files of a trace that are there, or whose digests a record holds: it may claim more epochs than can be counted."""
    return [Path(path) for path in sorted(_epochs(folder, record))]


def _epochs(folder: Path, record: RunRecord) -> set[str]:
    """The same, as texts."""
    trace = folder / "trace"
    try:
        there = {name for name in os.listdir(trace) if fnmatchcase(name, "epoch-*.parquet")}  # noqa: PTH208 - names
    except OSError:
        there = set()
    told = (name.removeprefix("trace/") for name in record.files_sha256 or {} if name.startswith("trace/"))
    return {f"{trace}{os.sep}{name}" for name in there.union(filter(EPOCH.fullmatch, told))}


def suggestion_files(folder: Path, record: RunRecord) -> dict[str, Path]:
    """Detector → the file of its suggestions, of those whose digests a record holds: others belong to no run."""
    told = {name for name in record.files_sha256 or {} if name.startswith("suggestions/")}
    files = {name: suggestion_path(folder, name) for name in record.detectors} if told else {}
    return {name: path for name, path in files.items() if f"suggestions/{path.name}" in told}


def digests_of(folder: Path, detectors: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the trace, the history, the scores and the suggestions of a run, by their folders in it; of those there."""
    paths = [*sorted((folder / "trace").glob("epoch-*.parquet")), folder / "history.parquet"]
    paths += [place(folder, name) for name in detectors for place in (scores_path, suggestion_path)]
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths if path.is_file()}


def kinds_of(folder: Path, record: RunRecord) -> dict[str, Kind]:
    """Name of each detector of a run → whether it is a detector or a control.

    Of noisybench's own, the code says it; of others, whose code a record may not name to be imported, the record.
    """
    controls = record.controls if record.controls is not None else _controls_of_0_1_0(folder)
    kinds: dict[str, Kind] = {}
    for name, spec in record.detectors.items():
        ours = _kind_of_ours(spec)
        kinds[name] = ours if ours is not None else "control" if name in controls else "detector"
    return kinds


@cache  # a table asks for every detector of every run
def _kind_of_ours(spec: str) -> Kind | None:
    """What one of noisybench's own detectors is; None for any other."""
    if not is_ours("detectors", spec):
        return None
    detector: Detector = find("detectors", spec)
    return "control" if detector.control else "detector"


def _controls_of_0_1_0(folder: Path) -> list[str]:
    """Names of the controls that version 0.1.0 wrote beside what it measured; none where that is lost."""
    path = folder / "agreement.parquet"
    if not path.is_file() or not {"detector", "kind"} <= set(column_names(path)):
        return []
    columns = read_columns(path, ["detector", "kind"])[0]
    return sorted({str(name) for name, kind in zip(*columns.values(), strict=True) if kind == "control"})


# Beside the runs of a variant


def keep_variant(variant: Variant, folder: Path, names: Sequence[str] | None = None) -> Variant:
    """The variant beside its runs, laid there unless it is, and with it the names of its samples where they are known.

    One of the same labels that came to be otherwise stays, and the records of further runs tell of it. What is there and
    damaged is written again, and one line says so.

    Raises:
        BadData: The same labels are there with another truth, which the finished runs were compared with, or with other
            names of the classes.
    """
    with made_once(folder / "variant.json"):  # which is written last; several jobs may begin at once
        there = _variant_in(folder)
        if there is None:
            with synced_together():
                write_variant(variant, folder)
    if there is not None:
        same = {
            "clean labels": np.array_equal(there.clean, variant.clean),
            "class names": there.class_names == variant.class_names,
        }
        for what, alike in same.items():
            if not alike:
                msg = f"{folder.parent} holds runs of the same labels against other {what}; give another --out"
                raise BadData(msg)
    if names is not None:
        _keep_names(names, folder.parent / NAMES)
    return variant if there is None else there


def _keep_names(names: Sequence[str], path: Path) -> None:
    """Write the names of the samples, unless they are there."""
    with temporary(path) as fresh:
        write_table_of_names(names, fresh)
        if path.is_file():
            if not _is_damaged(path, fresh):
                return
            log.warning("%s is damaged, or has other names than the source: it is written again", path)
        rename_durably(fresh, path)


def _variant_in(folder: Path) -> Variant | None:
    """The variant in a folder; None where there is none, or a damaged one, which is written again."""
    files = [folder / name for name in VARIANT_FILES if (folder / name).is_file()]
    try:
        there = read_variant(folder)
    except BadData:
        there = None
    if there is not None:
        with (
            synced_together(),
            temporary(folder) as part,
        ):  # the same content may still have other bytes, where no checksum looks
            write_variant(there, part)
            if not any(_is_damaged(path, part / path.name) for path in files):
                return there
    if files:
        log.warning("%s is not whole: the variant is written again", folder)
    return None


VARIANT_FILES = (
    "labels.parquet",
    "transition.npy",
    "transition.npz",
    "answers.parquet",
    "corrections.csv",
    "variant.json",
)


def _is_damaged(path: Path, fresh: Path) -> bool:
    """Whether a file has other bytes than one of the same content that was written just now, by the same version of Arrow."""
    if path.read_bytes() == fresh.read_bytes():
        return False
    try:
        return path.suffix != ".parquet" or pq.read_metadata(path).created_by == pq.read_metadata(fresh).created_by
    except (OSError, pa.ArrowException):
        return True
