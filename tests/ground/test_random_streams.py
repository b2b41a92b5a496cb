import numpy as np
import pytest
from scipy import stats

from noisybench.ground.random_streams import bits, derive, normals, permutation, pick, uniforms


def test_streams_never_change() -> None:
    """The first numbers of each kind of stream are those of the first release, so variants can be drawn again."""
    assert derive(0, "golden", 3) == 959395070471259187
    np.testing.assert_array_equal(
        bits(0, "golden", 2), np.array([591644217077719887, 396224313234484361], dtype=np.uint64)
    )
    np.testing.assert_array_equal(uniforms(0, "golden", 2), [0.03207309727470742, 0.021479363060020185])
    np.testing.assert_allclose(normals(0, "golden", 2), [-1.8511623907459094, -2.024111057772508], rtol=1e-14)
    assert permutation(0, "golden", 6).tolist() == [1, 0, 5, 3, 4, 2]


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    """Entry i depends on the seed, the purpose and i alone."""
    np.testing.assert_array_equal(uniforms(3, "a", 1000)[:37], uniforms(3, "a", 37))


@pytest.mark.parametrize("other", [(4, "a"), (3, "b"), (31, "a")])
def test_streams_of_another_seed_or_purpose_are_independent(other: tuple[int, str]) -> None:
    """Rank correlation (scipy) of two streams is that of independent ones."""
    assert stats.spearmanr(uniforms(3, "a", 10_000), uniforms(*other, 10_000)).pvalue > 1e-6


def test_streams_follow_their_distributions() -> None:
    """Kolmogorov-Smirnov (scipy) of 100,000 uniforms and normals; extremes stay finite and inside."""
    uniform, normal = uniforms(0, "law", 100_000), normals(0, "law", 100_000)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-6
    assert stats.kstest(normal, "norm").pvalue > 1e-6
    assert uniform.min() >= 0
    assert uniform.max() < 1


def test_a_permutation_holds_each_index_once() -> None:
    """Sorted, it is 0..n-1; empty and single ones exist."""
    for n in (0, 1, 1000):
        assert sorted(permutation(1, "p", n)) == list(range(n))


def test_pick_follows_its_weights() -> None:
    """On a fine grid of uniforms each class gets its share to within one cell, whatever the weights sum to."""
    weights = np.array([0.0, 3.0, 0.0, 1.0, 6.0, 0.0])
    grid = (np.arange(10_000) + 0.5) / 10_000
    counts = np.bincount(pick(np.tile(weights, (10_000, 1)), grid), minlength=6)
    np.testing.assert_allclose(counts, weights * 1000, atol=1)


def test_pick_never_takes_a_class_of_weight_zero() -> None:
    """Not at the ends of the uniforms either, where rounding reaches the total."""
    law = np.array([[0.0, 0.1, 0.2, 0.7, 0.0]])
    assert pick(law, np.array([0.0])) == [1]
    assert pick(law, np.array([1 - 2.0**-53])) == [3]
