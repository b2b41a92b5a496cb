"""Runs of two halves: a model is trained on one half of the samples, then on the other, and asked what it has forgotten.

Half A is learnt, then half B with the same recipe and a fresh optimiser; after each epoch of both every sample of A is
asked, in eval mode and without augmentation. Then the same with A and B swapped, so that each sample is asked. The
halves have the same share of each given class; copies of which the variant knows are in one half. A sample that a person dropped is in neither training, and asked with
the first.

Source: Maini, Garg, Lipton, Kolter 2022 (arXiv:2210.15031). Their code evaluates under ``no_grad`` with the model in
training mode, so that batch norm normalises by each batch and its running statistics move while a sample is looked at: a
bug, and not ours. It also trains to full accuracy; here each phase is the whole recipe, whose shares fitted are told.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Floats, Floats32, Labels
from noisybench.ground.errors import BadData
from noisybench.ground.random_streams import derive
from noisybench.runs.several_trainings import Scheme, as_column, asking_prediction
from noisybench.statistics.splitting import stratified_halves
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from noisybench.training.phases import PhasedTraining

FIRST, SECOND, HALF = "second_split.first", "second_split.second", "second_split.half"
"""Columns: whether a label is predicted after each epoch on its own half, and after each on the other; and its half."""

LEAST = 4
"""Samples of the smallest set: two in each half, for a batch."""


def halves_of(variant: Variant, seed: int) -> Labels:
    """Half of each sample in the run of a seed, 0 or 1, shape (n,)."""
    return stratified_halves(variant.labels, derive(seed, "second split"), but=variant.dropped, groups=variant.copies)


def _plan(variant: Variant, seed: int) -> "tuple[PhasedTraining, ...]":
    """A training that begins on each half and is asked about it."""
    from noisybench.training.phases import PhasedTraining  # brings torch

    halves, kept = halves_of(variant, seed), ~variant.dropped
    if kept.sum() < LEAST:
        msg = f"{kept.sum()} samples are too few for two halves; leave second_split_forgetting and first_split out"
        raise BadData(msg)
    rows = [np.flatnonzero(kept & (halves == half)) for half in (0, 1)]
    return tuple(
        PhasedTraining(
            name=f"half-{half}",
            classes=variant.num_classes,
            phases=(rows[half], rows[1 - half]),
            labels=variant.labels,
            asked=np.flatnonzero(halves == half),
            columns=("prediction",),
            ask=asking_prediction,
        )
        for half in (0, 1)
    )


def _join(answers: Sequence[Trace], variant: Variant, seed: int) -> Iterator[Observation]:
    """The two trainings as one trace: at every epoch the prediction for each sample, and whether that is its label."""
    halves = halves_of(variant, seed)
    columns = [trace.column("prediction") for trace in answers]
    total = len(columns[0].epochs)
    for row in range(total):
        prediction = np.zeros(len(halves), dtype=np.float32)
        for half, column in enumerate(columns):
            prediction[halves == half] = column.values[row]
        name = FIRST if row < total // 2 else SECOND
        values: dict[str, Floats32] = {"prediction": prediction, name: as_column(prediction == variant.labels)}
        if row == total - 1:
            values |= {"given": as_column(variant.labels), HALF: as_column(halves)}
        yield Observation(row + 1, values)


def _fitted(trace: Trace, variant: Variant) -> Floats:  # noqa: ARG001 - the labels are in the trace
    """Whether each label is predicted after each epoch on its own half, shape (e, n)."""
    return trace[FIRST].astype(np.float64)


def _faults(trace: Trace, variant: Variant, seed: int) -> Iterator[str]:
    """Halves are those of the seed, and what is right follows from what is predicted."""
    if not np.array_equal(trace[HALF][-1], halves_of(variant, seed)):
        yield f"has halves in '{HALF}' that its seed does not give"
    right = trace["prediction"] == variant.labels
    for name, told in ((FIRST, right[: len(right) // 2]), (SECOND, right[len(right) // 2 :])):
        if not np.array_equal(trace[name], told):
            yield f"has a '{name}' that does not follow from 'prediction'"


SCHEME = Scheme(
    regime="second_split",
    words="two halves",
    rules=(),
    lengths=4,
    trainings=2,
    columns={
        "prediction": ((0, 2), None),
        FIRST: ((0, 1), None),
        SECOND: ((1, 2), None),
        "given": (None, None),
        HALF: (None, None),
    },
    plan=_plan,
    join=_join,
    fitted=_fitted,
    faults=_faults,
)
"""Two halves, one after the other, in both orders."""
