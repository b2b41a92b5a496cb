"""Transition matrices of label noise, estimated from class probabilities and given labels without any truth.

All take T[i, j] = P(given j | clean i) for the same whatever the sample. None can tell a class that is more often given
another name from one whose name was swapped: each takes the predicted class for the clean one.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import (
    TOLERANCE,
    Floats,
    Labels,
    as_array,
    as_labels,
    as_probabilities,
    check_array,
    check_labels,
)
from noisybench.ground.checks import check_choice, check_room
from noisybench.ground.errors import BadData, BadUsage
from noisybench.statistics.confident_learning import confident_joint, estimate_noise
from noisybench.statistics.hoc import estimate_consensus
from noisybench.statistics.neighbours import two_nearest

METHODS = ("anchor_points", "anchor_percentile", "confident_joint", "hoc", "dual_t")
"""Names of the ways to estimate."""
PERCENTILE = 97
"""Percentile of a class's probability at which its anchor stands, where the largest is not trusted."""


class TransitionError(NamedTuple):
    """How far an estimated transition matrix is from the true one, over the classes of which both tell something.

    Attributes:
        total_variation: Mean over the classes of ``rows``: the share of a class's labels that the estimate moves, in [0, 1].
        relative_l1: Σ|estimated - true| / Σ|true|, as papers report it; of rows that sum to 1, twice the above.
        rows: ½ Σ_j |estimated - true| of each class, shape (k,); NaN where either is unknown.
    """

    total_variation: float
    relative_l1: float
    rows: Floats


def estimate_transition(
    pred_probs: NDArray[Any], labels: NDArray[Any], *, method: str, features: NDArray[Any] | None = None
) -> Floats:
    """T[i, j] = P(given j | clean i), rows that sum to 1: (n, k) and (n,) → (k, k); NaN in the row of an unknown class.

    A class that nobody is given is unknown to all methods.

    ``anchor_points``: the probabilities of the sample that is likeliest of the class, or their mean over several such.
    Exact where the probabilities are P(given | x), and some sample is surely of the class. A class without a sample that
    is predicted to be of it has no anchor and is unknown. Patrini et al. 2017, arXiv:1609.03683, equation 12.

    ``anchor_percentile``: the same of the sample at the 97th percentile of the class's probability, as that paper does
    against outliers. Where less than 3 % of the samples are predicted to be of the class, that sample is of another one,
    and the class unknown: so are nearly all where classes are more than 33.

    ``confident_joint``: the calibrated confident joint, divided by its column sums (``cleanlab``'s noise matrix,
    transposed). Exact where every sample is counted into its clean class. A class is unknown where nothing is counted
    into it but the 1 that the joint puts on its diagonal. Northcutt et al. 2021, arXiv:1911.00068.

    ``hoc``: the matrix that explains how often a sample and its two nearest others have which labels (see
    ``hoc.estimate_consensus``). Right where the three share their clean class and were mislabeled independently. A class is
    unknown that holds less than one sample by the estimated shares, or whose likeliest label is another class, as the
    order of the rows is then not known either. Zhu, Song and Liu 2021, arXiv:2102.05291.

    ``dual_t``: T♣ T♠, from clean to predicted class by anchor points, and from predicted to given by counting. Exact where
    the probabilities name the clean class with certainty, T♣ being the identity. Where they are P(given | x), it counts
    the noise twice: T T where classes do not overlap. What an anchor says of classes that nobody is predicted to be of is
    shared by the others. Yao et al. 2020, arXiv:2006.07805, section 3.

    Args:
        pred_probs: Class probabilities by models that did not see the sample, or did not fit wrong labels yet, shape (n, k).
        labels: Given labels, shape (n,).
        method: One of ``METHODS``.
        features: For ``hoc``: who is near is told by these, shape (n, d), in place of the probabilities.

    Raises:
        BadData: Probabilities or labels that are none, or for ``hoc`` less than three samples.
        BadUsage: Another method, features for a method that looks at none, or more classes than a matrix fits for.
    """
    check_choice(method, "method", METHODS)
    if features is not None and method != "hoc":
        msg = f"features are for method='hoc', and '{method}' looks at none; leave them out"
        raise BadUsage(msg)
    given = as_labels(labels)
    values = as_probabilities(as_array(pred_probs, what="pred_probs"), len(given), what="pred_probs")
    k = values.shape[1]
    given = check_labels(given, k)
    check_room(k, k, "a transition matrix", "leave out what asks for one")
    values /= values.sum(1, keepdims=True)
    if method == "confident_joint":
        found = _by_confident_joint(given, values)
    elif method == "hoc":
        found = _by_neighbours(given, values if features is None else as_array(features, what="features"), k)
    elif method == "dual_t":
        found = _in_two_steps(given, values)
    else:
        found = _of_anchors(values, PERCENTILE / 100 if method == "anchor_percentile" else 1.0)
    found[np.bincount(given, minlength=k) == 0] = np.nan
    return found


