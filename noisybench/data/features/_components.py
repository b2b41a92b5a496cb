"""Principal components."""

import numpy as np

from noisybench.ground.arrays import Features


def principal(values: Features, components: int) -> Features:
    """The first principal components of ``values`` (n, d) → (n, c)."""
    from sklearn.decomposition import PCA

    # "auto" takes the covariance of few dimensions and a seeded random projection of many, whose eigenvectors take long.
    found: Features = PCA(min(components, *values.shape), random_state=0).fit_transform(values).astype(np.float32)
    return found
