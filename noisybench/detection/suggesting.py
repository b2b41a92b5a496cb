"""Suggesting: which other class the evidence of a trace would give each sample. No torch here.

Not the last prediction: a network that has learnt a wrong label repeats it. Held-out answers are taken where there are
any; else the commonest other class of all recorded epochs, in many of which the label was not learnt yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector, Suggestion
from noisybench.ground.arrays import UNKNOWN, Labels, as_labels, check_array, read_only
from noisybench.ground.checks import check_kind
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import own_file_name, read_columns, write_columns
from noisybench.training.trace import Column, Trace

ANSWERS, PREDICTION = "held_out.probabilities", "prediction"
"""The columns that a suggestion is read from unless the detector has one of its own."""
CELLS = 1 << 22
"""Numbers at most that are worked on at once, so that memory does not grow with samples times classes."""
MOST_CLASSES = 1 << 24
"""Classes that a trace can hold: above, float32 leaves whole numbers out."""


def suggest(traces: Trace | Sequence[Trace], detector: Detector, given: Labels) -> Suggestion:
    """The class that a detector's evidence would give each sample in place of its label.

    The detector's own suggestion; else the best other class of ``held_out.probabilities``; else the commonest other class
    among ``prediction`` over all epochs, see ``commonest_other``. Of several trainings of the same labels probabilities
    and votes are summed, and own suggestions are votes.

    Args:
        traces: One, or those of several seeds.
        detector: Whose suggestion.
        given: The labels that the model was trained on, shape (n,).

    Raises:
        BadUsage: What is given is no trace, or no detector.
        MissingColumn: The trace has neither answers nor predictions.
        BadData: Classes that are none, another number of samples, or the given label as a suggestion.
        Mismatch: Traces of different labels.
    """
    several = list(traces) if isinstance(traces, Sequence) else [traces]
    for trace in several:
        check_kind(trace, Trace, "trace", "read_trace(folder) or a Recorder gives one")
    check_kind(detector, Detector, "detector", "find('detectors', name) gives one")
    check_array(given, "given", dimensions=1, kinds="iu")
    if len({trace.variant_id for trace in several}) != 1:
        msg = f"{len(several)} traces of {len({trace.variant_id for trace in several})} variants; expected some of one"
        raise Mismatch(msg)
    if detector.suggest is None:
        labels = _by_answers(several, given)
    else:
        own = [_own(trace, detector, given) for trace in several]
        labels = own[0] if len(own) == 1 else _commonest(np.stack(own), given)
    return Suggestion(detector.name, read_only(labels), several[0].variant_id)


def suggestions(trace: Trace, detectors: Iterable[Detector], given: Labels) -> dict[str, Suggestion]:
    """What ``suggest`` says of one trace, by the name of each detector that has something to suggest."""
    found: dict[str, Suggestion] = {}
    shared: Suggestion | None = None
    has_answers = ANSWERS in trace.columns or PREDICTION in trace.columns
    for detector in detectors:
        if detector.suggest is not None:
            found[detector.name] = suggest(trace, detector, given)
        elif has_answers:  # which all of these share
            shared = shared or suggest(trace, detector, given)
            found[detector.name] = Suggestion(detector.name, shared.labels, trace.variant_id)
    return found


def commonest_other(predictions: NDArray[Any], given: Labels, num_classes: int) -> Labels:
    """The class that was predicted most often beside the given one: (r, n) → (n,), int64.

    Of equally often predicted classes it is the one that was predicted last, as more was learnt by then; ``UNKNOWN``
    where no other class ever was.

    Args:
        predictions: Shape (r, n), rows in the order of the epochs, of one or several trainings; ``UNKNOWN`` is no vote.
        given: The labels that the models were trained on, shape (n,).
        num_classes: Classes are ``0 .. num_classes - 1``.

    Raises:
        BadData: Another number of samples, or an entry that is no class.
    """
    rows, n = predictions.shape
    if given.shape != (n,) or not rows:
        msg = f"predictions have shape {predictions.shape}, the labels {given.shape}; expected (r, n) and (n,)"
        raise BadData(msg)
    chosen = np.full(n, UNKNOWN, dtype=np.int64)
    step = max(1, CELLS // rows)
    for start in range(0, n, step):
        part = slice(start, start + step)
        chosen[part] = _commonest_in_block(predictions[:, part], given[part], num_classes, start)
    return chosen


def _commonest_in_block(predictions: NDArray[Any], given: Labels, num_classes: int, start: int) -> Labels:
    """``commonest_other`` of some samples: votes are sorted by class and row, so that no sample needs a cell a class."""
    rows, n = predictions.shape
    with np.errstate(invalid="ignore"):  # NaN, refused below
        answers = predictions.astype(np.int64)
    odd = np.argwhere((answers != predictions) | (answers < UNKNOWN) | (answers >= num_classes))
    if odd.size:
        row, sample = odd[0]
        msg = (
            f"prediction {row} of sample {start + sample} is {predictions[row, sample]}, which is no class of "
            f"0..{num_classes - 1} ({len(odd)} such entries)"
        )
        raise BadData(msg)
    votes = np.ascontiguousarray((answers * rows + np.arange(rows)[:, None]).T)
    votes.sort(axis=1)
    chosen, most = np.full(n, UNKNOWN, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    before, count = np.full(n, UNKNOWN, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for vote in np.ascontiguousarray(votes.T):
        answer, row = np.divmod(vote, rows)
        count = np.where(answer == before, count + 1, 1)
        weight = count * rows + row  # more votes, then the later one
        better = (answer >= 0) & (answer != given) & (weight > most)
        chosen[better], most[better], before = answer[better], weight[better], answer
    return chosen


def best_other(probabilities: Sequence[NDArray[Any]], given: Labels) -> Labels:
    """The likeliest class beside the given one: m times (n, k) → (n,), int64; the first of equally likely ones.

    Args:
        probabilities: Shape (n, k) each, summed; NaN says nothing.
        given: The labels, shape (n,).

    Returns:
        ``UNKNOWN`` where no other class has a probability above 0.

    Raises:
        BadData: Arrays of different shapes, or a label that is none of the classes.
    """
    n, k = probabilities[0].shape
    if any(part.shape != (n, k) for part in probabilities) or given.shape != (n,) or (given >= k).any():
        shapes = ", ".join(str(part.shape) for part in probabilities)
        msg = f"probabilities have shape {shapes}, the labels {given.shape}; expected (n, k) and (n,), labels below k"
        raise BadData(msg)
    chosen = np.full(n, UNKNOWN, dtype=np.int64)
    step = max(1, CELLS // k)
    for start in range(0, n, step):
        part = slice(start, start + step)
        summed = np.fmax(probabilities[0][part], 0)  # NaN is 0, and so is what would be no class's choice
        for each in probabilities[1:]:
            summed = summed + np.fmax(each[part], 0).astype(np.float64)
        here = np.arange(len(summed))
        summed[here, given[part]] = 0
        best = summed.argmax(1)
        chosen[part] = np.where(summed[here, best] > 0, best, UNKNOWN)
    return chosen


def _by_answers(traces: Sequence[Trace], given: Labels) -> Labels:
    """What every trace suggests: by held-out answers where all have them, else by predictions."""
    if all(ANSWERS in trace.columns for trace in traces):
        return best_other([trace[ANSWERS][-1] for trace in traces], given)
    columns = [trace.column(PREDICTION) for trace in traces]
    return _commonest(_in_order(columns), given)


def _in_order(columns: Sequence[Column]) -> NDArray[Any]:
    """Predictions of several trainings, by epochs, shape (r, n)."""
    if len({column.values.shape[1:] for column in columns}) != 1 or columns[0].values.ndim != 2:  # noqa: PLR2004
        shapes = ", ".join(str(column.values.shape) for column in columns)
        msg = f"predictions have shape {shapes}; expected (e, n), of as many samples in each"
        raise BadData(msg)
    if len(columns) == 1:
        return columns[0].values
    order = np.argsort(np.concatenate([column.epochs for column in columns]), kind="stable")
    return np.concatenate([column.values for column in columns])[order]


def _commonest(predictions: NDArray[Any], given: Labels) -> Labels:
    """``commonest_other`` among as many classes as there are in sight."""
    most = np.fmax(np.fmax.reduce(predictions, axis=None, initial=0), np.max(given, initial=0))
    return commonest_other(predictions, given, int(min(most, MOST_CLASSES - 1)) + 1)


def _own(trace: Trace, detector: Detector, given: Labels) -> Labels:
    """A detector's own suggestion, which must be another class than the given one for each sample, or ``UNKNOWN``."""
    for name in detector.needs:
        if name not in trace.columns:
            trace.column(name)
    labels = as_labels(detector.suggest(trace) if detector.suggest else None, what=f"suggestions of '{detector.name}'")
    if labels.shape != given.shape:
        msg = (
            f"detector '{detector.name}' gave {len(labels)} suggestions, expected one for each of {len(given)} samples"
        )
        raise BadData(msg)
    for odd, what in ((labels < UNKNOWN, "which is no class"), (labels == given, "which is the given label")):
        if odd.any():
            sample = int(np.flatnonzero(odd)[0])
            msg = (
                f"detector '{detector.name}' suggests class {labels[sample]} for sample {sample}, {what} "
                f"({odd.sum()} such samples); suggest another class, or {UNKNOWN} for none"
            )
            raise BadData(msg)
    return labels