def transition_error(estimated: NDArray[Any], truth: NDArray[Any]) -> TransitionError:
    """Distance of two transition matrices, each (k, k): rows in which either is NaN are left out.

    Raises:
        BadData: No matrices of one shape, or a row that is no distribution.
    """
    one, other = _checked_matrix(estimated, "estimated"), _checked_matrix(truth, "truth")
    if one.shape != other.shape:
        msg = f"estimated has shape {one.shape}, truth {other.shape}; expected the same classes in both"
        raise BadData(msg)
    apart = np.abs(one - other).sum(1)
    known = ~np.isnan(apart)
    if not known.any():
        return TransitionError(float("nan"), float("nan"), apart / 2)
    return TransitionError(
        float(apart[known].mean() / 2), float(apart[known].sum() / np.abs(other[known]).sum()), apart / 2
    )


def _checked_matrix(matrix: NDArray[Any], what: str) -> Floats:
    given = as_array(matrix, what=what)
    check_array(given, what, dimensions=2)
    if given.shape[0] != given.shape[1] or not given.size:
        msg = f"{what} must be a matrix of shape (k, k), got {given.shape}"
        raise BadData(msg)
    values = given.astype(np.float64)
    known = ~np.isnan(values).any(1)
    bad = np.flatnonzero(known & ((values < 0).any(1) | ~(np.abs(values.sum(1) - 1) <= TOLERANCE)))
    if bad.size:
        msg = (
            f"row {bad[0]} of {what} is no distribution ({bad.size} such rows): expected P(given j | clean {bad[0]}) for "
            f"each j, that sum to 1, or NaN where nothing is known"
        )
        raise BadData(msg)
    return values


def _of_anchors(values: Floats, share: float) -> Floats:
    """Probabilities of the sample at a quantile of each class's, of those tied there the mean: (n, k) → (k, k)."""
    n, k = values.shape
    place = max(int(np.ceil(round(share * n, 9))), 1) - 1  # rounded, as .97 of 100 is a little above 97
    at = np.partition(values, place, axis=0)[place]
    largest = values.max(1)
    found = np.full((k, k), np.nan)
    for i in range(k):
        anchors = (values[:, i] == at[i]) & (values[:, i] == largest)
        if anchors.any():
            found[i] = values[anchors].mean(0)
    return found


def _by_confident_joint(labels: Labels, values: Floats) -> Floats:
    raw = confident_joint(labels, values, calibrated=False)
    found = estimate_noise(labels, values).transition.copy()
    found[raw.sum(0) <= 1] = np.nan
    return found


def _by_neighbours(labels: Labels, features: NDArray[Any], k: int) -> Floats:
    estimate = estimate_consensus(labels, two_nearest(features, len(labels)), k)
    found = estimate.transition.copy()
    found[(estimate.prior * len(labels) < 1) | (found.diagonal() < found.max(1))] = np.nan
    return found


def _in_two_steps(labels: Labels, values: Floats) -> Floats:
    k = values.shape[1]
    counts = np.bincount(values.argmax(1) * k + labels, minlength=k * k).reshape(k, k)
    sizes = counts.sum(1)
    to_predicted = _of_anchors(values, 1.0)[:, sizes > 0]
    to_given = counts[sizes > 0] / sizes[sizes > 0, None]
    found: Floats = to_predicted @ to_given / to_predicted.sum(1, keepdims=True)
    return found
