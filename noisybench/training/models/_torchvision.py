"""``torchvision:NAME``: any classifier of torchvision, with fresh weights."""

from functools import partial

from torch import Tensor, nn

from noisybench.ground.checks import unknown
from noisybench.ground.errors import UnknownName
from noisybench.training.model import BuildModel, check_images


class Colour(nn.Module):
    """Repeats one grey channel three times, which is what torchvision's models take."""

    def forward(self, images: Tensor) -> Tensor:
        return images.expand(-1, 3, -1, -1)


def build_named(name: str) -> BuildModel:
    """The function that builds ``torchvision:name``; another process can import it.

    Raises:
        UnknownName: torchvision has no classifier of that name.
    """
    from torchvision import models

    known = tuple(models.list_models(module=models))
    if name not in known:
        raise UnknownName(unknown(name, known, "torchvision model"))
    return partial(_build, name)


def _build(name: str, *, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    from torchvision.models import get_model

    channels, _, _ = check_images(f"torchvision:{name}", input_shape, smallest=8)
    model: nn.Module = get_model(name, weights=None, num_classes=num_classes)
    return nn.Sequential(Colour(), model) if channels == 1 else model
