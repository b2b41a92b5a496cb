"""A contact sheet of high-influence pairs: the training image on the left, the test image on the right."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import IMAGE_DIMENSIONS, read_rows
from noisybench.data.source import Source
from noisybench.ground.drawing import BLUE, VERMILLION, check_picture, in_style, save_picture
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.text import cell
from noisybench.memorization.influence import InfluencePairs
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS, MOST_DRAWN = 4, 24
"""Pairs in a row of the sheet, and in all."""
LONGEST_WORD = 16


def draw_pairs(pairs: InfluencePairs, source: Source, variant: Variant, path: str | Path) -> None:
    """Draw the listed pairs of largest influence, one for each training image, into a .png, .svg or .pdf file.

    Args:
        pairs: What ``influence_pairs`` gives.
        source: Of the variant, with its test set.
        variant: Whose labels.
        path: The file, which is written anew.

    Raises:
        BadUsage: Another kind of file, or the inputs are no images.
        BadData: No pair is listed.
        MissingPackage: matplotlib is not installed.
    """
    path = check_picture(path)
    check_images_of(source)
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = drawn_rows(pairs)
    if not rows.size:
        msg = (
            f"no pair is drawn in {path}: none has an influence that chance would not give among {pairs.compared} pairs; train "
            f"more than {pairs.models} models"
        )
        raise BadData(msg)
    tests: Any = source.test_labels
    with in_style():
        deep = -(-len(rows) // ACROSS)
        figure = Figure(
            figsize=(2.1 * ACROSS, 1.28 * deep + 0.6), layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.03)
        )
        figure.suptitle(
            f"{cell(source.name)}: test images (right) that models get right more often (blue) or less often (orange) if they "
            f"saw the\ntraining image (left); above each its number and label; the {len(rows)} pairs of largest influence, one "
            f"for each training image",
            fontsize=9,
        )
        panels = figure.subplots(deep, 3 * ACROSS, squeeze=False, width_ratios=[1, 1, 0.15] * ACROSS).reshape(-1, 3)
        for panel in panels.ravel():  # the third of each is a gap
            panel.axis("off")
        for (left, right, _), row in zip(panels, rows, strict=False):
            train, test = int(pairs.train[row]), int(pairs.test[row])
            given, clean = variant.labels[train], variant.clean[train]
            word = _short(variant.class_names[given])
            if clean >= 0:
                word += "\n(right)" if clean == given else f"\n(wrong, is {_short(variant.class_names[clean])})"
            _draw(left, source.inputs, train, f"{train}: {word}", "black")
            colour = BLUE if pairs.influence[row] > 0 else VERMILLION
            told = f"{test}: {_short(variant.class_names[tests[test]])}\n{pairs.influence[row]:+.2f} ± {pairs.stderr[row]:.2f}"
            _draw(right, source.test_inputs, test, told, colour)
        save_picture(figure, path)


def check_images_of(source: Source) -> None:
    """Raise ``BadUsage`` unless the inputs are images."""
    if source.inputs is None or source.inputs.ndim != IMAGE_DIMENSIONS:
        msg = f"a contact sheet is of images, and source '{source.name}' has none; write the pairs as a table"
        raise BadUsage(msg)


def drawn_rows(pairs: InfluencePairs) -> NDArray[np.intp]:
    """Rows of the pairs that are drawn: the first of each training sample."""
    _, first = np.unique(pairs.train, return_index=True)
    return np.sort(first)[:MOST_DRAWN]


def _draw(panel: "Axes", inputs: Any, row: int, words: str, colour: str) -> None:  # noqa: ANN401 - of a source
    pixels = read_rows(inputs, slice(row, row + 1))[0]
    grey = pixels.shape[-1] == 1
    panel.imshow(pixels[..., 0] if grey else pixels[..., :3], cmap="gray" if grey else None)
    panel.set_title(words, fontsize=6, color=colour, pad=2)


def _short(name: str) -> str:
    name = cell(name)
    return name if len(name) <= LONGEST_WORD else f"{name[: LONGEST_WORD - 1]}…"
