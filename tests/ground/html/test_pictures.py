"""Small pictures: what they show, how large they are, and what is no picture."""

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from noisybench.ground.errors import BadData
from noisybench.ground.html.pictures import data_address, thumbnail


def read(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


def photograph(side: int) -> NDArray[np.uint8]:
    """Smooth shapes with some grain, as photographs have."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3)).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 6, (side, side, 3))
    return np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)


def test_a_small_image_keeps_every_pixel() -> None:
    """32 × 32 is neither enlarged nor changed."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(read(thumbnail(image))), image)


@pytest.mark.parametrize(
    ("shape", "size"), [((300, 600), (128, 64)), ((600, 300, 1), (64, 128)), ((90, 90, 3), (90, 90))]
)
def test_a_large_image_is_made_small(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """The longer side is 128 at most; the other keeps its share."""
    assert read(thumbnail(np.zeros(shape, np.uint8))).size == size


@pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_channels_are_grey_or_colours(channels: int, shown: list[int]) -> None:
    """One or two channels show the first in grey, more show the first three as colours."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, channels)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(read(thumbnail(image)).convert("RGB")), image[:, :, shown])


def test_two_thousand_photographs_stay_below_twelve_megabytes() -> None:
    """As base64, at the side that is the default."""
    assert len(data_address(thumbnail(photograph(400)))) * 2000 < 12e6


def test_every_usual_format_becomes_an_address() -> None:
    """It names the format and holds the bytes."""
    for form in ("PNG", "JPEG", "GIF", "WEBP"):
        stream = io.BytesIO()
        Image.new("RGB", (2, 2)).save(stream, form)
        start, held = data_address(stream.getvalue()).split(",")
        assert start == f"data:image/{form.lower()};base64"
        assert base64.b64decode(held) == stream.getvalue()


def test_what_is_no_picture_is_told() -> None:
    """The type, the shape, the first bytes."""
    with pytest.raises(BadData, match=r"not float64 of shape \(4, 4, 3\)"):
        thumbnail(np.zeros((4, 4, 3)))  # type: ignore[arg-type]
    with pytest.raises(BadData, match=r"uint8 of shape \(0, 4, 3\)"):
        thumbnail(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(BadData, match=r"these 5 bytes begin with b'<svg>'"):
        data_address(b"<svg>")
