"""Confident learning: which labels out-of-sample probabilities contradict, and how much noise they tell of.

Every function equals ``cleanlab`` (2.8 and later) but where its docstring says otherwise. Probabilities must come from
models that did not see the sample: a model that has memorized its labels contradicts none. They may be float16, whose
rounding keeps a row's sum within the tolerance; all is computed in float64.

Source: Northcutt, Jiang and Chuang 2021, Journal of Artificial Intelligence Research 70, arXiv:1911.00068.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_labels, check_probabilities

CLOSE = 1e-6
"""Probabilities this near to a threshold reach it, and a label this near to the prediction is the prediction."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseEstimate:
    """The label noise that out-of-sample probabilities tell of, from the calibrated confident joint.

    Nothing can be said of a class that no sample is counted into: its prior is 0 and its row NaN.

    Attributes:
        rate: Share of wrong labels, in [0, 1].
        prior: Shares of the clean classes, shape (k,).
        transition: T[i, j] = P(given j | clean i), shape (k, k).
        inverse: P(clean j | given i), shape (k, k).
    """

    rate: float
    prior: Floats
    transition: Floats
    inverse: Floats

    def __repr__(self) -> str:
        return f"NoiseEstimate(rate {self.rate:.2%}, {len(self.prior)} classes)"


def self_confidence(labels: Labels, probabilities: NDArray[Any]) -> Floats:
    """Probability of the given label: (n,) and (n, k) → (n,), in [0, 1]; lower is more likely mislabeled.

    Raises:
        BadData: See ``check_probabilities`` and ``check_labels``; so do the other functions.
    """
    labels, values = _checked(labels, probabilities)
    return _of_given(labels, values)


def normalized_margin(labels: Labels, probabilities: NDArray[Any]) -> Floats:
    """Given label's probability minus the best other's, plus 1, halved: (n,) and (n, k) → (n,), in [0, 1].

    Lower is more likely mislabeled.
    """
    labels, values = _checked(labels, probabilities)
    given = _of_given(labels, values)
    values[np.arange(len(labels)), labels] = -np.inf
    return (given - values.max(1) + 1) / 2


def confident_joint(labels: Labels, probabilities: NDArray[Any], *, calibrated: bool = True) -> NDArray[np.int64]:
    """Samples by given class and confidently predicted class, shape (k, k), int64: [given, clean].

    A class's threshold is the mean probability of that class over the samples given it. A sample counts where it
    reaches the threshold of one class, for that class, or of several, for its most likely class: as in ``cleanlab``,
    among all classes, where the paper says among those whose threshold it reached. A class that nobody was given has no
    threshold and no sample counts for it. Each diagonal entry is at least 1.

    Args:
        labels: Given labels, shape (n,).
        probabilities: Out of sample, shape (n, k).
        calibrated: Scale each row to the number of samples given that class, rounded so that its sum stays. Entries
            with equal remainders are rounded up from the last class on; in ``cleanlab`` it hangs on the machine.
    """
    labels, values = _checked(labels, probabilities)
    return _confident_joint(labels, values, calibrated=calibrated)


def estimate_noise(labels: Labels, probabilities: NDArray[Any]) -> NoiseEstimate:
    """Noise rate, clean class shares and transition matrices: (n,) and (n, k) → estimate.

    The prior is the column sums of the joint. Where ``cleanlab`` writes 0 for a row that cannot be estimated, this has
    NaN; where it writes 1e-6 for the prior of a class none of whose own samples is confirmed, what the joint counts.
    """
    joint = confident_joint(labels, probabilities)
    given, clean = joint.sum(1), joint.sum(0)
    with np.errstate(invalid="ignore"):
        transition, inverse = joint.T / clean[:, None], joint / given[:, None]
    return NoiseEstimate(float(1 - joint.trace() / len(labels)), clean / len(labels), transition, inverse)


def find_issues(labels: Labels, probabilities: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each label is an issue, pruned by noise rate: (n,) and (n, k) → (n,).

    Of the samples given class i, as many are issues for class j as the calibrated confident joint counts there: those
    with the largest probability of j minus that of i. None is where the prediction is the given label, and none in a
    class of which no sample would be left. Samples tied with the last of them are issues too, so that their order does not matter;
    ``cleanlab`` takes some of them.
    """
    labels, values = _checked(labels, probabilities)
    joint = _confident_joint(labels, values, calibrated=True)
    wrong = np.where(joint.diagonal()[:, None] > 0, joint, 0)
    np.fill_diagonal(wrong, 0)
    issues = np.zeros(len(labels), dtype=np.bool_)
    for given in np.flatnonzero(wrong.any(1)):
        members, classes = np.flatnonzero(labels == given), np.flatnonzero(wrong[given])
        margins = values[np.ix_(members, classes)] - values[members, given][:, None]
        last = np.sort(margins, axis=0)[len(members) - wrong[given, classes], np.arange(len(classes))]
        issues[members] = (margins >= last).any(1)
    values[np.arange(len(labels)), labels] += CLOSE
    return issues & (values.argmax(1) != labels)


def _checked(labels: Labels, probabilities: NDArray[Any]) -> tuple[Labels, Floats]:
    values = check_probabilities(probabilities, len(labels))
    return check_labels(labels, values.shape[1]), values


def _of_given(labels: Labels, values: Floats) -> Floats:
    return values[np.arange(len(labels)), labels]


def _confident_joint(labels: Labels, values: Floats, *, calibrated: bool) -> NDArray[np.int64]:
    k = values.shape[1]
    sizes = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, weights=_of_given(labels, values), minlength=k)
    thresholds = np.divide(sums, sizes, out=np.full(k, np.inf), where=sizes > 0)
    reached = values >= np.maximum(thresholds, 2 * CLOSE) - CLOSE  # a probability of 0 reaches none
    several = reached.sum(1) > 1
    guess = np.where(several, values.argmax(1), reached.argmax(1))
    counted = reached.any(1)
    joint = np.bincount(k * labels[counted] + guess[counted], minlength=k * k).reshape(k, k)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    return _round_rows(joint / joint.sum(1)[:, None] * sizes[:, None]) if calibrated else joint


def _round_rows(expected: Floats) -> NDArray[np.int64]:
    """Whole numbers with the same row sums: (k, k) → (k, k); what rounding lost goes to the largest remainders."""
    rounded = expected.round()
    remainders = expected - rounded
    lost = (expected.sum(1).round() - rounded.sum(1)).astype(np.int64)
    # Stable, so that equal remainders are treated alike on every machine.
    order = np.argsort(remainders, axis=1, kind="stable")
    for row in np.flatnonzero(lost):
        chosen = order[row, ::-1][: lost[row]] if lost[row] > 0 else order[row, : -lost[row]]
        rounded[row, chosen] += np.sign(lost[row])
    return rounded.astype(np.int64)
