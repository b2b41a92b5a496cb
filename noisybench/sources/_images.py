"""Images from their encoded bytes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from noisybench.errors import BadData

Images = NDArray[np.uint8]

# Modes that can be read without losing anything, and as what; alpha, CMYK and 16 bits cannot.
LOSSLESS = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}


def decode_images(encoded: Sequence[bytes | None], *, what: str) -> Images:
    """Encoded images (PNG, JPEG, …), all of one size → (n, h, w, c) uint8.

    Grey images have one channel; where grey and colour are mixed, all have three.

    Args:
        encoded: File contents, shape (n,).
        what: Whose images these are, for messages.

    Raises:
        BadData: No image at all, an image that cannot be read, or images of several sizes.
    """
    if not encoded:
        msg = f"{what} has no images; expected at least one"
        raise BadData(msg)
    # Pillow lets go of the interpreter lock while it decodes: 3.3 s for 50,000 CIFAR JPEGs on two shared cores,
    # 5.0 s with one thread. Chunks, because a future an image would cost as much as the image.
    starts = range(0, len(encoded), 500)
    with ThreadPoolExecutor() as pool:
        chunks = pool.map(lambda start: _decode_chunk(encoded[start : start + 500], start, what), starts)
        images = [image for chunk in chunks for image in chunk]
    sizes = np.array([image.shape[:2] for image in images])
    odd = np.flatnonzero((sizes != sizes[0]).any(1))
    if odd.size:
        (h, w), (other_h, other_w) = sizes[0], sizes[odd[0]]
        msg = (
            f"images of {what} must have one size: image 0 is {h} × {w}, image {odd[0]} is {other_h} × {other_w} "
            f"({odd.size} differ); resize them first"
        )
        raise BadData(msg)
    if all(image.ndim == 2 for image in images):  # noqa: PLR2004 - h, w
        return np.stack(images)[..., None]
    return np.stack([image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images])  # noqa: PLR2004 - h, w, c


def _decode_chunk(encoded: Sequence[bytes | None], start: int, what: str) -> list[Images]:
    from PIL import Image

    images = []
    for i, content in enumerate(encoded, start):
        try:
            with Image.open(BytesIO(content or b"")) as image:
                mode = LOSSLESS.get(image.mode)
                if mode is not None:
                    images.append(np.asarray(image if image.mode == mode else image.convert(mode)))
                    continue
                msg = f"image {i} of {what} has mode {image.mode}, expected grey or RGB with 8 bits; convert it first"
        except (OSError, SyntaxError, ValueError) as error:  # Pillow reports a broken PNG as a SyntaxError
            reason = type(error).__name__ if content else "it is empty"
            msg = f"image {i} of {what} cannot be decoded ({reason}); expected PNG, JPEG or another common format"
        raise BadData(msg)
    return images
