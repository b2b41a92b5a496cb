"""A mixture of two Gaussians on numbers, by expectation and maximisation from a seeded start of two means."""

import math
from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Bools, Floats

LEAST_VARIANCE = 5e-4
"""What is added to the variance of each component."""
MOST_STEPS, LEAST_GAIN = 10, 1e-2
"""Steps at most, and the change of the mean log-likelihood below which there are no more."""
MOST_MEANS, LEAST_SHIFT = 300, 1e-4
"""The same of the start: its steps at most, and the squared shift of its means, in variances, below which it stands."""
TRIALS = 2
"""Candidates for the second mean."""


class TwoGaussians(NamedTuple):
    """Weights, means and deviations of two components, shape (2,) each."""

    weights: Floats
    means: Floats
    deviations: Floats

    def log_densities(self, values: Floats) -> Floats:
        """Log of weight times density of each component: (n,) → (n, 2)."""
        precisions = 1 / self.deviations
        squares = (values[:, None] * precisions - self.means * precisions) ** 2
        densities: Floats = -0.5 * (math.log(2 * math.pi) + squares) + np.log(precisions) + np.log(self.weights)
        return densities

    def posteriors(self, values: Floats) -> Floats:
        """Posterior of the component of the higher mean: (n,) → (n,), in [0, 1]."""
        shares: Floats = _shares(self.log_densities(values))[0][:, self.means.argmax()]
        return shares


def two_gaussians(values: Floats) -> TwoGaussians:
    """The mixture of some numbers, not all equal, shape (n,); their order does not matter.

    It is what scikit-learn's ``GaussianMixture`` finds with two components, these constants and ``random_state=0`` on the
    sorted numbers, bit for bit, without the two seconds that it takes to import that.
    """
    values = np.sort(values)
    above = _split(values)
    start = np.stack([~above, above], axis=1).astype(np.float64)
    found, before = _estimate(values, start, total=len(values)), -np.inf
    for _ in range(MOST_STEPS):
        shares, likelihood = _shares(found.log_densities(values))
        found = _estimate(values, shares)
        if abs(likelihood - before) < LEAST_GAIN:
            break
        before = likelihood
    return found


def _shares(logs: Floats) -> tuple[Floats, float]:
    """Posteriors of the components of log densities (n, 2), of that shape, and the mean log-likelihood."""
    highest = logs.max(1)
    norms = np.log1p(np.exp(logs.min(1) - highest)) + highest
    return np.exp(logs - norms[:, None]), float(norms.mean())


def _estimate(values: Floats, shares: Floats, total: float | None = None) -> TwoGaussians:
    """The mixture whose components have these shares (n, 2) in each number, ``total`` in all.

    Shapes and order of the products are scikit-learn's: another order would round otherwise.
    """
    counts = shares.sum(0) + 10 * np.finfo(np.float64).eps  # a component of nobody divides by more than zero
    means = (shares.T @ values[:, None])[:, 0] / counts
    variances = np.empty(2)
    for k in (0, 1):
        apart = values[:, None] - means[k]
        variances[k] = ((shares[:, k] * apart.T) @ apart)[0, 0] / counts[k] + LEAST_VARIANCE
    return TwoGaussians(counts / (counts.sum() if total is None else total), means, np.sqrt(variances))


def _split(values: Floats) -> Bools:
    """Two means of sorted numbers: whether each belongs to the second, shape (n,).

    The first start is drawn at random, the second far from it, as k-means++ does; the draws are scikit-learn's.

    Source: Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding", of the choice among trials.
    """
    n, random = len(values), np.random.RandomState(0)
    values = values - values.mean()
    first = values[random.choice(n, p=np.full(n, 1 / n))]
    nearest = (values - first) ** 2
    drawn = random.uniform(size=TRIALS) * nearest.sum()
    candidates = values[np.clip(np.searchsorted(np.cumsum(nearest), drawn), None, n - 1)]
    left = [np.minimum(nearest, (values - one) ** 2).sum() for one in candidates]
    means = np.array([first, candidates[int(np.argmin(left))]])
    above: Bools = np.zeros(n, dtype=bool)
    for step in range(MOST_MEANS):
        before, above = above, np.abs(values - means[1]) < np.abs(values - means[0])
        if step and np.array_equal(before, above):
            return above
        moved = np.array([values[~above].mean(), values[above].mean()])
        shift, means = ((moved - means) ** 2).sum(), moved
        if shift <= LEAST_SHIFT * values.var():
            break
    return np.abs(values - means[1]) < np.abs(values - means[0])
