"""Confident learning: which labels out-of-sample probabilities contradict, and how much noise they tell of.

Every function equals ``cleanlab`` (2.8 and later) but where its docstring says otherwise. Probabilities must come from
models that did not see the sample: a model that has memorized its labels contradicts none. They may be float16, whose
rounding keeps a row's sum within the tolerance, or a memory map larger than memory: rows are looked at by blocks. What is
computed is computed in float64.

Source: Northcutt, Jiang and Chuang 2021, Journal of Artificial Intelligence Research 70, arXiv:1911.00068.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_labels, check_probabilities, row_blocks
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
    labels = _checked(labels, probabilities)
    return _of_given(labels, probabilities)


def normalized_margin(labels: Labels, probabilities: NDArray[Any]) -> Floats:
    """Given label's probability minus the best other's, plus 1, halved: (n,) and (n, k) → (n,), in [0, 1].

    Lower is more likely mislabeled.
    """
    labels = _checked(labels, probabilities)
    best = np.empty(len(labels))
    for part in row_blocks(probabilities.shape):
        values = _floats(probabilities[part]).copy()
        values[np.arange(len(values)), labels[part]] = -np.inf
        best[part] = values.max(1)
    return (_of_given(labels, probabilities) - best + 1) / 2


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
    labels = _checked(labels, probabilities)
    k = probabilities.shape[1]
    check_room(k, k, "the confident joint", "'find_issues' needs no more than the samples")
    joint = np.zeros((k, k), dtype=np.int64)
    given, clean, counts = _confident_pairs(labels, probabilities, calibrated=calibrated)
    joint[given, clean] = counts
    return joint


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
    labels = _checked(labels, probabilities)
    k = probabilities.shape[1]
    given, clean, counts = _confident_pairs(labels, probabilities, calibrated=True)
    confirmed = np.zeros(k, dtype=np.bool_)
    confirmed[given[(given == clean) & (counts > 0)]] = True
    wrong = (given != clean) & (counts > 0) & confirmed[given]
    given, clean, counts = given[wrong], clean[wrong], counts[wrong]
    issues = np.zeros(len(labels), dtype=np.bool_)
    order = np.argsort(labels, kind="stable")
    ends = np.bincount(labels, minlength=k).cumsum()
    for row in _groups(given):
        label = given[row[0]]
        members = order[ends[label - 1] if label else 0 : ends[label]]
        issues[members] = _largest_margins(probabilities, members, label, clean[row], counts[row])
    found = np.flatnonzero(issues)
    for part in row_blocks((len(found), k)):
        values = probabilities[found[part]].astype(np.float64)
        values[np.arange(len(values)), labels[found[part]]] += CLOSE
        issues[found[part]] = values.argmax(1) != labels[found[part]]
    return issues


def _largest_margins(
    probabilities: NDArray[Any],
    members: NDArray[np.intp],
    label: int,
    classes: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Members of a class whose margin of one of the classes is among the largest, as many as that class counts: (m,) → (m,).

    Mostly these are above 0, as few margins are, and then those alone are sorted.
    """
    places, columns, margins = _above(probabilities, members, label, classes)
    found = np.bincount(columns, minlength=len(classes))
    enough = found >= counts
    order = np.lexsort((-margins, columns))
    last = (found.cumsum() - found + counts - 1)[enough]
    least = np.full(len(classes), -np.inf)
    least[enough] = margins[order[last]]
    among = np.zeros(len(members), dtype=np.bool_)
    among[places[margins >= least[columns]]] = True
    for column in np.flatnonzero(~enough):
        of_class, given = (probabilities[members, one].astype(np.float64) for one in (classes[column], label))
        margin, rank = of_class - given, len(members) - counts[column]
        among |= margin >= np.partition(margin, rank)[rank]
    return among


def _above(
    probabilities: NDArray[Any], members: NDArray[np.intp], label: int, classes: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Margins above 0 of the members of a class, with the place of the member and of the other class: (p,), (p,), (p,)."""
    found = []
    for part in row_blocks((len(members), probabilities.shape[1])):
        values = probabilities[members[part]]
        rows, others = np.nonzero(values > values[:, label, None])
        columns = np.searchsorted(classes, others)
        counted = classes[np.minimum(columns, len(classes) - 1)] == others
        rows, others, columns = rows[counted], others[counted], columns[counted]
        margins = values[rows, others].astype(np.float64) - values[rows, label]
        found.append((part.start + rows, columns, margins))
    places, columns, margins = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return places, columns, margins


def _checked(labels: Labels, probabilities: NDArray[Any]) -> Labels:
    check_probabilities(probabilities, len(labels))
    return check_labels(labels, probabilities.shape[1])


def _of_given(labels: Labels, values: NDArray[Any]) -> Floats:
    return values[np.arange(len(labels)), labels].astype(np.float64)


def _floats(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as float32 where they are that, which compares them alike in half the time, else as float64."""
    return values if values.dtype == np.float32 else values.astype(np.float64)


def _confident_pairs(
    labels: Labels, probabilities: NDArray[Any], *, calibrated: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Given class, clean class and count of each entry of the joint that may be more than 0, in order, each (m,)."""
    k = probabilities.shape[1]
    sizes = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, weights=_of_given(labels, probabilities), minlength=k)
    thresholds = np.divide(sums, sizes, out=np.full(k, np.inf), where=sizes > 0)
    least = np.maximum(thresholds, 2 * CLOSE) - CLOSE  # a probability of 0 reaches none
    guess, counted = np.empty(len(labels), dtype=np.int64), np.empty(len(labels), dtype=np.bool_)
    for part in row_blocks(probabilities.shape):
        values = _floats(probabilities[part])
        guess[part], counted[part] = _confident_class(values, _rounded_up(least, values.dtype))
    own = np.arange(k) * (k + 1)  # the diagonal, each entry of which is there
    keys, counts = np.unique(np.concatenate([k * labels[counted] + guess[counted], own]), return_counts=True)
    given, clean = keys // k, keys % k
    counts = np.where(given == clean, np.maximum(counts - 1, 1), counts)
    if calibrated:
        totals = np.bincount(given, counts, minlength=k)
        counts = _round_rows(given, counts / totals[given] * sizes[given])
    return given, clean, counts


def _confident_class(values: NDArray[Any], least: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Class whose threshold a row reaches, the most likely class where it reaches several, and whether it reaches any: (b,), (b,)."""
    reached = values >= least
    here = np.arange(len(values))
    guess = reached.argmax(1)
    any_reached = reached[here, guess]
    reached[here, guess] = False
    several = np.flatnonzero(reached.any(1))
    guess[several] = values[several].argmax(1)
    return guess, any_reached


def _rounded_up(least: Floats, kind: np.dtype[Any]) -> NDArray[Any]:
    """The smallest numbers of a type that are no less, so that comparing with them says the same without converting."""
    rounded = least.astype(kind)
    return np.where(rounded < least, np.nextafter(rounded, np.array(np.inf, kind)), rounded)


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
