"""Distances to Gaussian classes against means and covariances that were really computed without the group."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from noisybench.ground.errors import BadData
from noisybench.statistics import gaussian
from noisybench.statistics.gaussian import SHRINKAGE, class_distances
from noisybench.statistics.spectrum import centred_units

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def drawn(n: int, d: int, k: int, seed: int = 0) -> tuple[Floats, Labels]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    return rng.normal(size=(n, d)) + rng.normal(size=(k, d))[labels], labels


def recomputed(features: Floats, labels: Labels, k: int, groups: Labels) -> Floats:
    """Means and covariance of the samples outside each group, by loops."""
    z = centred_units(features, len(labels))
    if min(z.shape) > gaussian.COMPONENTS:  # the axes of uncentred rows, as they are of length one
        z = z @ np.linalg.svd(z, full_matrices=False)[2][: gaussian.COMPONENTS].T
    r = min(z.shape[1], *features.shape)
    if z.shape[1] > r:
        z = z @ np.linalg.svd(z, full_matrices=False)[2].T
    ridge = SHRINKAGE * (z**2).sum() / r * np.eye(r)
    found = np.empty((len(labels), k))
    for i, sample in enumerate(z):
        rest = groups != groups[i]
        means = np.full((k, r), np.nan)
        scatter = ridge.copy()
        for c in range(k):
            own = z[rest & (labels == c)]
            if len(own):
                means[c] = own.mean(0)
                scatter += (own - means[c]).T @ (own - means[c])
        covariance = scatter / rest.sum()
        apart = sample - means
        found[i] = np.einsum("kr,rs,ks->k", apart, np.linalg.inv(covariance), apart)
        found[i][np.isnan(found[i])] = np.nanmax(found[i])
    return found


@pytest.mark.parametrize("grouped", ["alone", "few", "large"])
@pytest.mark.parametrize("shape", [(60, 4), (40, 90), (150, 70)])
def test_distances_are_those_without_the_group(shape: tuple[int, int], grouped: str) -> None:
    """To rounding, also where a group is larger than the number of features, holds a whole class, or where n < d."""
    n, d = shape
    features, labels = drawn(n, d, 4)
    labels[0] = 4  # a class that is only in its group
    groups = {
        "alone": np.arange(n),
        "few": np.random.default_rng(1).integers(0, n // 3, n),
        "large": np.maximum(np.arange(n) - n // 2, 0),
    }[grouped]
    found = class_distances(features, labels, 6, groups=None if grouped == "alone" else groups)
    np.testing.assert_allclose(found, recomputed(features, labels, 6, groups), rtol=1e-7)


def test_its_classes_are_those_of_linear_discriminant_analysis() -> None:
    """Nearest means are the answers of scikit-learn's with equal priors, but for the sample itself; scale moves nothing."""
    features, labels = drawn(2000, 6, 3)
    units = centred_units(features, len(labels))
    theirs = LinearDiscriminantAnalysis(priors=[1 / 3] * 3).fit(PCA(6).fit_transform(units), labels)
    found = class_distances(features, labels, 3)
    assert (found.argmin(1) == theirs.predict(PCA(6).fit_transform(units))).mean() > 0.99
    ratios = theirs.decision_function(PCA(6).fit_transform(units))
    ours = (found[:, [1]] - found) / 2
    theirs_of_second = ratios - ratios[:, [1]]
    assert np.corrcoef(ours[:, 0], theirs_of_second[:, 0])[0, 1] > 0.999
    np.testing.assert_allclose(class_distances((features * 1e3).astype(np.float32), labels, 3), found, rtol=1e-3)


@pytest.mark.parametrize("n", [2, 4])
def test_few_samples_have_distances_too(n: int) -> None:
    features, labels = np.random.default_rng(n).normal(size=(n, 3)), np.arange(n) % 2
    assert np.isfinite(class_distances(features, labels, 2)).all()
    with pytest.raises(BadData, match="labels are class 0"):
        class_distances(features, np.zeros(n, dtype=np.int64), 2)
