"""Images from their encoded bytes."""

import warnings
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Images
from noisybench.ground.errors import BadData

if TYPE_CHECKING:
    from PIL.Image import Image as Opened


# Modes that can be read without losing anything, and as what; CMYK and 16 bits cannot. Alpha is dropped where all of it
# is opaque; what is behind a transparent pixel nobody has said.
LOSSLESS = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}
OPAQUE = 255


def decode_images(
    encoded: Iterable[bytes | None],
    *,
    what: str,
    names: Sequence[object] | None = None,
    mend: str = "resize them first",
) -> Images:
    """Encoded images (PNG, JPEG, …), all of one size → (n, h, w, c) uint8.

    Grey images have one channel; where grey and colour are mixed, all have three.

    Args:
        encoded: File contents, shape (n,).
        what: Whose images these are, for messages.
        names: What each is called in messages; None takes its number.
        mend: What to do about several sizes, for messages.

    Raises:
        BadData: No image at all, an image that cannot be read, or images of several sizes.
    """
    from PIL import Image

    # One thread: 20,000 CIFAR JPEGs take 1.25 s, and 1.7-1.9 s with two or six threads on two cores (Pillow 13), which
    # wait for the interpreter lock longer than they decode.
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        images: list[Images] = []
        odd: list[tuple[int, tuple[int, ...]]] = []  # their pixels are not kept: they may be many and large
        for i, content in enumerate(encoded):
            image = _decode(content, f"image {i if names is None else names[i]} of {what}")
            if images and image.shape[:2] != images[0].shape[:2]:
                odd.append((i, image.shape))
            else:
                images.append(image)
    if not images:
        msg = f"{what} has no images; expected at least one"
        raise BadData(msg)
    first = images[0].shape[:2]
    if odd:
        number, other = odd[0]
        msg = (
            f"images of {what} must have one size: image {names[0] if names else 0} is {first[0]} × {first[1]}, image "
            f"{names[number] if names else number} is {other[0]} × {other[1]} ({len(odd)} differ); {mend}"
        )
        raise BadData(msg)
    channels = max(image.shape[2] for image in images)
    return np.stack([image if image.shape[2] == channels else np.repeat(image, channels, axis=2) for image in images])


def _decode(content: bytes | None, what: str) -> Images:
    """One image → (h, w, c) uint8."""
    from PIL import Image

    try:
        with Image.open(BytesIO(content or b"")) as opened:
            mode = opened.mode + (" with transparency" if "transparency" in opened.info else "")
            wanted = LOSSLESS.get(opened.mode)
            pixels = None if wanted is None else _pixels(opened, wanted, alpha=opened.mode != mode or "A" in mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        msg = f"{what} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; resize it first"
        raise BadData(msg) from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow calls a broken PNG a SyntaxError
        reason = type(error).__name__ if content else "it is empty"
        msg = f"{what} cannot be decoded ({reason}); expected PNG, JPEG or another common format"
        raise BadData(msg) from None
    if pixels is None:
        msg = f"{what} has mode {mode}, expected grey or RGB with 8 bits; convert it first"
        raise BadData(msg)
    return pixels.reshape(*pixels.shape[:2], -1)


def _pixels(image: "Opened", wanted: str, *, alpha: bool) -> Images | None:
    """The pixels in mode ``wanted``; None where some of them are transparent."""
    if not alpha:
        return np.asarray(image if image.mode == wanted else image.convert(wanted))
    pixels = np.asarray(image.convert(f"{wanted}A"))
    return pixels[..., :-1] if (pixels[..., -1] == OPAQUE).all() else None
