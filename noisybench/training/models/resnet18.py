"""ResNet-18 with the CIFAR stem: a 3 × 3 convolution of stride 1 and no pooling before the first block."""

from torch import nn

from noisybench.ground.checks import whole
from noisybench.training.model import BuildModel, check_images
from noisybench.training.models._activation import Activation, activation_of

WIDTH = 64
"""Channels of the stem and of the first stage of torchvision's ResNet-18; each further stage has twice as many."""


def build(
    *, num_classes: int, input_shape: tuple[int, ...], width: int = WIDTH, activation: Activation = "relu"
) -> nn.Module:
    """Torchvision's ResNet-18 with the stem that papers use on 32 × 32 images, ``width`` channels wide.

    Wherever torchvision's has a ReLU stands ``activation``; with all but relu it is smooth, as it pools by means alone.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2 (stem).
    """
    from torchvision.models import ResNet, resnet18
    from torchvision.models.resnet import BasicBlock

    channels, _, _ = check_images("resnet18", input_shape, smallest=8)
    model: ResNet = resnet18(num_classes=num_classes)
    width, unit = whole(width, "width", least=1), activation_of(activation)
    if width != WIDTH:  # torchvision's own has one width; the stages are drawn anew, and begin as it begins them
        model.inplanes, model.bn1 = width, nn.BatchNorm2d(width)
        model.fc = nn.Linear(8 * width, num_classes)
        for stage in range(4):
            layer = model._make_layer(BasicBlock, width << stage, 2, stride=1 if stage == 0 else 2)  # noqa: SLF001
            setattr(model, f"layer{stage + 1}", layer)
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    model.conv1 = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    if activation != "relu":
        for module in [*model.modules()]:
            if hasattr(module, "relu"):  # the whole network and each of its blocks
                module.relu = unit()
    return model


MODEL: BuildModel = build
