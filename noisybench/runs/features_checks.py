"""Checks of a run from frozen features: its columns can be, though nothing in the folder computes them again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from noisybench.data.pretraining import UNSAID, classes_overlap
from noisybench.ground.errors import BadData
from noisybench.runs.pretrained import pretraining_of
from noisybench.runs.record import Pretrained, RunRecord
from noisybench.runs.record_checks import again
from noisybench.training.trace import Trace
from noisybench.variants.variant import Variant

BOUNDS = {"features.ridge_suspicion": (0.0, 1.0), "features.ridge_leverage": (0.0, 1.0)}
"""Column → the least and the greatest value that it can have."""
SHARES = ("held_out.probabilities", "neighbours.labels")
"""Columns whose rows sum to 1."""
OF_CLASSES = (*SHARES, "features.ridge_answers")
OF_SAMPLES = ("given", "prediction", "features.ridge_chosen", *BOUNDS)
NEAR = 1e-3
"""How far the sum of a row may be from 1."""


def check_columns(path: Path, trace: Trace, record: RunRecord) -> None:
    """Raise ``BadData`` unless a trace has the columns of such a run and no other, of one epoch, with values that can be."""
    for fault in _faults(trace, record):
        msg = f"{path}: the trace {fault}; {again(record)}"
        raise BadData(msg)


def check_pretrained(path: Path, record: RunRecord, variant: Variant) -> None:
    """Raise ``BadData`` unless a record says of its features what is known of them by their word."""
    known, told = pretraining_of(record.features), record.pretrained
    if known is not None and known.data != UNSAID:
        wanted = Pretrained(known.data, known.supervised, classes_overlap(known, variant.class_names))
    elif known is None or told is None:
        wanted = None
    else:
        return  # nobody but the record says it
    if told != wanted:
        said, right = (
            "nothing" if one is None else f"{one.data[:40]} ({one.supervised}, {one.overlap})" for one in (told, wanted)
        )
        msg = f"{path / 'run.json'} says that its features were trained on {said}, expected {right}; {again(record)}"
        raise BadData(msg)


def _faults(trace: Trace, record: RunRecord) -> Iterator[str]:
    odd = {*trace.columns} ^ {*OF_CLASSES, *OF_SAMPLES}
    if odd:
        yield f"has other columns than frozen features leave, such as '{min(odd)[:60]}'"
        return
    for name in (*OF_CLASSES, *OF_SAMPLES):
        column = trace.column(name)
        shape = (1, record.n, record.classes) if name in OF_CLASSES else (1, record.n)
        if column.values.shape != shape or column.epochs.tolist() != [0]:
            yield f"has '{name}' of shape {column.values.shape}, expected {shape} at epoch 0"
            return
        values = column.values[-1]
        low, high = (0.0, 1.0) if name in SHARES else BOUNDS.get(name, (-np.inf, np.inf))
        bad = ~np.isfinite(values) | (values < low) | (values > high)
        if bad.any():
            yield f"has '{name}' = {values[bad][0]:g}, expected {'a number' if high > 1 else 'a number from 0 to 1'}"
        elif name in SHARES and (np.abs(values.sum(1, dtype=np.float64) - 1) > NEAR).any():
            yield f"has rows of '{name}' that do not sum to 1"
