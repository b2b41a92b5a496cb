"""ResNet-18 with the CIFAR stem: a 3 × 3 convolution of stride 1 and no pooling before the first block."""

from torch import nn

from noisybench.training.model import BuildModel, check_images


def build(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Torchvision's ResNet-18 with the stem that papers use on 32 × 32 images.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2 (stem).
    """
    from torchvision.models import resnet18

    channels, _, _ = check_images("resnet18", input_shape, smallest=8)
    model: nn.Module = resnet18(num_classes=num_classes)
    model.conv1 = nn.Conv2d(channels, 64, kernel_size=3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


MODEL: BuildModel = build
