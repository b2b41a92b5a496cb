"""Gaussian classes: how much nearer a sample is to another class's mean than to that of its label."""

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.detectors._held_out import given_labels, greatest_other
from noisybench.detection.scoring import Detector
from noisybench.ground.arrays import Labels
from noisybench.statistics.margins import margin_against
from noisybench.training.trace import Trace


def gaussian_likelihood_ratio(trace: Trace) -> NDArray[np.float64]:
    """Squared Mahalanobis distance to the given class less that to the nearest other: (1, n, k) → (n,); above 0, another.

    Twice the logarithm of the likelihood ratio of the two, for classes as Gaussians of one covariance on principal
    components of the features, of samples outside the sample's group.
    """
    return margin_against(-trace["features.gaussian_distances"][-1].astype(np.float64), given_labels(trace))


def nearest_other(trace: Trace) -> Labels:
    """The class, but for the given one, whose mean is nearest: (1, n, k) → (n,)."""
    return greatest_other(-trace["features.gaussian_distances"][-1].astype(np.float64), given_labels(trace))


DETECTOR = Detector(
    name="gaussian_likelihood_ratio",
    needs=("given", "features.gaussian_distances"),
    score=gaussian_likelihood_ratio,
    source="Lee et al. 2019, arXiv:1901.11300, equation 2 (the likelihood ratio of the given class and the nearest other)",
    information={"held_out"},
    suggest=nearest_other,
)
