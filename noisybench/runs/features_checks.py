"""Checks of a run from frozen features: its columns can be, though nothing in the folder computes them again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from noisybench.data.pretraining import UNSAID, classes_overlap
from noisybench.detection.scoring import COLUMNS
from noisybench.ground.arrays import Floats32
from noisybench.ground.errors import BadData
from noisybench.runs.features_columns import BASE
from noisybench.runs.pretrained import pretraining_of
from noisybench.runs.record import Pretrained, RunRecord
from noisybench.runs.record_checks import again
from noisybench.training.trace import Trace
from noisybench.variants.variant import Variant

BOUNDS = {
    "features.ridge_suspicion": (0.0, 1.0), "features.ridge_leverage": (0.0, 1.0), "features.cooks_distance": (0.0, np.inf),
    "features.gaussian_distances": (0.0, np.inf), "features.simifeat_votes": (0.0, 1.0),
    "features.simifeat_ranks": (-1.0, 1.0), "features.nearest_same": (0.0, 2.0), "features.nearest_other": (0.0, 2.0),
    "features.alignment": (0.0, 1.0), "features.shapley": (-1.0, 1.0),
}  # fmt: skip
"""Column → the least and the greatest value that it can have; those that are not here are any numbers."""
SHARES = ("held_out.probabilities", "neighbours.labels")
"""Columns whose rows sum to 1."""
UNITS = ("features.simifeat_votes",)
"""Columns whose rows have length 1."""
SAMPLES = ("features.two_nearest",)
"""Columns of two samples' numbers a row, -1 for none."""
OF_CLASSES = (*SHARES, *UNITS, "features.ridge_answers", "features.gaussian_distances")
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
    odd = ({*BASE} - {*trace.columns}) | ({*trace.columns} - {*COLUMNS["features"]})
    if odd:
        yield f"has other columns than frozen features leave, such as '{min(odd)[:60]}'"
        return
    for name in trace.columns:
        column = trace.column(name)
        width = (record.classes,) if name in OF_CLASSES else (2,) if name in SAMPLES else ()
        shape = (1, record.n, *width)
        if column.values.shape != shape or column.epochs.tolist() != [0]:
            yield f"has '{name}' of shape {column.values.shape}, expected {shape} at epoch 0"
            return
        values = column.values[-1]
        if name in SAMPLES:
            yield from _faults_of_samples(name, values)
            continue
        low, high = (0.0, 1.0) if name in SHARES else BOUNDS.get(name, (-np.inf, np.inf))
        bad = ~np.isfinite(values) | (values < low) | (values > high)
        if bad.any():
            span = "a number" if high - low == np.inf else f"a number from {low:g} to {high:g}"
            yield f"has '{name}' = {values[bad][0]:g}, expected {span}"
        elif name in SHARES and (np.abs(values.sum(1, dtype=np.float64) - 1) > NEAR).any():
            yield f"has rows of '{name}' that do not sum to 1"
        elif name in UNITS and (np.abs((values**2).sum(1, dtype=np.float64) - 1) > NEAR).any():
            yield f"has rows of '{name}' that do not have length 1"


def _faults_of_samples(name: str, values: Floats32) -> Iterator[str]:
    """Numbers of other samples that there are, or -1."""
    own = np.arange(len(values))[:, None]
    bad = ~(np.isin(values, np.arange(-1, len(values)))) | (values == own)
    if bad.any():
        yield f"has '{name}' = {values[bad][0]:g}, expected the number of another of {len(values)} samples, or -1"
