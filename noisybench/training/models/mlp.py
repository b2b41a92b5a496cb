"""A perceptron with one hidden layer of 128 (``width``), for features and small images."""

import math

from torch import nn

from noisybench.ground.checks import whole
from noisybench.training.model import BuildModel


def build(*, num_classes: int, input_shape: tuple[int, ...], width: int = 128) -> nn.Module:
    """Flatten → ``width`` → classes."""
    width = whole(width, "width", least=1)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.ReLU(), nn.Linear(width, num_classes)
    )


MODEL: BuildModel = build
