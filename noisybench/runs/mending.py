"""Recognising the run in a folder, and taking away what a power cut, or a hand, has damaged of it.

What cannot be read is removed and then simply missing, and what is missing the same command makes again: one line says so
for each file.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from noisybench.detection.scoring import scores_path
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData
from noisybench.ground.files import write_json
from noisybench.ground.lookup import names
from noisybench.ground.mending import can_be_read, take_away
from noisybench.ground.records import record_as
from noisybench.runs.folder import LEFT_BY_A_RUN, RECORD, begin, epochs_of, suggestion_files, whole_record
from noisybench.runs.record import TRAINED_BY, RunRecord, first_difference, option_of
from noisybench.training.timing import TIMING, read_timing
from noisybench.training.trace import mend_trace

log = logging.getLogger("noisybench")


def recognise(folder: Path, wanted: RunRecord, *, ignore: Sequence[str] = ()) -> RunRecord | None:
    """The record of the run in a folder, which must be the wanted one; None where no run has begun there.

    A record that is lost or damaged is made again from the checkpoint; without one, the run is begun again.

    Args:
        folder: Of one run.
        wanted: The record of the run that would be made.
        ignore: Further fields that may differ; those of ``TRAINED_BY`` always may.

    Raises:
        BadData: The folder holds a run that was made differently.
    """
    found = whole_record(folder) if (folder / RECORD).is_file() else None
    if found is None:
        if not (folder / RECORD).is_file() and not any((folder / name).exists() for name in LEFT_BY_A_RUN):
            return None
        found = _record_of_checkpoint(folder, wanted)
    if found is None:
        return None
    differs = first_difference(found, wanted, ignore=(*TRAINED_BY, *ignore))
    if differs is not None:
        raise BadData(_made_differently(folder, found, wanted, differs))
    return found


def _record_of_checkpoint(folder: Path, wanted: RunRecord) -> RunRecord | None:
    """The record of a run that has lost it, as its checkpoint tells; None where there is no such one, and all is put away.

    Detectors of a run that was trained to its end are those whose scores are there: they are made again from the trace.
    """
    from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint  # brings torch

    lost = "is damaged" if (folder / RECORD).is_file() else "is missing"
    known = {field.name for field in fields(RunRecord)}
    try:
        checkpoint = read_checkpoint(folder / CHECKPOINT)
        told = {name: value for name, value in checkpoint.made_by.items() if name in known}
        found = record_as(json.loads(json.dumps({**wanted.as_json(), **told})), RunRecord, folder / CHECKPOINT)
    except BadData:
        log.warning("%s %s: the run is begun again", folder / RECORD, lost)
        _put_away(folder)
        return None
    log.warning("%s %s: it is made again from the checkpoint, and the scores from the trace", folder / RECORD, lost)
    scored = [name for name in names("detectors") if scores_path(folder, name).is_file()]
    if checkpoint.epoch < found.epochs or not scored:
        begin(folder, found)
        return found
    found = replace(found, detectors={name: name for name in scored}, controls=[])
    write_json(found.as_json(), folder / RECORD)
    shutil.rmtree(folder / "scores")
    shutil.rmtree(folder / "suggestions", ignore_errors=True)
    return found


def mend(folder: Path, record: RunRecord) -> None:
    """Take away what is damaged of a run, and say in one line each what is taken away or missing.

    Files whose digests the record holds must have these bytes; others must be readable, checksums included.
    """
    told = record.files_sha256 or {}
    history = folder / "history.parquet"
    scored = [*(scores_path(folder, name) for name in record.detectors), *suggestion_files(folder, record).values()]
    epochs = {*epochs_of(folder, record)}
    checked = set()
    for path in sorted({history, *scored, *epochs}):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            if name in told:
                log.warning("%s is missing: it is made again", path)
        elif name in told:
            checked.add(path)
            if file_digest(path) != told[name]:
                take_away(path)
        elif path not in epochs and not can_be_read(path):
            take_away(path)
    mend_trace(folder / "trace", but=checked)
    if record.is_ended and not read_timing(folder):
        log.warning("%s is lost: nobody knows any more what the run took", folder / TIMING)
        (folder / TIMING).unlink(missing_ok=True)


def check_same_training(folder: Path, found: RunRecord, wanted: RunRecord) -> None:
    """Raise ``BadData`` unless a training would give the run's own bytes, as the versions and the machine decide."""
    differs = first_difference(found, wanted)
    if differs is not None:
        raise BadData(_made_differently(folder, found, wanted, differs))


def begin_again(folder: Path, found: RunRecord, wanted: RunRecord) -> None:
    """Put away what is left of an unfinished run of other versions, or of another machine, and say so in one line."""
    differs = first_difference(found, wanted)
    if differs is None:
        return
    log.warning(
        "%s was begun with %s = %s, now it is %s: it is begun again", folder, differs, *_two(found, wanted, differs)
    )
    _put_away(folder)


def _put_away(folder: Path) -> None:
    """Remove everything that a training left in its folder, the record too."""
    for name in (*LEFT_BY_A_RUN, RECORD):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _made_differently(folder: Path, found: RunRecord, wanted: RunRecord, field: str) -> str:
    there, here = _two(found, wanted, field)
    return (
        f"{folder} holds a run with {field} = {str(there)[:90]}, now it is {str(here)[:90]}; "
        f"give another --out, or delete that folder to run it again"
    )


def _two(found: RunRecord, wanted: RunRecord, field: str) -> tuple[object, object]:
    return option_of(found, field), option_of(wanted, field)
