"""Suspects of finished runs: the mean of their scores, and the answers of all of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noisybench.board.agreement import settled
from noisybench.board.evidence import contradicted, evidence_of, suggested
from noisybench.board.own_cut import answers_of, flag
from noisybench.board.suspects import Suspects
from noisybench.detection.scoring import Scores, scores_path
from noisybench.ground.arrays import read_only
from noisybench.ground.checks import unknown
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, UnknownName
from noisybench.ground.walking import find_below, reached
from noisybench.runs.folder import RECORD
from noisybench.runs.reading import Run, leave_out, read_run
from noisybench.variants.sample_names import read_names
from noisybench.variants.variant import Variant, read_variant

DEFAULTS = ("feature_consensus", "cumulative_loss", "self_confidence", "second_split_forgetting")
"""Detectors that rank where none is named, the first that there is: by frozen features, by a training, by
probabilities, by two halves."""


def suspects_of_runs(folder: Path, detector: str | None = None, variant: Variant | None = None) -> Suspects:
    """What finished runs of one setup say: the mean of their scores, and the answers of all of them.

    Args:
        folder: A run's, or one above the seeds of one setup.
        detector: The one that ranks; None takes the first of ``DEFAULTS`` that the runs have, else their first.

        variant: Their labels; None reads those beside the runs, which may know of other labels that a person found right:
            that changes no id.

    Raises:
        UnknownName: The runs have no scores of that detector.
        BadData: No finished run is there, or several setups are, or scores were changed.
    """
    runs = _finished_below(folder)
    if not runs:
        msg = (
            f"{folder} holds no finished run: what is there was begun and not ended, or has lost files; give the command "
            f"that made it again, or name your data or a variant; a run of a rule of stopping has no scores"
        )
        raise BadData(msg)
    if detector is not None:  # runs of other setups, which do not have it, are not meant
        runs = [one for one in runs if detector in one.kinds] or runs
    if len({one.path.parent for one in runs}) > 1:
        msg = f"{folder} holds runs of several setups; name one of them, such as {runs[0].path.parent}"
        raise BadData(msg)
    detector = _ranking(runs, folder, detector)
    variant = variant or read_variant(runs[0].home / "variant")
    scored = [_unchanged(one, detector) for one in runs]
    for scores in scored:
        if scores.variant_id != variant.provenance.variant_id or scores.values.shape != variant.labels.shape:
            msg = f"{folder} holds scores of other labels than its variant; evaluate again"
            raise BadData(msg)
    suspicion = read_only(np.mean([scores.values for scores in scored], axis=0))
    traces = [] if runs[0].record.form == "scores" else [answers_of(one, variant) for one in runs]
    against = contradicted(traces, variant)
    return Suspects(
        variant=variant,
        detector=detector,
        evidence=evidence_of([one.record for one in runs], traces),
        suggested=suggested(traces, detector, variant.labels),
        suspicion=suspicion,
        flagged=None if against is None else flag(suspicion, against, but=settled(variant)),
        names=read_names(runs[0].home, len(variant.labels)),
    )


def _ranking(runs: Sequence[Run], folder: Path, detector: str | None) -> str:
    """The detector that ranks: the one that is asked for, else the default, else the first that all runs have."""
    found = [name for name in runs[0].kinds if all(name in one.kinds for one in runs)]
    for name in [name for name in found if len({one.maker(name) for one in runs}) > 1]:
        fault = BadData(
            f"the runs in {folder} have scores of '{name}' by different codes, which are not averaged; name one of the "
            f"runs, such as {runs[0].path}, or evaluate all of them again"
        )
        if name == detector:
            raise fault
        leave_out(fault)
        found.remove(name)
    if detector is None:
        detector = next((name for name in DEFAULTS if name in found), found[0] if found else "")
    if detector not in found:
        raise UnknownName(unknown(detector, tuple(found), "detector of this run"))
    return detector


def _finished_below(folder: Path) -> list[Run]:
    """The finished runs in a folder and below it that have scores, in the order of their paths."""
    runs = (read_run(path.parent) for path in find_below(reached(folder), {RECORD}).paths)
    return [run for run in runs if run.finished and run.kinds]


def _unchanged(run: Run, name: str) -> Scores:
    """The scores of a detector, which must be those that the run left."""
    path = scores_path(run.path, name)
    told = (run.record.files_sha256 or {}).get(path.relative_to(run.path).as_posix())
    if told is not None and file_digest(path) != told:
        msg = f"{path} was changed after it was written; run the command that made it again"
        raise BadData(msg)
    return run.scores(name)
