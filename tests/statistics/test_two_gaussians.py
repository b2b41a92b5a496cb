"""Two Gaussians: weights, means, deviations and posteriors against scikit-learn's mixture with the same constants."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from noisybench.ground.arrays import Floats
from noisybench.statistics.two_gaussians import two_gaussians


def numbers(kind: str, n: int) -> Floats:
    """Losses of one kind, in [0, 1]."""
    rng = np.random.default_rng(n)
    drawn = {
        "one tail": rng.exponential(1, n),
        "two heaps": np.where(rng.random(n) < 0.3, rng.normal(4, 1, n), rng.gamma(0.3, 1, n)),
        "ties": rng.integers(0, 3, n).astype(float),
        "even": rng.random(n),
        "far": np.abs(rng.standard_cauchy(n)),
    }[kind]
    drawn[:2] = drawn.min(), drawn.max() + 0.1
    return np.asarray((drawn - drawn.min()) / np.ptp(drawn))


@pytest.mark.parametrize("kind", ["one tail", "two heaps", "ties", "even", "far"])
@pytest.mark.parametrize("n", [2, 3, 10, 200, 1437, 20_000])
def test_it_is_the_mixture_of_scikit_learn(kind: str, n: int) -> None:
    """The same start, as many steps, and the same end, bit for bit: a run that it scored can be verified."""
    values = numbers(kind, n)
    theirs = GaussianMixture(n_components=2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(np.sort(values)[:, None])
    ours = two_gaussians(values)
    assert np.array_equal(ours.weights, theirs.weights_)
    assert np.array_equal(ours.means, theirs.means_[:, 0])
    assert np.array_equal(ours.deviations, np.sqrt(theirs.covariances_[:, 0, 0]))
    posterior = theirs.predict_proba(values[:, None])[:, theirs.means_.argmax()]
    assert np.array_equal(ours.posteriors(values), posterior)
