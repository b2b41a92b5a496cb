"""Runs of noisy validation: a tenth of the given labels is held out, and the epoch most accurate on them is chosen.

The held-out labels are as wrong as the others, so their accuracy cannot reach 1, and fewer labels are trained on. The
samples that are held out are drawn from all that are trained on otherwise; copies of which the variant knows are held out
together, for a model that has seen one of them has seen the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadData
from noisybench.ground.random_streams import derive
from noisybench.runs.several_trainings import Scheme, as_column, fitted_by_others, kept_for_rule, observed_training
from noisybench.statistics.splitting import disjoint_sets, part_of_groups
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from noisybench.training.phases import PhasedTraining

SHARE = 0.1
"""Share of the given labels that is held out."""
MEMBERS = "noisy_validation.held_out"
"""Column: whether a sample is held out, shape (n,)."""
CURVE = "noisy_validation_accuracy"
"""Column of the history: accuracy on the given labels of the samples that are held out."""


def held_out_samples(variant: Variant, seed: int) -> Bools:
    """Who is held out in the run of a seed, shape (n,).

    Raises:
        BadData: There are too few samples, or all are copies of one.
    """
    kept = kept_for_rule(variant, "noisy_validation", "hold out a tenth of them")
    members = np.zeros(len(variant.labels), dtype=bool)
    size, own = round(SHARE * len(kept)), derive(seed, "noisy validation")
    if variant.copies is None:
        members[disjoint_sets(kept, size, 1, own, "held out")[0]] = True
        return members
    if len({*variant.copies[kept].tolist()}) < 2:  # noqa: PLR2004 - one to hold out, one to train on
        msg = "all samples are copies of one, so that none of them can be held out; leave noisy_validation out"
        raise BadData(msg)
    members[part_of_groups(kept, size, own, "held out", variant.copies)] = True
    return members


def _plan(variant: Variant, seed: int) -> "tuple[PhasedTraining, ...]":
    """One training on all others."""
    rows = np.flatnonzero(~variant.dropped & ~held_out_samples(variant, seed))
    return (observed_training("training", variant, rows, variant.labels),)


def _join(answers: Sequence[Trace], variant: Variant, seed: int) -> Iterator[Observation]:
    predictions = answers[0]["prediction"]
    for row, prediction in enumerate(predictions):
        values = {"prediction": prediction}
        if row == len(predictions) - 1:
            values |= {"given": as_column(variant.labels), MEMBERS: as_column(held_out_samples(variant, seed))}
        yield Observation(row + 1, values)


def _curve(trace: Trace, variant: Variant) -> Mapping[str, Floats]:
    held_out = trace[MEMBERS][-1] > 0
    return {CURVE: (trace["prediction"] == variant.labels)[:, held_out].mean(1)}


def _faults(trace: Trace, variant: Variant, seed: int) -> Iterator[str]:
    if not np.array_equal(trace[MEMBERS][-1], held_out_samples(variant, seed)):
        yield f"has samples in '{MEMBERS}' that its seed does not give"


SCHEME = Scheme(
    regime="noisy_validation",
    words="labels held out",
    rules=(SHARE,),
    lengths=1,
    trainings=1,
    columns={"prediction": ((0, 1), None), "given": (None, None), MEMBERS: (None, None)},
    plan=_plan,
    join=_join,
    fitted=partial(fitted_by_others, members=MEMBERS),
    faults=_faults,
    curve=_curve,
)
"""One training, without a tenth of the labels."""
