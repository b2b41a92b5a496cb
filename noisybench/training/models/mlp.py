"""A perceptron with one hidden layer of 128, for features and small images."""

import math

from torch import nn

from noisybench.training.model import BuildModel


def build(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Flatten → 128 → classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), 128), nn.ReLU(), nn.Linear(128, num_classes))


MODEL: BuildModel = build
