"""The run folder: begun, recognised and finished here, and what stands beside the runs of a variant.

A run stands at ``runs/<variant>/<what>/seed-<k>``, beside the variant itself (``variant/``), the names of its samples and
the memorization that was measured of it (``memorization/``). It has begun when it has a ``run.json``, and is finished
when that names detectors, and their scores and the history are there.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisybench.data.source import Source
from noisybench.detection.scoring import Detector, Kind, scores_path
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import column_names, read_columns, read_json_as, replacing, write_json
from noisybench.ground.lookup import find, is_ours
from noisybench.runs.record import TRAINED_BY, RunRecord, first_difference
from noisybench.variants.variant import Variant, read_variant, write_variant

RECORD = "run.json"
LEFT_BY_A_RUN = ("trace", "scores", "history.parquet", "checkpoint.safetensors", "checkpoint.pt", "timing.json")
"""Everything that a training leaves in its folder beside the record."""

log = logging.getLogger("noisybench")


# Begin, recognise, finish


def read_run_record(folder: Path) -> RunRecord:
    """The record of a run, of this version or of 0.1.0.

    Raises:
        BadData: It is missing, damaged, or holds something else.
    """
    return read_json_as(folder / RECORD, RunRecord, mend="delete that folder and run it again", allow_unknown=True)


def recognise(folder: Path, wanted: RunRecord, *, ignore: Sequence[str] = ()) -> RunRecord | None:
    """The record of the run in a folder, which must be the wanted one; None where no run has begun there.

    Args:
        folder: Of one run.
        wanted: The record of the run that would be made.
        ignore: Further fields that may differ; those of ``TRAINED_BY`` always may.

    Raises:
        BadData: The folder holds a run that was made differently, or one that has lost its record.
    """
    if not (folder / RECORD).is_file():
        if any((folder / name).exists() for name in LEFT_BY_A_RUN):
            msg = f"{folder} has lost its run.json, which says how the run was made; delete that folder to run it again"
            raise BadData(msg)
        return None
    found = read_run_record(folder)
    differs = first_difference(found, wanted, ignore=(*TRAINED_BY, *ignore))
    if differs is not None:
        raise BadData(_made_differently(folder, found, wanted, differs))
    return found


def begin(folder: Path, record: RunRecord) -> None:
    """Write the record of a run that is not finished: it names no detector."""
    write_json(
        replace(record, detectors={}, controls=None, files_sha256=None, scores_sha256=None).as_json(), folder / RECORD
    )


def finish(folder: Path, record: RunRecord, detectors: Mapping[str, str], kinds: Mapping[str, Kind]) -> None:
    """Write the record of a finished run, which comes after all that it speaks of.

    Args:
        folder: Of the run.
        record: What decides it.
        detectors: Name of each detector that is scored → what the catalog finds it by.
        kinds: Name → what it is.
    """
    controls = sorted(name for name in detectors if kinds[name] == "control")
    write_json(replace(record, detectors=dict(detectors), controls=controls).as_json(), folder / RECORD)


def is_finished(folder: Path, record: RunRecord) -> bool:
    """Whether a run has all that its record speaks of: the scores of its detectors, and the history of a training."""
    there = all(scores_path(folder, name).is_file() for name in record.detectors)
    return bool(record.detectors) and there and (record.regime == "given" or (folder / "history.parquet").is_file())


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
    for name in LEFT_BY_A_RUN:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _made_differently(folder: Path, found: RunRecord, wanted: RunRecord, field: str) -> str:
    there, here = _two(found, wanted, field)
    return (
        f"{folder} holds a run with {field} = {there}, now it is {here}; "
        f"give another --out, or delete that folder to run it again"
    )


def _two(found: RunRecord, wanted: RunRecord, field: str) -> tuple[object, object]:
    return getattr(found, field), getattr(wanted, field)


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


def keep_variant(variant: Variant, folder: Path, source: Source | None = None) -> Variant:
    """The variant beside its runs, laid there unless it is, and with it the names of the source's samples.

    One of the same labels that came to be otherwise stays, and the records of further runs tell of it.

    Raises:
        BadData: The same labels are there with another truth, which the finished runs were compared with, or with other
            names of the classes.
    """
    there = _variant_in(folder)
    if there is None:
        write_variant(variant, folder)
    else:
        same = {
            "clean labels": np.array_equal(there.clean, variant.clean),
            "class names": there.class_names == variant.class_names,
        }
        for what, alike in same.items():
            if not alike:
                msg = f"{folder.parent} holds runs of the same labels against other {what}; give another --out"
                raise BadData(msg)
    if source is not None and source.sample_names is not None and not (folder.parent / NAMES).is_file():
        names = pa.array(source.sample_names, pa.large_string())
        with replacing(folder.parent / NAMES) as part:
            pq.write_table(pa.table({"name": names}), part, compression="zstd")
    return variant if there is None else there


def _variant_in(folder: Path) -> Variant | None:
    """The variant in a folder; None where there is none, or a damaged one, which is written again."""
    try:
        return read_variant(folder)
    except BadData as error:
        if isinstance(error, Mismatch):
            raise
        return None


NAMES = "samples.parquet"
"""File beside the runs of a variant: what people call its samples. Found in the source, never hashed, never published."""


def read_names(home: Path, n: int) -> Sequence[str]:
    """What people call the samples of a variant, shape (n,), as ``keep_variant`` left it; all empty where nobody did.

    Raises:
        BadData: The file is damaged, or of other samples.
    """
    path = home / NAMES
    if not path.is_file():
        return [""] * n
    try:
        found = read_columns(path, ["name"])[0]["name"]
    except BadData as error:
        msg = f"{str(error).removesuffix('; make it again')}; delete it, and evaluate again"
        raise BadData(msg) from None
    if found.dtype != object or len(found) != n or None in found:
        msg = f"{path} has {len(found)} names, the variant has {n} samples; delete it, and evaluate again"
        raise BadData(msg)
    names: list[str] = found.tolist()
    return names
