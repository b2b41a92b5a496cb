"""Samples as pages show them: thumbnails, texts or rows of a table, and what the evidence says of each."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.board.suspects_page import PageItem
from noisybench.data.images.files import images_at
from noisybench.data.inputs import IMAGE_DIMENSIONS, read_rows
from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Bools, Floats, Labels
from noisybench.ground.html.pictures import thumbnail

SIDE = 128
"""Longer side of a thumbnail, in pixels."""
_AT_A_TIME = 64  # images that are read at a time


def page_items(
    samples: NDArray[np.int64],
    given: Labels,
    source: Source | None,
    names: Sequence[str] | None,
    *,
    suggested: Labels | None = None,
    suspicion: Floats | None = None,
    flagged: Bools | None = None,
) -> Iterator[PageItem]:
    """Some samples in the order given; images are read a block at a time.

    Args:
        samples: Their numbers, shape (m,).
        given: Labels of all samples, shape (n,).
        source: What they are; None shows names alone.
        names: What people call all samples, shape (n,).
        suggested: Class that the evidence suggests, shape (n,); None tells nothing, as in an audit.
        suspicion: Shape (n,), likewise.
        flagged: Whether a label disagrees with the evidence, shape (n,), likewise.
    """
    for start in range(0, len(samples), _AT_A_TIME):
        some = samples[start : start + _AT_A_TIME]
        for sample, picture in zip(some.tolist(), _pictures(source, some), strict=True):
            yield PageItem(
                sample=sample,
                name="" if names is None else names[sample],
                given=int(given[sample]),
                suggested=UNKNOWN if suggested is None else int(suggested[sample]),
                suspicion=float("nan") if suspicion is None else float(suspicion[sample]),
                flagged=flagged is not None and bool(flagged[sample]),
                picture=picture,
                text=_words(source, sample),
            )


def _pictures(source: Source | None, samples: NDArray[np.int64]) -> Sequence[bytes | None]:
    """Thumbnails of some samples; None where inputs are no images, or were not read."""
    if source is None or source.inputs is None or source.inputs.ndim != IMAGE_DIMENSIONS:
        return [None] * len(samples)
    images: Any = read_rows(images_at(source, SIDE), samples)
    return [thumbnail(image, side=SIDE) for image in images]


def _words(source: Source | None, sample: int) -> str | None:
    """The text of a sample, or its row of a table; None where it has neither."""
    words = None if source is None else source.texts if source.texts is not None else source.rows
    return None if words is None else words[sample]
