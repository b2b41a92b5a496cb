"""What a run suggests in place of labels: its files, and for runs without them the same from the trace."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from noisybench.detection.scoring import Detector, Suggestion
from noisybench.detection.suggesting import (
    ANSWERS,
    PREDICTION,
    read_suggestion,
    suggest,
    suggestion_path,
    suggestions,
    write_suggestion,
)
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.kept_digests import kept_digest
from noisybench.ground.lookup import find, is_ours
from noisybench.runs.detector_codes import made_by
from noisybench.runs.folder import suggestion_files
from noisybench.runs.record import RunRecord
from noisybench.training.trace import Trace, read_trace, trace_rows
from noisybench.variants.variant import Variant


def write_suggestions(folder: Path, trace: Trace, detectors: Mapping[str, Detector], variant: Variant) -> None:
    """Write what each detector suggests, of those that have something to suggest.

    Args:
        folder: Of the run.
        trace: Its trace.
        detectors: What the catalog finds it by → each detector.
        variant: Its labels.
    """
    found = suggestions(trace, detectors.values(), variant.labels)
    for spec, detector in detectors.items():
        if detector.name in found:
            check_suggestion(found[detector.name], variant, f"detector '{detector.name}' suggests")
            write_suggestion(found[detector.name], suggestion_path(folder, detector.name), made_by(spec))


def suggestion_of(folder: Path, record: RunRecord, name: str, variant: Variant) -> Suggestion | None:
    """What a detector of a finished run suggests: from its file, or from the trace of a run that has none.

    Runs of earlier versions have no such files. A detector that is none of noisybench's is then taken to suggest what the
    trace does, since a record may not name code to import. None where scores came without a trace.

    Raises:
        BadData: The file is not the one that the run left.
        Mismatch: It is of other labels, or of another detector.
    """
    path = suggestion_files(folder, record).get(name)
    if path is None:
        return _from_trace(folder, record, name, variant)
    _checked_digest(folder, record, path)
    return _read(path, name, variant)


def suggestion_digests(folder: Path, record: RunRecord) -> dict[str, str]:
    """Detector → digest of its file of suggestions, of those that have one.

    Raises:
        BadData: A file is not the one that the run left.
    """
    return {name: _checked_digest(folder, record, path) for name, path in suggestion_files(folder, record).items()}


def _checked_digest(folder: Path, record: RunRecord, path: Path) -> str:
    """Digest of a file, which must be the one that the record holds."""
    digest = kept_digest(path)
    if digest != (record.files_sha256 or {})[path.relative_to(folder).as_posix()]:
        msg = f"{path} was changed after it was written; run the command that made it again"
        raise BadData(msg)
    return digest


def check_suggestion(suggestion: Suggestion, variant: Variant, what: str) -> None:
    """Raise ``BadData`` or ``Mismatch`` unless a suggestion is of a variant: another of its classes for each sample, or none.

    Args:
        suggestion: Of one detector.
        variant: The labels that the model was trained on.
        what: The beginning of the message.
    """
    labels = suggestion.labels
    if suggestion.variant_id != variant.provenance.variant_id or labels.shape != variant.labels.shape:
        msg = f"{what} for other labels than the run's; run the command that made it again"
        raise Mismatch(msg)
    odd = (labels < UNKNOWN) | (labels >= variant.num_classes) | (labels == variant.labels)
    if odd.any():
        msg = (
            f"{what} class {labels[odd][0]} for sample {odd.argmax()} ({odd.sum()} such samples), expected another class "
            f"of 0..{variant.num_classes - 1} than the given one, or {UNKNOWN}"
        )
        raise BadData(msg)


def compare_suggestions(folder: Path, record: RunRecord, variant: Variant, trace: Trace | None) -> Iterator[str]:
    """Compare the suggestions of a run with what its trace gives; a sentence where that cannot be.

    Raises:
        BadData: One does not follow from the trace.
        Mismatch: One is of other labels, or of another detector.
    """
    files = suggestion_files(folder, record)
    ours = [find("detectors", record.detectors[name]) for name in files if is_ours("detectors", record.detectors[name])]
    found = {} if trace is None else suggestions(trace, ours, variant.labels)
    for name, path in files.items():
        if trace is None:
            msg = f"{path} holds suggestions, and scores that were given have none; delete that folder and score again"
            raise BadData(msg)
        written = _read(path, name, variant)
        spec = record.detectors[name]
        if not is_ours("detectors", spec):
            yield f"{folder}: the suggestions of '{name}' were not computed again: {spec} is not noisybench's"
            continue
        if name not in found or not (written.labels == found[name].labels).all():
            msg = f"{folder}: the suggestions of '{name}' do not follow from the trace; delete that folder and run its command again"
            raise BadData(msg)


def _read(path: Path, name: str, variant: Variant) -> Suggestion:
    """A file of suggestions, which must be of that detector and of the variant's labels."""
    found = read_suggestion(path)
    if found.detector != name:
        msg = f"{path} holds suggestions of '{found.detector[:60]}'; run the command that made it again"
        raise Mismatch(msg)
    check_suggestion(found, variant, f"{path} suggests")
    return found


def _from_trace(folder: Path, record: RunRecord, name: str, variant: Variant) -> Suggestion | None:
    """What a detector suggests, from the trace of its run; None without one, or where that has nothing to suggest."""
    if record.form == "scores":
        return None
    for file, rows in trace_rows(folder / "trace").items():  # before any of them is unpacked
        if rows != len(variant.labels):
            msg = f"{file} claims {rows} samples, the variant has {len(variant.labels)}; run the command that made it again"
            raise Mismatch(msg)
    trace, spec = read_trace(folder / "trace"), record.detectors[name]
    ours = detector_or_stand_in(name, spec)
    if ours.suggest is None and not {ANSWERS, PREDICTION} & {*trace.columns}:
        return None
    found = suggest(trace, ours, variant.labels)
    check_suggestion(found, variant, f"the trace in {folder} suggests")
    return found


def detector_or_stand_in(name: str, spec: str) -> Detector:
    """A detector of noisybench; of another one, whose code a stranger's run may not import, what suggests as the trace does."""
    ours: Detector = find("detectors", spec) if is_ours("detectors", spec) else Detector(name, (), _no_score, spec)
    return ours


def _no_score(trace: Trace) -> Floats:
    """Stands in for code that is not imported: only what the trace suggests is asked for."""
    raise NotImplementedError
