"""The inputs, every column of them with mean 0 and deviation 1."""

from dataclasses import dataclass

import numpy as np

from noisybench.data.extraction import ExtractFeatures, features_of
from noisybench.data.source import Source
from noisybench.ground.arrays import Features


@dataclass(frozen=True, slots=True)
class Standardised:
    """Flattened inputs on one scale, so that no column counts for more because of its unit; a constant column is 0.

    Source: scikit-learn's StandardScaler.
    """

    def __call__(self, source: Source, *, device: str) -> Features:
        del device
        values = features_of(source, "input").astype(np.float64)
        constant = np.ptp(values, axis=0) == 0  # seen before its mean is taken, which leaves what was rounded
        values -= values.mean(0)
        values /= np.where(constant, 1.0, values.std(0))
        values[:, constant] = 0.0
        return values.astype(np.float32)


FEATURE: type[ExtractFeatures] = Standardised
