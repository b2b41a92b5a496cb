"""The agreement that lies beside a finished run, for people with other tools: ``agreement.parquet``.

No table takes a number from it, since a folder may be a stranger's: what the board shows it computes. The file follows
from the scores and from the labels beside the run alone, so that the order of commands decides no byte of it;
memorization, which may be measured later, is asked of the board.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.board.agreement import Agreement, marks_of
from noisybench.board.judging import judge_by_each
from noisybench.board.notes import is_noted, key_of_files, note
from noisybench.board.truths import MISLABELED, Truths
from noisybench.detection.scoring import scores_file, scores_path
from noisybench.ground.errors import BadData
from noisybench.ground.files import count_rows, read_columns, write_columns
from noisybench.ground.kept_digests import is_unchanged, kept_digest
from noisybench.runs.folder import log
from noisybench.runs.reading import Run
from noisybench.runs.record import Regime

FILE = "agreement.parquet"
KEPT = ("auroc", "average_precision")
"""Metrics of the file, by their names; the others are asked of the board."""
TEXTS = ("detector", "kind", "truth", "stratum", "metric")
NUMBERS = ("value", "low", "high", "n")
INTERVALS = "score"
"""Form of the intervals, in the file's metadata; files of versions before 0.5.0 do not say it, and have others."""
ROWS = "rows_sha256"
"""What the metadata call the digest of the rows."""
COMMANDS: Mapping[Regime, str] = {
    "training": "evaluate", "pool": "memorize --pool detector", "given": "score", "features": "score --features",
    "second_split": "evaluate", "threshold": "evaluate",
    "noisy_validation": "evaluate --rules noisy_validation", "ratt": "evaluate --rules ratt", "pmv": "evaluate --rules pmv",
    "answers": "score --answers",
}  # fmt: skip
"""Regime → the command that makes its runs, and this file again."""

AgreementColumns = Mapping[str, NDArray[Any]]


def write_agreement(run: Run, truths: Truths) -> None:
    """Leave the agreement of a finished run beside it; what is there already, and right, stays as it is.

    A file that was damaged or changed is written again, with one line; a run of version 0.1.0 keeps its own.
    """
    if is_of_0_1_0(run):
        return
    columns = agreement_columns(run, truths)
    metadata = _metadata(run, truths, columns)
    path = run.path / FILE
    if path.is_file():
        try:
            found, told = _read(path, run, truths)
            grown = _fault(run, truths, found, told) is None
            alike = {**told, ROWS: ""} == {**metadata, ROWS: ""} and _first_difference(found, columns) is None
            if grown and alike:  # but for last bits, which another version or machine rounds otherwise
                return
        except BadData:
            grown = False
        if not grown:
            log.warning("%s was not what the scores give: it is written again", path)
    write_columns(columns, path, metadata=metadata)


def check_agreement(run: Run, truths: Truths) -> None:
    """Raise ``BadData`` for a file that is damaged, too large, or of other scores or labels than those beside it."""
    if is_of_0_1_0(run) or not _is_there(run):
        return
    try:
        key = key_of_files(truths, {**_digests_of_scores(run), FILE: kept_digest(run.path / FILE)}, "agreement")
    except BadData:
        key = ""
    if key and is_noted(key):
        return
    found, told = _read(run.path / FILE, run, truths)
    fault = _fault(run, truths, found, told)
    if fault is not None:
        raise _bad(run, fault)
    if key and is_unchanged(run.path / FILE):
        note(key)


def _digests_of_scores(run: Run) -> dict[str, str]:
    return {name: kept_digest(scores_file(run.path, name)) for name in sorted(run.kinds)}


def compare_agreement(run: Run, truths: Truths) -> Iterator[str]:
    """Compare the file with what the board computes, row by row; a sentence where it is not compared.

    Raises:
        BadData: A row that no detector of the run gives, or another value.
    """
    if not _is_there(run):
        return
    if is_of_0_1_0(run):
        columns = read_columns(run.path / FILE)[0]
        known = {
            *run.kinds,
            *(name for name, kind in zip(columns["detector"], columns["kind"], strict=True) if kind == "reference"),
        }
        odd = sorted({str(name) for name in columns["detector"]} - known)
        if odd:
            raise _bad(run, f"has rows of '{odd[0][:60]}', which is no detector of the run")
        yield f"{run.path}: {FILE} was not compared, and no table reads it: version 0.1.0 wrote it"
        return
    check_agreement(run, truths)
    found, told = _read(run.path / FILE, run, truths)
    there = sorted({str(name) for name in found["detector"]})
    odd = [name for name in there if name not in run.kinds]
    if odd:
        raise _bad(run, f"has rows of '{odd[0][:60]}', which is no detector of the run")
    ours = agreement_columns(run, truths)
    shown = np.isin(ours["detector"].astype(str), there)
    of_now = told.get("intervals") == INTERVALS
    fault = _first_difference(
        found, {name: values[shown] for name, values in ours.items()}, NUMBERS if of_now else ("value", "n")
    )
    if fault is not None:
        raise _bad(run, fault)
    if not of_now:
        yield f"{run.path}: the intervals of {FILE} were not compared, and no table reads them: a version before 0.5.0 wrote it"