# Files


def suggestion_path(folder: Path, detector: str) -> Path:
    """Where a run keeps the suggestions of a detector: in a file that no other detector has."""
    return folder / "suggestions" / f"{own_file_name(detector)}.parquet"


def write_suggestion(suggestion: Suggestion, path: Path, made_by: Mapping[str, str] | None = None) -> None:
    """Write a suggestion in sample order, with the sample ids and the variant id.

    Args:
        suggestion: Of one detector.
        path: The file.
        made_by: ``origin`` and ``code`` of a detector that is none of noisybench's.
    """
    columns = {"sample": np.arange(len(suggestion.labels), dtype=np.int64), "suggested": suggestion.labels}
    told = {"variant_id": suggestion.variant_id, "detector": suggestion.detector}
    write_columns(columns, path, metadata={**told, **(made_by or {})})


def read_suggestion(path: Path) -> Suggestion:
    """Read what ``write_suggestion`` wrote.

    Raises:
        BadData: The file is broken or not in sample order.
        Mismatch: It does not say of which variant it is.
    """
    columns, metadata = read_columns(path, ["sample", "suggested"])
    if not np.array_equal(columns["sample"], np.arange(len(columns["sample"]))):
        msg = f"{path} is not in sample order; expected samples 0..{len(columns['sample']) - 1}"
        raise BadData(msg)
    if "variant_id" not in metadata:
        msg = f"{path} does not say which variant it is of; write it with noisybench"
        raise Mismatch(msg)
    return Suggestion(metadata.get("detector", path.stem), read_only(columns["suggested"]), metadata["variant_id"])
