"""Stopping: at which epoch a rule would have ended a training, from what the training leaves. Arrays in, an epoch out.

None of the rules knows a clean label. Those that read one observed training need nothing else: the last epoch, Label Wave, the
lowest training loss, and training accuracy with susceptibility. The others need trainings on labels of their own: noisy
validation, RATT and perturbed model validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from noisybench.ground.arrays import Floats
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData, BadUsage

WINDOW = 3
"""Epochs over which Label Wave averages: the paper's, by a summary of it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a rule stops.

    Attributes:
        epoch: Whose model is kept, counted from 1; None where the rule names none.
        found: Whether the rule stopped by itself; False where the training ended first, and the epoch is the last.
    """

    epoch: int | None
    found: bool = True


def changed_predictions(predictions: ArrayLike) -> Floats:
    """How many predictions differ from those of the epoch before: (e, n) → (e,), NaN at the first epoch.

    Source: Yuan, Feng and Liu 2024 (ICLR), arXiv:2502.07551, prediction changes.
    """
    classes = np.asarray(predictions)
    if classes.ndim != 2 or not classes.size:  # noqa: PLR2004 - epochs and samples
        msg = f"predictions must be of shape (epochs, samples), got {classes.shape}"
        raise BadData(msg)
    return np.concatenate([[np.nan], (classes[1:] != classes[:-1]).sum(1)])


def moving_mean(values: ArrayLike, window: int) -> Floats:
    """Mean of each value and of those before it, ``window`` in all: (e,) → (e,), NaN where one of them is unknown.

    >>> moving_mean([3.0, 1.0, 2.0, 6.0], 2).tolist()
    [nan, 2.0, 1.5, 4.0]
    """
    known = _curve(values)
    whole(window, "window", least=1)
    means = np.full(len(known), np.nan)
    for last in range(window - 1, len(known)):
        means[last] = known[last - window + 1 : last + 1].mean()
    return means


def label_wave(predictions: ArrayLike, *, window: int = WINDOW, patience: int = 1) -> Stop:
    """Where the moving average of prediction changes has its first local minimum: (e, n) → an epoch.

    That is the first epoch whose average is no higher than that of the epoch before and lower than each of the next
    ``patience``. Where there is none, the training ends first. The curve has its first value at epoch ``window + 1``,
    which has none before it and so is no local minimum.

    Args:
        predictions: Predicted class of each training sample after each epoch.
        window: Epochs that are averaged.
        patience: Later epochs that must be higher: 1, as the paper says of none; a re-implementation waits for 10.

    Source: Yuan, Feng and Liu 2024 (ICLR), arXiv:2502.07551. The authors' code counts changes of the augmented training
    batches, and leaves the choice of the epoch to its reader; ``observe=during`` gives such predictions.
    """
    patience = whole(patience, "patience", least=1)
    means = moving_mean(changed_predictions(predictions), window)
    for t in range(1, len(means) - patience):
        if means[t - 1] >= means[t] and (means[t] < means[t + 1 : t + 1 + patience]).all():  # NaN is neither
            return Stop(t + 1)
    return Stop(len(means), found=False)


def lowest(values: ArrayLike) -> Stop:
    """The first epoch with the lowest value, as of the training loss: (e,) → an epoch, none of a curve of NaN."""
    known = _curve(values)
    return Stop(int(np.nanargmin(known)) + 1) if np.isfinite(known).any() else Stop(None, found=False)


def highest(values: ArrayLike) -> Stop:
    """The first epoch with the highest value, as of an accuracy on held-out samples; see ``lowest``."""
    return lowest(-_curve(values))


def trainable_and_resistant(accuracy: ArrayLike, susceptibility: ArrayLike) -> Stop:
    """The most accurate epoch of those that are trainable and resistant: two curves (e,) → an epoch, or none.

    The four regions of the paper, whose models are here the epochs of one training: an epoch is trainable where its
    training accuracy (on the given labels) is at least the mean over epochs, and resistant where its susceptibility is at
    most the mean over epochs. The paper selects the whole region, and reports the mean test accuracy over it; one epoch
    is asked for here, and of the region it is the one of highest training accuracy, the first of several. As
    susceptibility mostly grows over a training, that is about the last epoch before it passes its mean. Where no epoch is
    in the region the rule names none. The means depend on how long the training is.

    Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461, model selection; thresholds as in their README.
    """
    fitted, drops = _curve(accuracy), _curve(susceptibility)
    if fitted.shape != drops.shape:
        msg = f"accuracy has {len(fitted)} epochs and susceptibility {len(drops)}; expected as many"
        raise BadData(msg)
    known = np.isfinite(fitted) & np.isfinite(drops)
    if not known.any():
        return Stop(None, found=False)
    within = known & (fitted >= fitted[known].mean()) & (drops <= drops[known].mean())
    return highest(np.where(within, fitted, np.nan))


def ratt_bound(error_given: ArrayLike, error_random: ArrayLike, num_classes: int) -> Floats:
    """Bound on the error of a model that was trained on labelled and on randomly labelled samples: two curves (e,) → (e,).

    E_S + (K − 1) · (1 − K / (K − 1) · E_R), with the errors on the two parts of the training set. The term of order
    √(log(1/δ) / m) for m randomly labelled samples is left out, as in the authors' code: it is the same at every epoch.
    The bound may be below 0 or above 1, and is a guarantee only where the labels of the first part are right: with wrong
    ones it is a number to choose an epoch by.

    Args:
        error_given: Error on the samples with the labels that they were given.
        error_random: Error on those with labels uniform over all classes, the true one among them.
        num_classes: K.

    Source: Garg, Balakrishnan, Kolter and Lipton 2021 (ICML), arXiv:2105.00303, the bound for several classes.
    """
    k = whole(num_classes, "num_classes", least=2)
    bound: Floats = _curve(error_given) + (k - 1) * (1 - k / (k - 1) * _curve(error_random))
    return bound


def perturbation_score(accuracy: ArrayLike, rates: Sequence[float]) -> Floats:
    """How fast training accuracy falls with the share of labels that were perturbed: (e, r) → (e,), higher is better.

    Minus the slope of the least-squares line of accuracy on the rate. It is a score of a model, at its last epoch; at
    each epoch it can choose one. A model that fits whatever it is told has a slope near 0.

    Args:
        accuracy: Accuracy of each training on its own labels, the perturbed ones, at each epoch.
        rates: Share of the labels that were perturbed in each.

    Source: Zhang, Harman, Guedj, Barr and Shawe-Taylor 2019, arXiv:1905.10201, perturbed model validation.
    """
    table, at = np.atleast_2d(np.asarray(accuracy, dtype=np.float64)), np.asarray(rates, dtype=np.float64)
    if table.shape[1:] != at.shape or len({*at.tolist()}) < 2:  # noqa: PLR2004 - a line needs two points
        msg = f"accuracy has {table.shape[-1]} rates, and {len(at)} are given; expected as many, and two that differ"
        raise BadUsage(msg)
    centred = at - at.mean()
    score: Floats = -(table - table.mean(1, keepdims=True)) @ centred / (centred @ centred)
    return score


def regret(test_accuracy: ArrayLike, epoch: int | None) -> float:
    """Test accuracy at the best epoch minus that at ``epoch``, counted from 1; NaN where either is unknown."""
    known = _curve(test_accuracy)
    if epoch is None or not np.isfinite(known).any():
        return float("nan")
    return float(np.nanmax(known) - known[epoch - 1])


def _curve(values: ArrayLike) -> Floats:
    """One number an epoch."""
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or not curve.size:
        msg = f"a curve must hold one number for each epoch, got shape {curve.shape}"
        raise BadData(msg)
    return curve