def is_of_0_1_0(run: Run) -> bool:
    """Whether the record is one of version 0.1.0, which left another file of this name."""
    return run.record.controls is None and run.version in ("", "0.1.0")


def agreement_columns(run: Run, truths: Truths) -> dict[str, NDArray[Any]]:
    """The columns of the file, a row for each detector, truth and metric."""
    rows: list[Agreement] = []
    for truth in (MISLABELED, *marks_of(truths.variant)):
        rows += judge_by_each(run, truths, truth, KEPT)
    rows.sort(key=lambda row: (row.detector, row.truth, row.metric))
    columns: dict[str, NDArray[Any]] = {
        name: np.array([getattr(row, name) for row in rows], dtype=object) for name in TEXTS
    }
    columns |= {name: np.array([getattr(row, name) for row in rows], dtype=np.float64) for name in NUMBERS[:3]}
    return {**columns, "n": np.array([row.n for row in rows], dtype=np.int64)}


def _metadata(run: Run, truths: Truths, rows: AgreementColumns) -> dict[str, str]:
    """What the rows follow from, by digests, and the digest of the rows."""
    return {
        "variant_id": truths.variant.provenance.variant_id,
        "truth_sha256": _digest_of_truth(truths),
        "metrics": json.dumps(KEPT),
        "intervals": INTERVALS,
        "scores_sha256": json.dumps(_digests_of_scores(run)),
        ROWS: _digest_of_rows(rows),
    }


def _digest_of_truth(truths: Truths) -> str:
    variant = truths.variant
    digest = hashlib.sha256(variant.clean.tobytes())
    for name in marks_of(variant):
        digest.update(name.encode())
        digest.update(variant.marks[name].tobytes())
    return digest.hexdigest()


def _digest_of_rows(columns: AgreementColumns) -> str:
    digest = hashlib.sha256()
    for name in (*TEXTS, *NUMBERS):
        values = columns[name]
        digest.update(json.dumps([str(text) for text in values]).encode() if name in TEXTS else values.tobytes())
    return digest.hexdigest()


def _is_there(run: Run) -> bool:
    return (run.path / FILE).exists() or (run.path / FILE).is_symlink()


def _read(path: Path, run: Run, truths: Truths) -> tuple[AgreementColumns, Mapping[str, str]]:
    """AgreementColumns and metadata of the file, of no more rows than there can be."""
    most = len(run.kinds) * (1 + len(marks_of(truths.variant))) * len(KEPT)
    try:
        rows = count_rows(path)
        if rows > most:
            raise _bad(run, f"claims {rows} rows, and there can be {most}")
        columns, metadata = read_columns(path, [*TEXTS, *NUMBERS])
    except BadData as error:
        if str(error).startswith(str(path)) and "take it away, or" in str(error):
            raise
        raise _bad(run, "is damaged") from None
    kinds = dict.fromkeys(TEXTS, "O") | dict.fromkeys(NUMBERS, "f") | {"n": "i"}
    if any(columns[name].ndim != 1 or columns[name].dtype.kind != kind for name, kind in kinds.items()):
        raise _bad(run, "is damaged")
    return columns, metadata


def _fault(run: Run, truths: Truths, found: AgreementColumns, told: Mapping[str, str]) -> str | None:
    """Why a file does not fit its digests, or these not the files beside it; None where all is well.

    A file that lacks a detector which was scored since is none of its faults.
    """
    if told.get(ROWS) != _digest_of_rows(found):
        return "was changed after it was written"
    variant = truths.variant
    if told.get("variant_id") != variant.provenance.variant_id or told.get("truth_sha256") != _digest_of_truth(truths):
        return "is of other labels than those beside the run"
    try:
        scores = json.loads(told.get("scores_sha256", ""))
    except (ValueError, RecursionError):
        scores = None
    if not isinstance(scores, dict):
        return "does not say of which scores it is"
    for name, digest in scores.items():
        if name not in run.kinds:
            return f"is of a detector '{name[:60]}', which the run does not have"
        if kept_digest(scores_path(run.path, name)) != digest:
            return f"is of other scores of '{name[:60]}' than those beside it"
    return None


def _first_difference(found: AgreementColumns, ours: AgreementColumns, numbers: Sequence[str] = NUMBERS) -> str | None:
    """What differs between the rows of a file and those that are right, in words; None where nothing does."""
    keys = [list(zip(*(map(str, part[name]) for name in TEXTS), strict=True)) for part in (found, ours)]
    if keys[0] != keys[1]:
        odd: Sequence[tuple[str, ...]] = sorted(set(keys[0]) ^ set(keys[1])) or keys[0]
        return f"has other rows than its detectors give, such as {', '.join(odd[0] if odd else ())[:120]}"
    for name in numbers:
        close = np.isclose(found[name], ours[name], rtol=0, atol=1e-9, equal_nan=True)  # other machines round otherwise
        if not close.all():
            row = int(np.flatnonzero(~close)[0])
            where = ", ".join(keys[0][row])
            return f"says {name} = {found[name][row]:.6g} of {where}, the scores give {ours[name][row]:.6g}"
    return None


def _bad(run: Run, fault: str) -> BadData:
    command = COMMANDS[run.record.regime]
    return BadData(
        f"{run.path / FILE} {fault}; no table reads it: take it away, or say 'noisybench {command}' again, which writes it "
        f"anew"
    )
