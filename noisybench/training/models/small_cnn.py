"""A convolutional network with a strided stem: the fast default for images on a CPU."""

from torch import nn

from noisybench.ground.checks import whole
from noisybench.training.model import BuildModel, check_images
from noisybench.training.models._activation import Activation, activation_of

WIDTH = 16
"""Channels of the stem unless told: three million multiply-adds for a 32 × 32 image, little enough to train on a CPU."""


def build(
    *, num_classes: int, input_shape: tuple[int, ...], width: int = WIDTH, activation: Activation = "relu"
) -> nn.Module:
    """A 4 × 4 stem of ``width`` channels and stride 2, then three blocks of 3 × 3 convolutions; each twice as wide.

    Behind each convolution stands ``activation``. Its two layers of max-pooling stay, whose kinks no activation takes away.
    """
    channels, _, _ = check_images("small_cnn", input_shape, smallest=8)
    width, unit = whole(width, "width", least=1), activation_of(activation)
    return nn.Sequential(
        *_block(channels, width, unit, kernel=4, stride=2),
        *_block(width, 2 * width, unit),
        nn.MaxPool2d(2),
        *_block(2 * width, 4 * width, unit),
        nn.MaxPool2d(2),
        *_block(4 * width, 4 * width, unit),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, num_classes),
    )


def _block(inputs: int, outputs: int, unit: type[nn.Module], *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), unit()]


MODEL: BuildModel = build
