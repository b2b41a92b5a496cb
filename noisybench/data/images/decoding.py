"""Images from their encoded bytes."""

import warnings
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from noisybench.ground.arrays import Images
from noisybench.ground.errors import BadData

if TYPE_CHECKING:
    from PIL.Image import Image as Opened


# Modes that can be read without losing anything, and as what; CMYK and 16 bits cannot. Alpha is dropped where all of it
# is opaque; what is behind a transparent pixel nobody has said.
LOSSLESS = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}
OPAQUE = 255
SHOWN = 5  # images that a sentence names


class SeveralSizes(BadData):
    """Images that must have one size have several."""


def decode_images(
    encoded: Iterable[bytes | None],
    *,
    what: str,
    names: Sequence[object] | None = None,
    mend: str = "resize them first",
    skip: bool = False,
) -> Images:
    """Encoded images (PNG, JPEG, …), all of one size → (n, h, w, c) uint8.

    Grey images have one channel; where grey and colour are mixed, all have three.

    Args:
        encoded: File contents, shape (n,).
        what: Whose images these are, for messages.
        names: What each is called in messages; None takes its number.
        mend: What to do about several sizes, for messages.
        skip: Whether broken images can be left out, for messages.

    Raises:
        BadData: No image at all, images that cannot be read, or images of several sizes.
    """
    # One thread: 20,000 CIFAR JPEGs take 1.25 s, and 1.7-1.9 s with two or six threads on two cores (Pillow 13), which
    # wait for the interpreter lock longer than they decode.
    with warnings.catch_warnings():
        warnings.simplefilter("error", _bomb())
        images: list[Images] = []
        odd: list[tuple[int, tuple[int, ...]]] = []  # their pixels are not kept: they may be many and large
        faults: list[tuple[str, Fault]] = []
        for i, content in enumerate(encoded):
            image = _decode(content)
            if isinstance(image, Fault):
                faults.append((f"{i if names is None else names[i]}", image))
            elif not faults and images and image.shape[:2] != images[0].shape[:2]:
                odd.append((i, image.shape))
            elif not faults:
                images.append(image)
    if faults:
        raise BadData(words_on_faults(faults, what, skip=skip))
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
        raise SeveralSizes(msg)
    channels = max(image.shape[2] for image in images)
    return np.stack([image if image.shape[2] == channels else np.repeat(image, channels, axis=2) for image in images])


class Fault(NamedTuple):
    """Why an image cannot be used.

    Attributes:
        words: What is said of it, such as ``cannot be decoded``.
        reason: More of it, in words; may be empty.
        mend: What to do about it.
        broken: Whether the file is damaged, and not merely of a kind that is not read.
    """

    words: str
    reason: str
    mend: str
    broken: bool


def image_fault(content: bytes | None) -> Fault | None:
    """Why an encoded image cannot be used; None where it can."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", _bomb())
        image = _decode(content)
    return image if isinstance(image, Fault) else None


def words_on_faults(faults: Sequence[tuple[str, Fault]], what: str, *, skip: bool = False) -> str:
    """One sentence on all images that cannot be used: how many, the first of them, and what to do.

    Args:
        faults: What each is called, and what is wrong with it.
        what: Whose images these are.
        skip: Whether broken ones can be left out.
    """
    parts = []
    for words in dict.fromkeys(fault.words for _, fault in faults):
        some = [(name, fault) for name, fault in faults if fault.words == words]
        named = [f"{name}" + (f" ({fault.reason})" if fault.reason else "") for name, fault in some[:SHOWN]]
        mend = some[0][1].mend
        if skip and some[0][1].broken:
            mend += ", or say --skip-broken to leave " + ("it" if len(some) == 1 else "them") + " out"
        name, fault = some[0]
        if len(some) == 1:
            reason = f" ({fault.reason})" if fault.reason else ""
            parts.append(
                f"image {name} of {what} {words}{reason}{',' if mend.startswith('expected grey') else ';'} {mend}"
            )
            continue
        more = f" and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
        plural = words.replace("has ", "have ", 1)
        parts.append(f"{len(some)} images of {what} {plural}: {', '.join(named)}{more}; {mend}")
    return "; ".join(parts)


def _bomb() -> type[Warning]:
    from PIL import Image

    return Image.DecompressionBombWarning


def _decode(content: bytes | None) -> "Images | Fault":
    """One image → (h, w, c) uint8, or why it is none."""
    from PIL import Image

    try:
        with Image.open(BytesIO(content or b"")) as opened:
            mode = opened.mode + (" with transparency" if "transparency" in opened.info else "")
            wanted = LOSSLESS.get(opened.mode)
            pixels = None if wanted is None else _pixels(opened, wanted, alpha=opened.mode != mode or "A" in mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Fault(f"has more than {Image.MAX_IMAGE_PIXELS:,} pixels", "", "resize it first", broken=False)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow calls a broken PNG a SyntaxError
        reason = type(error).__name__ if content else "it is empty"
        return Fault("cannot be decoded", reason, "expected PNG, JPEG or another common format", broken=True)
    if pixels is None:
        return Fault(f"has mode {mode}", "", "expected grey or RGB with 8 bits; convert it first", broken=False)
    return pixels.reshape(*pixels.shape[:2], -1)


def _pixels(image: "Opened", wanted: str, *, alpha: bool) -> Images | None:
    """The pixels in mode ``wanted``; None where some of them are transparent."""
    if not alpha:
        return np.asarray(image if image.mode == wanted else image.convert(wanted))
    pixels = np.asarray(image.convert(f"{wanted}A"))
    return pixels[..., :-1] if (pixels[..., -1] == OPAQUE).all() else None
