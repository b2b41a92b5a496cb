"""Checks of a run of answers: its columns are computed again from the answers of the variant beside it."""

from pathlib import Path

import numpy as np

from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.runs.answers_columns import (
    BEST,
    CLASSIFIER,
    answers_columns,
    digest_of_answers,
    looked_at,
)
from noisybench.runs.features_checks import check_pretrained
from noisybench.runs.record import RunRecord
from noisybench.training.trace import Trace
from noisybench.variants.variant import Variant

NEAR = 1e-4
"""How far a probability may be from the one that is computed again: iterations end a round earlier on another machine."""
NEAR_ONE = 1e-3
"""How far the sum of a row of the classifier may be from 1."""


def check_answered(path: Path, trace: Trace, record: RunRecord, variant: Variant) -> None:
    """Raise unless the columns of a trace are those that the variant's answers give.

    What a classifier said of the samples is taken on trust, as its features are not there; what follows from it is not.

    Raises:
        BadData: A column is another, or has another shape.
        Mismatch: The record is of other answers.
    """
    again = "delete that folder and say noisybench score --answers again"
    try:
        asked = looked_at(variant, without_given=bool(record.without_given), seed=record.seed)
    except BadUsage as error:
        msg = f"{path}: {error}; {again}"
        raise Mismatch(msg) from None
    told = {
        "answers_sha256": digest_of_answers(asked.answers),
        "answers": len(asked.answers),
        "annotators": len(np.unique(asked.answers.annotator)),
        "given_from": asked.given_from,
        "model": asked.who,
    }
    for name, value in told.items():
        if getattr(record, name) != value:
            msg = f"{path / 'run.json'} says {name} = {str(getattr(record, name))[:40]}, the variant's answers give {str(value)[:40]}; {again}"
            raise Mismatch(msg)
    classifier = None
    if record.folds is not None:
        classifier = trace[CLASSIFIER][-1]
        right = classifier.shape == (record.n, record.classes) and (classifier >= 0).all()
        if not right or not (np.abs(classifier.sum(1, dtype=np.float64) - 1) <= NEAR_ONE).all():
            msg = f"{path}: '{CLASSIFIER}' holds no probability of each class for each sample; {again}"
            raise BadData(msg)
        check_pretrained(path, record, variant)
    made = answers_columns(variant, asked, classifier, smoothing=record.smoothing or 0.0)
    if {*made} != {*trace.columns}:
        odd = min({*made} ^ {*trace.columns})
        msg = f"{path}: the trace has other columns than answers leave, such as '{odd[:60]}'; {again}"
        raise BadData(msg)
    best = next(trace[name][-1] for name in BEST if name in made)
    made["prediction"] = best.argmax(-1).astype(np.float32)  # of what is there: two classes may be all but alike
    for name, values in made.items():
        column = trace.column(name)
        near = NEAR if values.ndim > 1 else 0
        if column.values.shape != (1, *values.shape) or column.epochs.tolist() != [0]:
            msg = f"{path}: '{name}' has shape {column.values.shape}, expected {(1, *values.shape)} at epoch 0; {again}"
            raise BadData(msg)
        if not np.allclose(column.values[0], values, rtol=0, atol=near):
            msg = f"{path}: '{name}' does not follow from the answers; {again}"
            raise BadData(msg)
