"""Scoring stored columns: the detectors that need no training of their own, once each, also those that came later."""

from collections.abc import Collection, Iterator
from pathlib import Path

from noisybench.detection.scoring import Detector, Kind, score, scores_path, write_scores
from noisybench.ground.lookup import find, names
from noisybench.runs.detector_codes import is_made_by, made_by
from noisybench.runs.folder import finish, kinds_of
from noisybench.runs.record import RunRecord
from noisybench.runs.suggestion_files import write_suggestions
from noisybench.training.trace import Trace, read_trace
from noisybench.variants.variant import Variant


def score_columns(folder: Path, variant: Variant, *, but: Collection[str] = ()) -> dict[str, Kind]:
    """Score, and suggest, with every detector whose columns the trace has, but for those of trainings; each one's kind.

    Args:
        folder: Of the run.
        variant: Its labels.
        but: Names of those that are scored already.
    """
    trace = read_trace(folder / "trace")
    kinds: dict[str, Kind] = {}
    asked: dict[str, Detector] = {}
    for name, detector in detectors_of(trace, but=but):
        write_scores(score(trace, detector), scores_path(folder, name), made_by(name))
        kinds[name] = "control" if detector.control else "detector"
        asked[name] = detector
    write_suggestions(folder, trace, asked, variant)
    return kinds


def detectors_of(trace: Trace, *, but: Collection[str] = ()) -> Iterator[tuple[str, Detector]]:
    """Names, in their order, and detectors whose columns a trace has, but for those of trainings and those named."""
    for name in sorted({*names("detectors")} - {*but}):
        detector: Detector = find("detectors", name)
        if "training" not in detector.fed_by and set(detector.needs) <= set(trace.columns):
            yield name, detector


def score_added(folder: Path, found: RunRecord, variant: Variant) -> dict[str, Kind]:
    """Score what a finished run lacks: detectors that were added since, and reduce what is stored; each one's kind."""
    installed = names("detectors")
    kept = [
        name
        for name, spec in found.detectors.items()
        if spec in installed and is_made_by(scores_path(folder, name), spec)
    ]
    added = score_columns(folder, variant, but=kept)
    if added:
        detectors = dict(sorted({**found.detectors, **{name: name for name in added}}.items()))
        finish(folder, found, detectors, {**kinds_of(folder, found), **added})
    return added
