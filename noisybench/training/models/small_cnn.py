"""A convolutional network with a strided stem: the fast default for images on a CPU."""

from torch import nn

from noisybench.ground.checks import whole
from noisybench.training.model import BuildModel, check_images

WIDTH = 16
"""Channels of the stem unless told: three million multiply-adds for a 32 × 32 image, little enough to train on a CPU."""


def build(*, num_classes: int, input_shape: tuple[int, ...], width: int = WIDTH) -> nn.Module:
    """A 4 × 4 stem of ``width`` channels and stride 2, then three blocks of 3 × 3 convolutions; each twice as wide."""
    channels, _, _ = check_images("small_cnn", input_shape, smallest=8)
    width = whole(width, "width", least=1)
    return nn.Sequential(
        *_block(channels, width, kernel=4, stride=2),
        *_block(width, 2 * width),
        nn.MaxPool2d(2),
        *_block(2 * width, 4 * width),
        nn.MaxPool2d(2),
        *_block(4 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, num_classes),
    )


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


MODEL: BuildModel = build
