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
from noisybench.ground.checks import check_room

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

    Raises:
        BadUsage: More classes than such a matrix fits in memory for.
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
    given, clean, counts = _confident_pairs(labels, values, calibrated=True)
    confirmed = np.zeros(values.shape[1], dtype=np.bool_)
    confirmed[given[(given == clean) & (counts > 0)]] = True
    wrong = (given != clean) & (counts > 0) & confirmed[given]
    given, clean, counts = given[wrong], clean[wrong], counts[wrong]
    issues = np.zeros(len(labels), dtype=np.bool_)
    order = np.argsort(labels, kind="stable")
    for row in _groups(given):
        first, last = np.searchsorted(labels[order], (given[row[0]], given[row[0]] + 1))
        members, classes = order[first:last], clean[row]
        margins = values[np.ix_(members, classes)] - values[members, given[row[0]]][:, None]
        least = np.sort(margins, axis=0)[len(members) - counts[row], np.arange(len(classes))]
        issues[members] = (margins >= least).any(1)
    values[np.arange(len(labels)), labels] += CLOSE
    return issues & (values.argmax(1) != labels)


def _checked(labels: Labels, probabilities: NDArray[Any]) -> tuple[Labels, Floats]:
    values = check_probabilities(probabilities, len(labels))
    return check_labels(labels, values.shape[1]), values


def _of_given(labels: Labels, values: Floats) -> Floats:
    return values[np.arange(len(labels)), labels]


def _confident_joint(labels: Labels, values: Floats, *, calibrated: bool) -> NDArray[np.int64]:
    k = values.shape[1]
    check_room(k, k, "the confident joint", "'find_issues' needs no more than the samples")
    joint = np.zeros((k, k), dtype=np.int64)
    given, clean, counts = _confident_pairs(labels, values, calibrated=calibrated)
    joint[given, clean] = counts
    return joint


def _confident_pairs(
    labels: Labels, values: Floats, *, calibrated: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Given class, clean class and count of each entry of the joint that may be more than 0, in order, each (m,)."""
    k = values.shape[1]
    sizes = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, weights=_of_given(labels, values), minlength=k)
    thresholds = np.divide(sums, sizes, out=np.full(k, np.inf), where=sizes > 0)
    reached = values >= np.maximum(thresholds, 2 * CLOSE) - CLOSE  # a probability of 0 reaches none
    several = reached.sum(1) > 1
    guess = np.where(several, values.argmax(1), reached.argmax(1))
    counted = reached.any(1)
    own = np.arange(k) * (k + 1)  # the diagonal, each entry of which is there
    keys, counts = np.unique(np.concatenate([k * labels[counted] + guess[counted], own]), return_counts=True)
    given, clean = keys // k, keys % k
    counts = np.where(given == clean, np.maximum(counts - 1, 1), counts)
    if calibrated:
        totals = np.bincount(given, counts, minlength=k)
        counts = _round_rows(given, counts / totals[given] * sizes[given])
    return given, clean, counts


def _round_rows(rows: NDArray[np.int64], expected: Floats) -> NDArray[np.int64]:
    """Whole numbers with the same sums in each row: (m,) and (m,) → (m,); what rounding lost goes to the largest remainders."""
    rounded = expected.round()
    remainders = expected - rounded
    lost = (np.bincount(rows, expected).round() - np.bincount(rows, rounded)).astype(np.int64)
    for row in _groups(rows):
        more = lost[rows[row[0]]]
        if more:
            # Stable, so that equal remainders are treated alike on every machine.
            order = row[np.argsort(remainders[row], kind="stable")]
            rounded[order[::-1][:more] if more > 0 else order[:-more]] += np.sign(more)
    return rounded.astype(np.int64)


def _groups(rows: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Positions of the entries of each row, of entries in the order of their rows."""
    parts = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows)) + 1)
    return parts if len(rows) else []
