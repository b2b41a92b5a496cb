"""A perceptron with one hidden layer, of 128 unless told, for features and small images."""

import math

from torch import nn

from noisybench.ground.checks import whole
from noisybench.training.model import BuildModel
from noisybench.training.models._activation import Activation, activation_of


def build(
    *, num_classes: int, input_shape: tuple[int, ...], width: int = 128, activation: Activation = "relu"
) -> nn.Module:
    """Flatten → a hidden layer of ``width`` → classes. Behind it stands ``activation``; all but relu are smooth."""
    width, unit = whole(width, "width", least=1), activation_of(activation)
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), width), unit(), nn.Linear(width, num_classes))


MODEL: BuildModel = build
