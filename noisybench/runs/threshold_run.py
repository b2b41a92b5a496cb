"""Runs with threshold samples, whose class is certainly wrong, and against whose margins the others are read.

Of n samples of k classes, n / (k + 1) at random become threshold samples: then the further class is as large as the others
are on average, as in the paper (the authors' code takes n / k). A model with k + 1 outputs is trained, twice, with threshold
samples that are different in all, so that each sample is at least once none. Margins are over the k + 1 classes, after every
epoch, un-augmented and in eval mode, as everywhere here; the authors take those of the augmented training batches and leave
out the first epoch, whose margins are in good part of a model that has learnt nothing. Here the first are of a model that
was trained for an epoch already, so none is left out. They stop at the first drop of the learning rate; here each
training is the whole recipe, and the shares fitted are told.

Source: Pleiss, Zhang, Elenberg, Weinberger 2020 (arXiv:2001.10528), threshold samples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Floats32
from noisybench.ground.errors import BadData
from noisybench.ground.random_streams import derive
from noisybench.runs.several_trainings import Scheme, as_column
from noisybench.statistics.splitting import disjoint_sets
from noisybench.statistics.threshold_samples import PERCENTILE, margins_below_cuts
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from torch import Tensor

    from noisybench.training.phases import PhasedTraining

TRAININGS = 2
"""Trainings of a run, each with threshold samples of its own."""
MARGINS, MEMBERS = "threshold.margins", "threshold.members"
"""Columns: margin of each sample's label in each training, and whether it is a threshold sample there; shape (n, 2)."""
AREA, EXCESS = "threshold.aum", "threshold.excess"
"""Columns: what ``margins_below_cuts`` makes of them, shape (n,)."""


def threshold_samples(variant: Variant, seed: int) -> Bools:
    """Who is a threshold sample in which of the trainings of a seed, shape (n, 2); nobody is in both.

    Raises:
        BadData: There are too few samples.
    """
    kept = np.flatnonzero(~variant.dropped)
    size = max(1, len(kept) // (variant.num_classes + 1))
    if len(kept) <= TRAININGS * size:
        msg = f"{len(kept)} samples are too few for threshold samples of {TRAININGS} trainings; leave aum_threshold out"
        raise BadData(msg)
    members = np.zeros((len(variant.labels), TRAININGS), dtype=bool)
    own = derive(seed, "threshold")
    for training, chosen in enumerate(disjoint_sets(kept, size, TRAININGS, own, "threshold samples")):
        members[chosen, training] = True
    return members


def _plan(variant: Variant, seed: int) -> "tuple[PhasedTraining, ...]":
    """A training with each set of threshold samples, which asks about every sample."""
    from noisybench.training.phases import PhasedTraining  # brings torch

    members, k = threshold_samples(variant, seed), variant.num_classes
    everyone = np.arange(len(variant.labels))
    return tuple(
        PhasedTraining(
            name=f"threshold-{training}",
            classes=k + 1,
            phases=(np.flatnonzero(~variant.dropped),),
            labels=np.where(members[:, training], k, variant.labels),
            asked=everyone,
            columns=("margin", "prediction"),
            ask=_ask,
        )
        for training in range(TRAININGS)
    )


def _ask(logits: "Tensor", labels: "Tensor") -> "Mapping[str, Tensor]":
    """The margin over all outputs, and the best of the classes that there are."""
    given = labels[:, None]
    others = logits.scatter(1, given, -float("inf")).amax(1)
    return {"margin": logits.gather(1, given)[:, 0] - others, "prediction": logits[:, :-1].argmax(1)}


def _join(answers: Sequence[Trace], variant: Variant, seed: int) -> Iterator[Observation]:
    """The trainings as one trace; the prediction is of the first in which a sample is no threshold sample."""
    members = threshold_samples(variant, seed)
    margins: Floats32 = np.stack([trace["margin"] for trace in answers], axis=2)
    classes = [trace["prediction"] for trace in answers]
    for row in range(len(margins)):
        prediction = np.where(members[:, 0], classes[1][row], classes[0][row])
        values: dict[str, Floats32] = {"prediction": prediction, MARGINS: margins[row]}
        if row == len(margins) - 1:
            found = margins_below_cuts(margins, members)
            values |= {"given": as_column(variant.labels), MEMBERS: as_column(members)}
            values |= {AREA: as_column(found.aum), EXCESS: as_column(found.excess)}
        yield Observation(row + 1, values)


def _fitted(trace: Trace, variant: Variant) -> Floats:  # noqa: ARG001 - the labels are in the trace
    """Share of the trainings in which a sample is no threshold sample that predict its label, shape (e, n)."""
    counted = trace[MEMBERS][-1] == 0
    shares: Floats = ((trace[MARGINS] > 0) & counted).sum(2) / counted.sum(1)
    return shares


def _faults(trace: Trace, variant: Variant, seed: int) -> Iterator[str]:
    """Threshold samples are those of the seed, areas and cuts follow from the margins, and so does what is predicted."""
    members = threshold_samples(variant, seed)
    if not np.array_equal(trace[MEMBERS][-1], members):
        yield f"has threshold samples in '{MEMBERS}' that its seed does not give"
        return
    found = margins_below_cuts(trace[MARGINS], members)
    for name, made in ((AREA, found.aum), (EXCESS, found.excess)):
        if not np.array_equal(trace[name][-1], as_column(made)):
            yield f"has a '{name}' that does not follow from '{MARGINS}'"
    margins = np.where(members[:, 0], trace[MARGINS][..., 1], trace[MARGINS][..., 0])
    if ((margins > 0) & (trace["prediction"] != variant.labels)).any():
        yield f"has a 'prediction' that '{MARGINS}' contradicts"


SCHEME = Scheme(
    regime="threshold",
    words="threshold samples",
    rules=(TRAININGS, PERCENTILE, "n / (k + 1)"),
    lengths=TRAININGS,
    trainings=TRAININGS,
    columns={
        "prediction": ((0, 1), None),
        MARGINS: ((0, 1), TRAININGS),
        "given": (None, None),
        MEMBERS: (None, TRAININGS),
        AREA: (None, None),
        EXCESS: (None, None),
    },
    plan=_plan,
    join=_join,
    fitted=_fitted,
    faults=_faults,
)
"""Two trainings with threshold samples."""
