"""Distances to the classes as Gaussians of one covariance: linear discriminant analysis, each sample left out.

Each sample is measured by the means and the covariance of the samples outside its group: exact, by the formulas for
taking rows out of a mean and a scatter matrix.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Labels, check_groups, check_labels
from noisybench.ground.checks import check_room, whole
from noisybench.statistics.grouping import group_batches
from noisybench.statistics.ridge import check_several
from noisybench.statistics.spectrum import BLOCK, PrincipalAxes, centred_units, check_several_rows, spectrum

COMPONENTS = 64
"""Principal components that the classes are Gaussian in."""
SHRINKAGE = 1e-3
"""Share of the mean variance that is added to each variance, so that a covariance of few samples has an inverse."""


def class_distances(
    features: NDArray[Any], labels: Labels, num_classes: int, *, groups: NDArray[Any] | None = None
) -> Floats:
    """Squared Mahalanobis distance of each sample to the mean of each class: (n, d) and (n,) → (n, k), from 0 up.

    Features lose their mean, get length one and are turned to their first ``COMPONENTS`` principal components, which uses
    no label. d_c = (z - µ_c)ᵀ Σ⁻¹ (z - µ_c), with the class's mean µ_c and the covariance Σ within the classes, alike for
    all, of the samples that are not of the sample's group. The log likelihood ratio of two classes is half the difference
    of their distances.

    A class without a sample outside the group is as far as the farthest other class: nobody speaks for it.

    Means and covariance are the plain ones, where RoG takes those of the minimum covariance determinant, class by class:
    these draw, need several times as many samples of each class as there are components, and have no exact form without a
    sample.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,), of at least two classes.
        num_classes: Columns of the result.
        groups: Number of each sample's group, shape (n,): a sample is measured without its whole group. None leaves out
            each sample alone.

    Raises:
        BadData: Features or groups that are none, or labels of one class.
        BadUsage: A number of classes that is none, or more than fits in memory.

    Source: Lee, Yun, Lee, Lee, Li and Shin 2019, arXiv:1901.11300, equation 2 (classes as Gaussians of one covariance).
    """
    num_classes = whole(num_classes, "num_classes", least=1)
    labels = check_labels(labels, num_classes)
    n = len(labels)
    check_room(n, num_classes, "a distance to each class for each sample", "leave out what asks for Gaussians")
    check_several_rows(features, n)
    check_several(labels)
    members = None if groups is None else check_groups(groups, n)
    return distances_along(gaussian_spectrum(features, n), labels, num_classes, members)


def gaussian_spectrum(features: NDArray[Any], n: int) -> PrincipalAxes:
    """What no label decides: features of length one in their first ``COMPONENTS`` principal components, (n, d) → (n, r)."""
    return spectrum(centred_units(features, n), COMPONENTS)


def distances_along(along: PrincipalAxes, labels: Labels, num_classes: int, members: Labels | None) -> Floats:
    """What labels decide, of ``gaussian_spectrum``; see ``class_distances``, which checks what it is given."""
    (values, squares), n = along, len(labels)
    r = values.shape[1]
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.zeros((num_classes, r))
    np.add.at(sums, labels, values)
    means = sums / np.maximum(counts, 1)[:, None]
    inside = values - means[labels]
    scatter = inside.T @ inside + SHRINKAGE * (squares.sum() or 1.0) / r * np.eye(r)
    white = np.linalg.inv(np.linalg.cholesky(scatter)).T
    values, sums = values @ white, sums @ white
    distances = np.empty((n, num_classes))
    for rows in group_batches(members, n, most=max(1, BLOCK // (num_classes * r + r * r))):
        distances[rows] = _left_out(values[rows], labels[rows], sums, counts) * (n - rows.shape[1])
    return distances


def _left_out(own: Floats, given: Labels, sums: Floats, counts: Labels) -> Floats:
    """Distances (b, m, k) of groups (b, m, r) in coordinates whose scatter is 1, by that of all but the group."""
    b, m, _ = own.shape
    k = len(counts)
    one_hot = np.zeros((b, m, k))
    np.put_along_axis(one_hot, given[..., None], 1.0, axis=2)
    left = counts - one_hot.sum(1)
    means = (sums - one_hot.transpose(0, 2, 1) @ own) / np.maximum(left, 1)[..., None]
    apart = own - (sums / np.maximum(counts, 1)[:, None])[given]
    same = (given[:, :, None] == given[:, None, :]).astype(np.float64)
    turned = _times_precision(own, apart, same, counts[given], np.take_along_axis(left, given, axis=1))
    turned_means = _times_precision(means, apart, same, counts[given], np.take_along_axis(left, given, axis=1))
    distances: Floats = (
        np.einsum("bmr,bmr->bm", own, turned)[..., None]
        - 2 * turned @ means.transpose(0, 2, 1)
        + np.einsum("bkr,bkr->bk", means, turned_means)[:, None]
    )
    distances = np.maximum(distances, 0)
    gone = np.broadcast_to((left == 0)[:, None], distances.shape)
    farthest = np.where(gone, 0, distances).max(2, keepdims=True)
    return np.where(gone, farthest, distances)


def _times_precision(values: Floats, apart: Floats, same: Floats, before: Labels, after: Floats) -> Floats:
    """Values (b, x, r) times the inverse of 1 - AᵀMA, the scatter without a group.

    A is ``apart`` (b, m, r), the group's samples less the means of their classes; M is 1 and, of two samples of one class
    of which ``after`` (b, m) are left, 1 / after more. Where none are left, A sums to 0 and M may be 1.
    """
    _, m, r = apart.shape
    if m <= r:
        inverse = np.eye(m) - np.where(after[..., None] > 0, same / before[..., None], 0)
        small = inverse - apart @ apart.transpose(0, 2, 1)
        solved: NDArray[Any] = np.linalg.solve(small, apart @ values.transpose(0, 2, 1))
        return values + solved.transpose(0, 2, 1) @ apart
    weights = np.eye(m) + np.where(after[..., None] > 0, same / np.maximum(after, 1)[..., None], 0)
    others = np.eye(r) - apart.transpose(0, 2, 1) @ (weights @ apart)
    answers: NDArray[Any] = np.linalg.solve(others, values.transpose(0, 2, 1))
    return answers.transpose(0, 2, 1)
