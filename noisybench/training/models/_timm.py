"""``timm:NAME``: any classifier of timm, with fresh weights."""

from functools import partial

from torch import nn

from noisybench.ground.checks import unknown
from noisybench.ground.errors import MissingPackage, UnknownName
from noisybench.training.model import BuildModel, check_images


def build_named(name: str) -> BuildModel:
    """The function that builds ``timm:name``; another process can import it.

    Raises:
        MissingPackage: timm is not installed.
        UnknownName: timm has no model of that name.
    """
    try:
        import timm
    except ModuleNotFoundError:
        msg = f"model 'timm:{name}' needs the package 'timm': pip install 'noisybench[timm]'"
        raise MissingPackage(msg) from None
    if not timm.is_model(name):
        raise UnknownName(unknown(name, tuple(timm.list_models()), "timm model"))
    return partial(_build, name)


def _build(name: str, *, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    import timm

    channels, height, width = check_images(f"timm:{name}", input_shape, smallest=8)
    try:  # transformers must be told the size, convolutional networks do not know the word
        model: nn.Module = timm.create_model(name, num_classes=num_classes, in_chans=channels, img_size=(height, width))
    except TypeError:
        model = timm.create_model(name, num_classes=num_classes, in_chans=channels)
    return model
