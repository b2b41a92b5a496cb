"""Shapley values of samples for nearest-neighbour classification of each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import whole
from noisybench.statistics.nearest import tell_of_time
from noisybench.statistics.similarity import Points, points_of, similarities

VOTERS = 10
"""Neighbours whose labels the classifier counts."""
BLOCK = 2**21
"""Similarities that are sorted at a time: 60 MB with all that is made of them."""
PAIR_SORTED = 1.5e-7
"""Seconds of an ordered pair, on one core: 8,000 × 16 took 9.3 s."""


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

    Of equally near samples the earlier is the nearer. The time grows with n² log n: 10,000 × 1,280 took 67 seconds and
    0.7 GiB on one core of a machine with other jobs.

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
    return shapley_of(points_of(features, members), labels, voters)


def shapley_of(points: Points, labels: Labels, voters: int = VOTERS) -> Floats:
    """The values of labels, of samples as points by cosine; see ``knn_shapley``, which checks what it is given."""
    n = len(labels)
    places = np.arange(1, n + 1)
    shares = np.minimum(voters, places) / (voters * places)
    total = np.zeros(n)
    tell_of_time(points, "every other detector takes less", pair=PAIR_SORTED)
    for samples, similar in similarities(points):
        for first in range(0, len(similar), max(1, BLOCK // n)):
            part = similar[first : first + max(1, BLOCK // n)]
            order = np.argsort(-part, axis=1, kind="stable")
            own = labels[samples[first : first + len(part)], None]
            agree = (labels[order] == own) & np.isfinite(np.take_along_axis(part, order, axis=1))
            steps = -np.diff(agree.astype(np.int8), axis=1, append=0) * shares
            values = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
            total += np.bincount(order.ravel(), values.ravel(), minlength=n)
    return total / n
