"""Mean and spread of features, in blocks that fit in memory."""

from math import prod

import numpy as np

from noisybench.data.inputs import AnyInputs
from noisybench.ground.arrays import Floats


def feature_moments(features: AnyInputs) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature, both (d,); the deviation of a constant is 1."""
    parts = np.array_split(np.arange(len(features)), max(1, prod(features.shape) >> 21))
    blocks = [slice(part[0], part[-1] + 1) for part in parts if part.size]
    mean = sum(features[block].sum(0, dtype=np.float64) for block in blocks) / len(features)
    variance = sum(np.square(features[block] - mean).sum(0) for block in blocks) / len(features)
    return mean, np.sqrt(np.where(variance > 0, variance, 1.0))
