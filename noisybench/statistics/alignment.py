"""How well each sample's features lie along the main direction of its class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.arrays import Floats, Floats32, Labels, check_features, check_groups, check_labels
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData
from noisybench.statistics.linear_probe import deal_folds
from noisybench.statistics.similarity import unit_rows

SMALL = 64
"""Features up to which all directions are computed; of more, the first alone."""


def class_alignment(
    features: NDArray[Any],
    labels: Labels,
    num_classes: int,
    *,
    groups: NDArray[Any] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Floats:
    """|cosine| of each sample with the first right singular vector of its class, which did not see it: (n, d) → (n,).

    The features are not centred. The vector is that of the samples of the class in the other folds, so that neither a
    sample nor its group decides it; in FINE it is of all. A class that has no sample in them has the value 0.

    Args:
        features: Shape (n, d), finite.
        labels: Given labels, shape (n,).
        num_classes: Classes that there are.
        groups: Number of each sample's group, shape (n,): a group is in one fold. None puts each sample into its own.
        folds: At least 2.
        seed: Of the folds, which are those of ``held_out_probabilities``.

    Raises:
        BadData: Features, labels or groups that are none.
        BadUsage: Fewer than two folds.

    Source: Kim, Ko, Cho, Choi and Yun 2021, arXiv:2102.11628, equation 2.
    """
    labels = check_labels(labels, num_classes)
    n = len(labels)
    check_features(features, n)
    folds = whole(folds, "folds", least=2)
    fold = deal_folds(labels, np.arange(n) if groups is None else check_groups(groups, n), folds, seed)
    return alignment_of(features, unit_rows(features), labels, fold)


def alignment_of(features: NDArray[Any], units: Floats32, labels: Labels, fold: Labels) -> Floats:
    """What labels decide, of features and their ``unit_rows``; see ``class_alignment``, which checks what it is given."""
    n, largest = len(labels), np.abs(features).max() or 1.0
    found = np.zeros(n)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        for part in np.unique(fold[own]):
            held, train = own[fold[own] == part], own[fold[own] != part]
            if len(train):
                found[held] = np.abs(units[held] @ first_direction(features[train] / largest))
    return np.minimum(found, 1)


def first_direction(values: NDArray[Any]) -> Floats:
    """First right singular vector of rows, of length 1 and of either sign: (m, d) → (d,); 0 where all are 0."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    rows = values.astype(np.float64)
    m, d = rows.shape
    if not rows.any():
        return np.zeros(d)
    if min(m, d) <= SMALL:
        small = rows @ rows.T if m < d else rows.T @ rows
        vector = np.linalg.eigh(small)[1][:, -1]
        vector = rows.T @ vector if m < d else vector
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
    start = rows.sum(0)
    if not start.any():
        start = rows[np.abs(rows).sum(1).argmax()]
    gram = LinearOperator((d, d), matvec=lambda v: rows.T @ (rows @ v), dtype=np.float64)
    try:
        return np.asarray(eigsh(gram, k=1, v0=start, which="LA")[1][:, 0], dtype=np.float64)
    except ArithmeticError as error:
        msg = f"the main direction of {m} samples of a class was not found: {error}"
        raise BadData(msg) from None
