"""Decoding of images, against what was encoded."""

import tracemalloc
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from noisybench.data.images.decoding import decode_images
from noisybench.ground.errors import BadData


def png(pixels: NDArray[np.uint8], mode: str | None = None, **how: Any) -> bytes:  # noqa: ANN401 - of Pillow
    stream = BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, "PNG", **how)
    return stream.getvalue()


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
CLEAR = np.concatenate([COLOUR, np.full((3, 4, 1), 255, dtype=np.uint8)], axis=2)
CLEAR[1, 2, 3] = 254


def test_pixels_come_back_as_they_were() -> None:
    """Grey images have one channel, colour images three, and among colour images a grey one has three alike."""
    assert np.array_equal(decode_images([png(GREY), png(GREY + 1)], what="x")[..., 0], [GREY, GREY + 1])
    assert np.array_equal(decode_images([png(COLOUR)], what="x"), [COLOUR])
    assert np.array_equal(decode_images([png(COLOUR), png(GREY)], what="x"), [COLOUR, np.stack([GREY] * 3, axis=-1)])


def test_palettes_and_bitmaps_lose_nothing() -> None:
    """Both are stored in another mode than they are read in."""
    flat = np.full((3, 4, 3), (255, 0, 0), dtype=np.uint8)
    assert np.array_equal(decode_images([png(flat, "P")], what="x"), [flat])
    bitmap = np.where(GREY > 5, 255, 0).astype(np.uint8)
    assert np.array_equal(decode_images([png(bitmap, "1")], what="x")[..., 0], [bitmap])


def test_alpha_that_hides_nothing_is_dropped() -> None:
    """As a channel, or as a colour of the palette or the image that no pixel has."""
    assert np.array_equal(decode_images([png(COLOUR, "RGBA")], what="x"), [COLOUR])
    assert np.array_equal(decode_images([png(GREY, "LA")], what="x")[..., 0], [GREY])
    assert np.array_equal(decode_images([png(COLOUR, transparency=(9, 9, 9))], what="x"), [COLOUR])
    assert np.array_equal(decode_images([png(GREY, transparency=99)], what="x")[..., 0], [GREY])
    flat = np.full((3, 4, 3), (255, 0, 0), dtype=np.uint8)
    assert np.array_equal(decode_images([png(flat, "P", transparency=bytes([255] * 256))], what="x"), [flat])


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ([], "column 'image' has no images; expected at least one"),
        ([png(GREY), None], "image 1 of column 'image' cannot be decoded (it is empty); expected PNG, JPEG"),
        ([b"text"], "image 0 of column 'image' cannot be decoded (UnidentifiedImageError)"),
        ([png(COLOUR)[:-30]], "image 0 of column 'image' cannot be decoded (OSError)"),
        ([png(CLEAR)], "image 0 of column 'image' has mode RGBA, expected grey or RGB with 8 bits"),
        (
            [png(COLOUR, transparency=(0, 1, 2))],
            "image 0 of column 'image' has mode RGB with transparency, expected grey or RGB with 8 bits",
        ),
        (
            [png(GREY), png(GREY), png(GREY.T.copy())],
            "images of column 'image' must have one size: image 0 is 3 × 4, image 2 is 4 × 3 (1 differ); resize them",
        ),
    ],
)
def test_unusable_images_are_named(encoded: list[bytes | None], message: str) -> None:
    """The message says which image, and what to do."""
    with pytest.raises(BadData) as caught:
        decode_images(encoded, what="column 'image'")
    assert message in str(caught.value)


def test_images_of_other_sizes_are_not_kept() -> None:
    """Until all were decoded, they would fill the memory before anybody is told of them."""
    large = png(np.zeros((1000, 1000, 3), dtype=np.uint8))
    tracemalloc.start()
    with pytest.raises(BadData, match=r"image 1 is 1000 × 1000 \(20 differ\)"):
        decode_images([png(GREY), *[large] * 20], what="x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 3_000_000
