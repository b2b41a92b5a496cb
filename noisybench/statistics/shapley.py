"""Shapley values of samples for nearest-neighbour classification of each other."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Floats32, Indices, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import whole
from noisybench.statistics.nearest import tell_of_time
from noisybench.statistics.similarity import Points, points_of, similarities

VOTERS = 10
"""Neighbours whose labels the classifier counts."""
BLOCK = 2**18
"""Similarities that are sorted at a time: 8 MB with all that is made of them."""
PAIR_SORTED = 4.5e-8
"""Seconds of an ordered pair, without those of its features, on one core: 8,000 × 16 took 2.8 s."""


class Order(NamedTuple):
    """All samples, in the order of their nearness to some.

    Attributes:
        samples: To which, shape (b,).
        others: Numbers of all, the nearest first, and of equally near ones the earlier; last those of the own group, (b, n).
        outside: How many are not of the own group, shape (b,).
    """

    samples: Indices
    others: NDArray[np.unsignedinteger[Any]]
    outside: Indices


def knn_shapley(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    voters: int = VOTERS,
) -> Floats:
    """Mean Shapley value of each sample's label for classifying the others: (n, d) and (n,) → (n,); LOW is harmful.

    Each sample is the validation point of the others outside its group, by cosine. The utility of a set of samples is the
    share, of ``voters``, of the nearest in the set that have the point's given label; a set of fewer samples counts what
    it has. With the others in order of their distance, the value of the last is 1[y = ỹ] min(K, n) / (K n), and that of
    the i-th is that of the next plus (1[ỹ_i = ỹ] - 1[ỹ_(i+1) = ỹ]) min(K, i) / (K i). The mean over validation points
    divides by n, so that a group's own points count as 0.

    Of equally near samples the earlier is the nearer. The time grows with n² log n: 10,000 × 1,280 took 8 seconds
    on one core, and 1 for each further column of labels (``tests/benchmarks/label_columns.py``).

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,).
        num_classes: Classes that there are.
        groups: Number of each sample's group, shape (n,): a group is no part of its own points' neighbours. None puts
            each sample into its own.
        voters: K of the classifier.

    Raises:
        BadData: Features, labels or groups that are none.
        BadUsage: No voter.

    Source: Jia et al. 2019, arXiv:1908.08619, theorem 1.
    """
    labels = check_labels(labels, num_classes)
    n = len(labels)
    check_features(features, n)
    voters = whole(voters, "voters", least=1)
    members = np.arange(n) if groups is None else check_groups(groups, n)
    return shapley_of(orders_of(points_of(features, members)), labels, voters)


def orders_of(points: Points) -> Iterator[Order]:
    """What no label decides: the order of all samples to each, of some samples at a time, each sample once.

    Args:
        points: The samples, by cosine.
    """
    n = len(points.rows)
    tell_of_time(points, "every other detector takes less", pair=PAIR_SORTED)
    rows = max(1, BLOCK // n)
    for samples, similar in similarities(points):
        for first in range(0, len(similar), rows):
            part = similar[first : first + rows]
            yield Order(samples[first : first + len(part)], _nearest_first(part), np.isfinite(part).sum(1))


def _nearest_first(similar: Floats32) -> NDArray[np.unsignedinteger[Any]]:
    """Columns of each row from the greatest value down, equal ones in order: (b, n) → (b, n).

    A stable sort of numbers that hold a value in their upper half, its bits turned so that they order as values do, and the
    column in the lower one, so that no two are equal and a faster sort will do.
    """
    n = similar.shape[1]
    bits = (np.float32(0) - similar).view(np.int32)  # of 0 less 0, which has no sign
    turned = np.where(bits < 0, ~bits, bits | np.int32(-(2**31))).view(np.uint32)
    packed = turned.astype(np.uint64) << np.uint64(32) | np.arange(n, dtype=np.uint64)
    packed.sort(axis=1)
    return packed.astype(np.uint32).astype(np.uint16 if n <= 2**16 else np.uint32)


def shapley_of(orders: Iterable[Order], labels: Labels, voters: int = VOTERS) -> Floats:
    """The values of labels, of samples in the order of their nearness; see ``knn_shapley``, which checks what it is given.

    The sum of the steps is taken apart: the value of the i-th is 1[ỹ_i = ỹ] w_i, with w_i = min(K, i) / (K i), and for each
    that is farther and agrees w_j - w_(j-1), which is 0 up to K.
    """
    n = len(labels)
    places = np.arange(1, n + 1)
    shares = np.minimum(voters, places) / (voters * places)
    less = np.diff(shares, prepend=shares[0])
    given = labels.astype(np.min_scalar_type(int(labels.max())))
    total = np.zeros(n)
    for samples, others, outside in orders:
        agree = given[others] == given[samples, None]
        least = int(outside.min())
        agree[:, least:] &= np.arange(least, n) < outside[:, None]
        farther = agree * less
        values = np.cumsum(farther[:, ::-1], axis=1)[:, ::-1]
        values -= farther
        values += agree * shares
        total += np.bincount(others.ravel(), values.ravel(), minlength=n)
    return total / n
