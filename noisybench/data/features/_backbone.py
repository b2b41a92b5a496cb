"""What frozen backbones of torchvision and timm have in common: weights from a file, and images as they take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisybench.data.extraction import check_image_source
from noisybench.data.images.files import images_at
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData, BadUsage

if TYPE_CHECKING:
    from torch import Tensor, nn

_BATCH = 64
_LEAST_SIDE = 8


@dataclass(frozen=True, slots=True)
class Intake:
    """How a backbone takes images.

    Attributes:
        side: Images are resized to side × side.
        mean: Of each channel, of pixels in [0, 1].
        deviation: Of each channel.
    """

    side: int
    mean: Sequence[float]
    deviation: Sequence[float]


def check_size(size: int | None) -> None:
    """Raise ``BadUsage`` for a side that no backbone takes."""
    if size is not None:
        whole(size, "size", least=_LEAST_SIDE)


def load_weights(model: "nn.Module", path: Path, *, head: Sequence[str], what: str) -> None:
    """Put the weights of a file into a backbone; those of its classifier may be of other classes, or missing.

    Args:
        model: With its classifier.
        path: A state dict: ``.pt`` or ``.pth`` (never unpickling anything but tensors) or ``.safetensors``.
        head: Names of the parameters of the classifier, which are not used.
        what: Of whom they are, for messages.

    Raises:
        BadData: The file cannot be read, or holds the weights of another architecture.
    """
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise BadData(msg) from None
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, ImportError) as error:
        reason = "safetensors is not installed" if isinstance(error, ImportError) else "it holds no plain tensors"
        msg = f"{path} cannot be read as weights: {reason}; save a state dict with torch.save or safetensors"
        raise BadData(msg) from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    expected = model.state_dict()
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        msg = f"{path} holds no state dict; save model.state_dict() with torch.save or safetensors"
        raise BadData(msg)
    found = {key.removeprefix("module."): value for key, value in found.items()}
    body = {key: value for key, value in expected.items() if key not in head}
    wrong = [key for key, value in body.items() if key not in found or found[key].shape != value.shape]
    # A deeper one has all of a shallower one's; a head of the user's own may be called anything.
    blocks = {key.partition(".")[0] for key in body}
    wrong += [key for key in found if key not in expected and key.partition(".")[0] in blocks]
    if wrong:
        there, here = (tuple(of[wrong[0]].shape) if wrong[0] in of else "nothing" for of in (found, body))
        msg = (
            f"{path} holds the weights of another architecture than {what}: '{wrong[0]}' is {there}, expected {here} "
            f"({len(wrong)} differ, of {len(body)})"
        )
        raise BadData(msg)
    model.load_state_dict({key: found.get(key, value) if key in body else value for key, value in expected.items()})


def frozen_features(source: Source, model: "nn.Module", intake: Intake, *, device: str, what: str) -> Features:
    """What a model without its classifier says of every image, un-augmented and in eval mode, shape (n, d).

    Raises:
        BadUsage: The inputs are no images of one or three channels.
    """
    import torch
    import torch.nn.functional as F

    check_image_source(source, what)
    inputs = images_at(source, intake.side)
    channels = inputs.shape[-1]
    if channels not in (1, 3):
        msg = f"features '{what}' take images of 1 or 3 channels, source '{source.name}' has {channels}"
        raise BadUsage(msg)
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    mean, deviation = (
        torch.tensor(list(part), device=device).view(1, -1, 1, 1) for part in (intake.mean, intake.deviation)
    )
    parts: list[Features] = []
    with torch.no_grad():
        for start in range(0, len(inputs), _BATCH):
            images: Tensor = torch.tensor(inputs[start : start + _BATCH], device=device).permute(0, 3, 1, 2)
            images = images.float().div_(255).expand(-1, 3, -1, -1)
            if images.shape[-2:] != (intake.side, intake.side):
                images = F.interpolate(images, (intake.side, intake.side), mode="bilinear", antialias=True)
            images = ((images - mean) / deviation).contiguous(memory_format=torch.channels_last)
            parts.append(model(images).flatten(1).float().cpu().numpy())
    return np.concatenate(parts)
