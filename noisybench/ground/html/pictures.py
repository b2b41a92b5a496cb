"""Small pictures that stand within a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.errors import BadData

_SMALL = 64
"""Longest side up to which a thumbnail keeps every pixel as it is."""

_MEDIA = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))


def thumbnail(image: NDArray[np.uint8], *, side: int = 128) -> bytes:
    """A small WebP of an image (h, w, c) or (h, w) of uint8: its longer side is ``side`` at most, and never enlarged.

    One channel is grey, three are red, green and blue, a fourth is opacity; of two channels the first is shown, of more
    than four the first three. Images up to 64 pixels are kept without loss. In a page 2,000
    photographs take 8 MB at 128 pixels.

    Raises:
        BadData: It is no such array, or empty.
    """
    from PIL import Image

    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in {2, 3} or 0 in array.shape:
        msg = (
            f"an image must be an array (h, w, c) of uint8 that is not empty, not {array.dtype} of shape {array.shape}"
        )
        raise BadData(msg)
    if array.ndim == 3:  # noqa: PLR2004
        channels = array.shape[2]
        array = array[:, :, 0] if channels < 3 else array[:, :, : channels if channels == 4 else 3]  # noqa: PLR2004
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)  # never enlarges
    stream = io.BytesIO()
    if max(picture.size) <= _SMALL:
        picture.save(stream, "WEBP", lossless=True)
    else:
        picture.save(stream, "WEBP", quality=75, method=4)
    return stream.getvalue()


def data_address(picture: bytes) -> str:
    """An encoded image (PNG, JPEG, GIF or WebP) as an address that holds it.

    Raises:
        BadData: It is none of these.
    """
    media = next((name for start, name in _MEDIA if picture.startswith(start)), "")
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        media = "webp"
    if not media:
        msg = (
            f"a picture of a page must be PNG, JPEG, GIF or WebP; these {len(picture)} bytes begin with {picture[:8]!r}"
        )
        raise BadData(msg)
    return f"data:image/{media};base64,{base64.b64encode(picture).decode('ascii')}"
