"""A convolutional network with a strided stem: the fast default for images on a CPU."""

from torch import nn

from noisybench.training.model import BuildModel, check_images

WIDTH = 16
"""Channels of the stem: three million multiply-adds for a 32 × 32 image, little enough to train on a CPU."""


def build(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """A 4 × 4 stem of stride 2, then three blocks of 3 × 3 convolutions; each width twice the one before."""
    channels, _, _ = check_images("small_cnn", input_shape, smallest=8)
    return nn.Sequential(
        *_block(channels, WIDTH, kernel=4, stride=2),
        *_block(WIDTH, 2 * WIDTH),
        nn.MaxPool2d(2),
        *_block(2 * WIDTH, 4 * WIDTH),
        nn.MaxPool2d(2),
        *_block(4 * WIDTH, 4 * WIDTH),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * WIDTH, num_classes),
    )


def _block(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


MODEL: BuildModel = build
