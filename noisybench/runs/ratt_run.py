"""Runs of RATT: a fifth of the samples gets random labels, and the epoch with the lowest bound on the error is chosen.

The paper adds randomly labelled samples that it has no labels of; here a fifth of the training samples takes their part,
and their given labels are not used. Random labels are uniform over all classes, the given one among them. A model that
learns from the others and does not fit the random labels has a low bound, see ``ratt_bound``. It is a guarantee where the
other labels are right, which is not so here: the number chooses an epoch, and bounds nothing.

Source: Garg, Balakrishnan, Kolter and Lipton 2021 (ICML), arXiv:2105.00303; a fifth as in their experiments on CIFAR-10.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Labels
from noisybench.ground.random_streams import derive, uniforms
from noisybench.runs.several_trainings import Scheme, as_column, fitted_by_others, kept_for_rule, observed_training
from noisybench.statistics.splitting import disjoint_sets
from noisybench.statistics.stopping import ratt_bound
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from noisybench.training.phases import PhasedTraining

SHARE = 0.2
"""Share of the samples whose labels are random."""
MEMBERS, LABELS = "ratt.random", "ratt.labels"
"""Columns: whether the label of a sample is random, and the label that it is trained with, shape (n,) each."""
CURVE = "ratt_bound"
"""Column of the history: the bound on the error."""


def random_labels(variant: Variant, seed: int) -> tuple[Bools, Labels]:
    """Whose labels are random in the run of a seed, and the labels of all, shape (n,) each.

    Raises:
        BadData: There are too few samples.
    """
    kept, own = kept_for_rule(variant, "ratt", "give a fifth of them random labels"), derive(seed, "ratt")
    members = np.zeros(len(variant.labels), dtype=bool)
    members[disjoint_sets(kept, round(SHARE * len(kept)), 1, own, "random labels")[0]] = True
    drawn = np.floor(uniforms(own, "labels", len(members)) * variant.num_classes).astype(np.int64)
    return members, np.where(members, drawn, variant.labels)


def _plan(variant: Variant, seed: int) -> "tuple[PhasedTraining, ...]":
    """One training on all samples."""
    labels = random_labels(variant, seed)[1]
    return (observed_training("training", variant, np.flatnonzero(~variant.dropped), labels),)


def _join(answers: Sequence[Trace], variant: Variant, seed: int) -> Iterator[Observation]:
    predictions, (members, labels) = answers[0]["prediction"], random_labels(variant, seed)
    for row, prediction in enumerate(predictions):
        values = {"prediction": prediction}
        if row == len(predictions) - 1:
            values |= {"given": as_column(variant.labels), MEMBERS: as_column(members), LABELS: as_column(labels)}
        yield Observation(row + 1, values)


def _curve(trace: Trace, variant: Variant) -> Mapping[str, Floats]:
    random, wrong = trace[MEMBERS][-1] > 0, trace["prediction"] != trace[LABELS][-1]
    given = ~random & ~variant.dropped
    return {CURVE: ratt_bound(wrong[:, given].mean(1), wrong[:, random].mean(1), variant.num_classes)}


def _faults(trace: Trace, variant: Variant, seed: int) -> Iterator[str]:
    for name, drawn in zip((MEMBERS, LABELS), random_labels(variant, seed), strict=True):
        if not np.array_equal(trace[name][-1], drawn):
            yield f"has values in '{name}' that its seed does not give"


SCHEME = Scheme(
    regime="ratt",
    words="some labels random",
    rules=(SHARE,),
    lengths=1,
    trainings=1,
    columns={"prediction": ((0, 1), None), "given": (None, None), MEMBERS: (None, None), LABELS: (None, None)},
    plan=_plan,
    join=_join,
    fitted=partial(fitted_by_others, members=MEMBERS),
    faults=_faults,
    curve=_curve,
)
"""One training, with random labels for a fifth of the samples."""
