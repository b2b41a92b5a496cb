"""Checks of the columns of a run that trained no network: of given answers, frozen features, or people's answers."""

from pathlib import Path

import numpy as np

from noisybench.ground.errors import BadData, Mismatch
from noisybench.runs.answers_checks import check_answered
from noisybench.runs.features_checks import check_columns, check_pretrained
from noisybench.runs.record import RunRecord
from noisybench.training.trace import Trace
from noisybench.variants.variant import Variant


def check_untrained(path: Path, trace: Trace, record: RunRecord, variant: Variant) -> str:
    """What the detectors of such a run follow from, in words, where its columns can be.

    Raises:
        BadData: A column is another, or has another shape.
        Mismatch: The trace is of other labels or answers.
    """
    _check_given_labels(path, trace, variant)
    if record.regime == "answers":
        check_answered(path, trace, record, variant)
        return "what the answers of the variant give"
    if record.form == "dynamics":
        return "the logits"
    _check_predictions(path, trace)
    if record.regime == "given":
        return "the probabilities"
    check_columns(path, trace, record)
    check_pretrained(path, record, variant)
    return "the columns that frozen features left"


def _check_given_labels(path: Path, trace: Trace, variant: Variant) -> None:
    """The labels of a trace are the variant's."""
    if not np.array_equal(trace["given"][-1], variant.labels):
        msg = f"{path}: the trace has other given labels than the variant; delete that folder and score again"
        raise Mismatch(msg)


def _check_predictions(path: Path, trace: Trace) -> None:
    """Predicted classes are those of the greatest probability."""
    if not np.array_equal(trace["prediction"][-1], trace["held_out.probabilities"][-1].argmax(1)):
        msg = f"{path}: the classes in 'prediction' do not follow from the probabilities; delete that folder and score again"
        raise BadData(msg)
