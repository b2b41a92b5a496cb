"""Alignment with the main direction of a class against singular value decompositions without the fold."""

import numpy as np
import pytest

from noisybench.statistics.alignment import class_alignment, first_direction
from noisybench.statistics.linear_probe import deal_folds


@pytest.mark.parametrize(("n", "d"), [(60, 5), (60, 90), (300, 80)])
def test_it_is_that_of_a_decomposition_without_the_fold(n: int, d: int) -> None:
    rng = np.random.default_rng(d)
    labels = rng.integers(0, 3, n)
    labels[0] = 3  # a class of one
    x = rng.normal(size=(n, d)) + 3 * rng.normal(size=(4, d))[labels]
    groups = np.arange(n) // 2
    found = class_alignment(x, labels, 4, groups=groups, folds=4, seed=5)
    fold = deal_folds(labels, groups, 4, 5)
    expected = np.zeros(n)
    for i in range(n):
        others = x[(labels == labels[i]) & (fold != fold[i])]
        if len(others):
            expected[i] = abs(np.linalg.svd(others)[2][0] @ x[i]) / np.linalg.norm(x[i])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[0] == 0


def test_what_has_no_direction() -> None:
    """Rows of zeros have none; rows that sum to zero have one."""
    assert not first_direction(np.zeros((3, 4))).any()
    rows = np.kron([[1.0], [-1.0]], np.arange(1.0, 101)[None])
    wide = np.vstack([rows] * 50)
    np.testing.assert_allclose(abs(first_direction(wide) @ rows[0]), np.linalg.norm(rows[0]))
