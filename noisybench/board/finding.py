"""Finding suspects: in data of one's own, in a variant, in finished runs, or in arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.board.suspects import Suspects, flag
from noisybench.data.source import SCORE_INSTEAD, Source, inputs_of, source_from_arrays
from noisybench.detection.scoring import Scores, scores_path
from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.checks import a_path, unknown
from noisybench.ground.digests import file_digest
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.walking import find_below, reached
from noisybench.runs.folder import RECORD
from noisybench.runs.reading import AnyPath, Run, leave_out, read_run
from noisybench.training.trace import read_trace
from noisybench.variants.sample_names import read_names
from noisybench.variants.variant import Variant, read_variant

Tell = Callable[[str], None]

DEFAULT_OF_TRAINING = "cumulative_loss"
"""Detector that ranks where a network was trained."""


def _of_runs(folder: Path, detector: str | None) -> Suspects:
    """What finished runs of one setup say: the mean of their scores, and the answers of all of them.

    Raises:
        UnknownName: The runs have no scores of that detector.
        BadData: No finished run is there, or several setups are, or scores were changed.
    """
    runs = _finished_below(folder)
    if not runs:
        msg = f"{folder} holds no finished run; 'noisybench evaluate' makes one, and 'noisybench score' of your own probabilities"
        raise BadData(msg)
    if len({one.path.parent for one in runs}) > 1:
        msg = f"{folder} holds runs of several setups; name one of them, such as {runs[0].path.parent}"
        raise BadData(msg)
    detector = _ranking(runs, folder, detector)
    variant = read_variant(runs[0].home / "variant")
    scored = [_unchanged(one, detector) for one in runs]
    for scores in scored:
        if scores.variant_id != variant.provenance.variant_id or scores.values.shape != variant.labels.shape:
            msg = f"{folder} holds scores of other labels than its variant; evaluate again"
            raise BadData(msg)
    suspicion = np.mean([scores.values for scores in scored], axis=0)
    return suspicion


def _ranking(runs: Sequence[Run], folder: Path, detector: str | None) -> str:
    """The detector that ranks: the one that is asked for, else the default of the runs' regime, else their first."""
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
    if detector is not None or not found:
        if detector not in found:
            raise UnknownName(unknown(str(detector), tuple(found), "detector of this run"))
        return detector
    return next((name for name in DEFAULTS if name in found), found[0])


def _finished_below(folder: Path) -> list[Run]:
    """The finished runs in a folder and below it, in the order of their paths."""
    runs = (read_run(path.parent) for path in find_below(reached(folder), {RECORD}).paths)
    return [run for run in runs if run.finished]


def _unchanged(run: Run, name: str) -> Scores:
    """The scores of a detector, which must be those that the run left."""
    path = scores_path(run.path, name)
    told = (run.record.files_sha256 or {}).get(path.relative_to(run.path).as_posix())
    if told is not None and file_digest(path) != told:
        msg = f"{path} was changed after it was written; run the command that made it again"
        raise BadData(msg)
    return run.scores(name)
