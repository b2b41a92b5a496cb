"""One's own image files: in memory where there is room for all, else read when they are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noisybench.data.images.broken import Unbroken, all_pixels, without_broken
from noisybench.data.images.decoding import decode_images
from noisybench.data.lazy_inputs import ArrowRows, ImageFiles
from noisybench.data.source import Source
from noisybench.ground.errors import BadData, BadUsage

IN_MEMORY = 1 << 30
"""Bytes of pixels up to which they are kept in memory."""


class TooManyPixels(BadUsage):
    """Images take more memory than they may, unless they are brought to a side."""


def read_images(root: Path, names: Sequence[str], side: int | None) -> Any:  # noqa: ANN401 - of Source.inputs
    """Images (n, h, w, c), uint8: an array up to 1 GiB, and beyond that an ``ImageFiles``.

    Args:
        root: Folder that the names are relative to.
        names: Of the files, shape (n,).
        side: Height and width that all are brought to, in colour, see ``ImageFiles``; None leaves them as they are, all
            of one size, with one channel where all are grey.

    Raises:
        BadUsage: More than 1 GiB of images without a side.
        BadData: A file that is missing, or no image; or images of several sizes without a side.
    """
    if side is not None:
        files = ImageFiles(root, names, side)
        if len(files) * side * side * 3 > IN_MEMORY:
            return files
        return all_pixels(files, names, lambda i: file_content(root / names[i]), str(root))
    first = next((one for one in map(_bytes_of, (file_content(root / name) for name in names)) if one), 0)
    if first * len(names) > IN_MEMORY:
        msg = (
            f"the {len(names)} images of {root} take more than {IN_MEMORY:,} bytes; say --source-set side=… (in pixels): "
            f"they are then read when they are asked for"
        )
        raise TooManyPixels(msg)
    encoded = (file_content(root / name) for name in names)
    mend = "say --source-set side=… (in pixels) to bring all to one"
    return decode_images(encoded, what=str(root), names=names, mend=mend, skip=True)


def original_files(root: Path, names: Sequence[str], side: int | None) -> ImageFiles | None:
    """Files whose images ``read_images`` brings to a side, as what gives them at another; None where it brings them to none."""
    return None if side is None else ImageFiles(root, names, side)


def images_at(source: Source, side: int) -> Any:  # noqa: ANN401 - of Source.inputs
    """The images of a source for what takes them at a side: read at that side where their files are at hand, unread yet.

    Else the inputs as they are, of whatever side: a copy of fewer pixels is all there is.

    Args:
        source: Of images.
        side: In pixels.
    """
    files = source.inputs if source.originals is None else source.originals
    encoded = isinstance(files, ImageFiles) or (isinstance(files, ArrowRows) and files.encoded)
    return replace(files, side=side) if encoded else source.inputs


def unbroken_files(root: Path, names: Sequence[str], *, limit: int | None = None) -> Unbroken:
    """Files below a folder without those that are broken images, see ``without_broken``.

    Raises:
        BadData: A file cannot be read, or none is left.
    """
    return without_broken(names, lambda i: file_content(root / names[i]), str(root), limit=limit)


def _bytes_of(content: bytes) -> int:
    """What an image takes as pixels; 0 of one that cannot be read."""
    try:
        return decode_images([content], what="").nbytes
    except BadData:
        return 0


def file_content(file: Path) -> bytes:
    """The bytes of a file.

    Raises:
        BadData: It cannot be read.
    """
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        msg = f"{file} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise BadData(msg) from None
