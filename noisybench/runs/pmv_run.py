"""Runs of perturbed model validation: trainings on labels of which more and more are perturbed.

A model that learns what the labels have in common loses training accuracy as they are perturbed; one that fits whatever
it is told does not. Minus the slope of training accuracy on the rate of perturbation is a score of the model at each
epoch, and the epoch of the highest is chosen for the training whose labels are as given. A perturbed label is one of the
other classes, each as likely; those that are perturbed at one rate are among those of the next.

Source: Zhang, Harman, Guedj, Barr and Shawe-Taylor 2019, arXiv:1905.10201. The rates are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Floats, Labels
from noisybench.ground.random_streams import derive, permutation, uniforms
from noisybench.runs.several_trainings import Scheme, as_column, kept_for_rule, observed_training
from noisybench.statistics.stopping import perturbation_score
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from noisybench.training.phases import PhasedTraining

RATES = (0.0, 0.1, 0.2, 0.3)
"""Share of the labels that is perturbed in each training."""
FITS, LABELS = "pmv.fits", "pmv.labels"
"""Columns: whether each training predicts its own label of a sample, and these labels, shape (n, 4) each."""
CURVE = "pmv_score"
"""Column of the history: minus the slope of training accuracy on the rate."""


def perturbed_labels(variant: Variant, seed: int) -> Labels:
    """Labels of every sample in each training of the run of a seed, shape (n, 4); the first are the given ones.

    Raises:
        BadData: There are too few samples.
    """
    kept, own = kept_for_rule(variant, "pmv", "perturb a tenth of their labels"), derive(seed, "pmv")
    order, k = kept[permutation(own, "perturbed", len(kept))], variant.num_classes
    step = 1 + np.floor(uniforms(own, "labels", len(variant.labels)) * (k - 1)).astype(np.int64)
    labels = np.repeat(variant.labels[:, None], len(RATES), axis=1)
    for training, rate in enumerate(RATES):
        chosen = order[: round(rate * len(kept))]
        labels[chosen, training] = (variant.labels[chosen] + step[chosen]) % k
    return labels


def _plan(variant: Variant, seed: int) -> "tuple[PhasedTraining, ...]":
    """A training at each rate, of which the first is asked about the test set too."""
    rows = np.flatnonzero(~variant.dropped)
    return tuple(
        observed_training(f"perturbed-{training}", variant, rows, labels, tested=training == 0)
        for training, labels in enumerate(perturbed_labels(variant, seed).T)
    )


def _join(answers: Sequence[Trace], variant: Variant, seed: int) -> Iterator[Observation]:
    labels = perturbed_labels(variant, seed)
    predictions = np.stack([trace["prediction"] for trace in answers], axis=2)
    for row, predicted in enumerate(predictions):
        values = {"prediction": predicted[:, 0], FITS: as_column(predicted == labels)}
        if row == len(predictions) - 1:
            values |= {"given": as_column(variant.labels), LABELS: as_column(labels)}
        yield Observation(row + 1, values)


def _fitted(trace: Trace, variant: Variant) -> Floats:  # noqa: ARG001 - the labels are in the trace
    """Whether each given label is predicted by the training on these, shape (e, n)."""
    return trace[FITS][..., 0].astype(np.float64)


def _curve(trace: Trace, variant: Variant) -> Mapping[str, Floats]:
    accuracy = trace[FITS][:, ~variant.dropped].mean(1, dtype=np.float64)
    return {CURVE: perturbation_score(accuracy, RATES)}


def _faults(trace: Trace, variant: Variant, seed: int) -> Iterator[str]:
    if not np.array_equal(trace[LABELS][-1], perturbed_labels(variant, seed)):
        yield f"has labels in '{LABELS}' that its seed does not give"
    if not np.array_equal(trace[FITS][..., 0], trace["prediction"] == variant.labels):
        yield f"has a '{FITS}' that 'prediction' contradicts"
    if not np.isin(trace[FITS], (0, 1)).all():
        yield f"has a '{FITS}' that is neither yes nor no"


SCHEME = Scheme(
    regime="pmv",
    words="labels perturbed",
    rules=RATES,
    lengths=len(RATES),
    trainings=len(RATES),
    columns={
        "prediction": ((0, 1), None),
        FITS: ((0, 1), len(RATES)),
        "given": (None, None),
        LABELS: (None, len(RATES)),
    },
    plan=_plan,
    join=_join,
    fitted=_fitted,
    faults=_faults,
    curve=_curve,
)
"""Four trainings, with more and more labels perturbed."""
