"""What alterations do to images (m, h, w, c) uint8."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Source
from noisybench.ground.arrays import Images
from noisybench.ground.errors import BadUsage

_QUALITY = 50  # of JPEG: visible from near
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def mirrored(images: Images) -> Images:
    """Left and right exchanged."""
    return images[:, :, ::-1]


def shifted(images: Images, pixels: int = 1) -> Images:
    """Moved down and to the right over black."""
    h, w = images.shape[1:3]
    result = np.zeros_like(images)
    if pixels < min(h, w):
        result[:, pixels:, pixels:] = images[:, : h - pixels, : w - pixels]
    return result


def zoomed(images: Images, factor: float) -> Images:
    """The middle 1 / factor of each side, enlarged to the whole."""
    h, w = images.shape[1:3]
    rows, columns = max(1, round(h / factor)), max(1, round(w / factor))
    top, left = (h - rows) // 2, (w - columns) // 2
    return resized(images[:, top : top + rows, left : left + columns], h, w)


def jpeg(images: Images) -> Images:
    """Compressed and read again."""
    from PIL import Image

    result = np.empty_like(images)
    for i, image in enumerate(images):
        stream = BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(stream, "jpeg", quality=_QUALITY)
        result[i] = np.asarray(Image.open(stream)).reshape(image.shape)
    return result


def resized(images: Images, h: int, w: int) -> Images:
    """Bilinear, smoothed where it becomes smaller."""
    import torch
    import torch.nn.functional as F

    if not len(images) or images.shape[1:3] == (h, w):
        return images
    planes = torch.tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    planes = F.interpolate(planes, (h, w), mode="bilinear", antialias=True).round().clamp(0, 255)
    return planes.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def like(inputs: NDArray[Any], source: Source) -> NDArray[Any]:
    """Inputs of another source in the shape of this one's.

    Raises:
        BadUsage: Images for columns, the other way round, or columns of another number.
    """
    if inputs.ndim != source.inputs.ndim or (
        inputs.ndim != IMAGE_DIMENSIONS and inputs.shape[1:] != source.inputs.shape[1:]
    ):
        msg = (
            f"foreign inputs have shape {inputs.shape[1:]}, those of source '{source.name}' {source.inputs.shape[1:]}; give "
            f"a source of the same kind"
        )
        raise BadUsage(msg)
    if inputs.ndim != IMAGE_DIMENSIONS:
        return inputs
    h, w, c = source.inputs.shape[1:]
    images = resized(inputs, h, w)
    if images.shape[-1] == c:
        return images
    if c == 1:
        return np.rint(images[..., :3] @ np.array(_LUMINANCE)).astype(np.uint8)[..., None]
    grey = images if images.shape[-1] == 1 else images[..., :1]
    return np.repeat(grey, c, axis=-1)
