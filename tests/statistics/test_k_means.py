"""The quick k-means against scikit-learn's, of which it gives every bit."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from noisybench.ground.arrays import Floats
from noisybench.statistics.k_means import k_means


def made_points(kind: str, generator: np.random.Generator) -> Floats:
    """Points of a kind: spread, in ties, few different ones, walks, or more than are looked at at once."""
    m, e = int(generator.integers(4, 60)), int(generator.integers(1, 31))
    points: dict[str, Floats] = {
        "spread": generator.gamma(1, 1, (m, e)),
        "ties": generator.integers(0, 3, (m, min(e, 3))).astype(np.float64),
        "few": np.round(generator.exponential(size=(m, 1))) / 4,
        "walks": generator.normal(size=(m, e)).cumsum(1),
        "many": generator.gamma(1, 1, (int(generator.integers(257, 700)), e)),
    }
    return points[kind]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("kind", ["spread", "ties", "few", "walks", "many"])
def test_clusters_and_centers_are_those_of_scikit_learn(kind: str) -> None:
    generator = np.random.default_rng(len(kind))
    given_up = 0
    for turn in range(24):
        points, clusters = made_points(kind, generator), 2 + turn % 2
        found = k_means(points, clusters)
        if found is None:
            given_up += 1
            continue
        theirs = KMeans(clusters, n_init=1, random_state=0).fit(points)
        np.testing.assert_array_equal(found[0], theirs.labels_)
        np.testing.assert_array_equal(found[1], theirs.cluster_centers_)
    assert given_up <= (12 if kind in ("ties", "few") else 0)


def test_a_cluster_without_points_is_left_to_scikit_learn() -> None:
    assert k_means(np.ones((5, 2)), 2) is None
