"""Single pictures of a board for a paper, by matplotlib, from the data that the leaderboard's page is drawn from."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisybench.board.page_data import page_data
from noisybench.board.row_pictures import draw_cost, draw_families, draw_intervals
from noisybench.board.run_pictures import (
    draw_fits,
    draw_histogram,
    draw_memorization,
    draw_regions,
    draw_roc,
    draw_wrong_by_right,
)
from noisybench.board.truths import MEMORIZATION, MISLABELED
from noisybench.ground.checks import unknown
from noisybench.ground.drawing import check_picture, in_style, save_picture
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.runs.reading import Paths, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES: Mapping[str, Callable[["Figure", Mapping[str, Any], Mapping[str, Any]], str]] = {
    "intervals": draw_intervals,
    "families": draw_families,
    "cost": draw_cost,
    "histogram": draw_histogram,
    "roc": draw_roc,
    "fits": draw_fits,
    "wrong_by_right": draw_wrong_by_right,
    "regions": draw_regions,
    "memorization": draw_memorization,
}
"""Name of a picture → what draws it into a figure from the page's data and one of its views, and says in words what is
seen; nothing to draw is ``BadData``."""
GREY = "#555555"


def draw_board(
    runs: Sequence[Run] | Paths,
    path: str | Path,
    *,
    picture: str = "intervals",
    truth: str = MISLABELED,
    metric: str | None = None,
) -> None:
    """Draw one picture of runs into a .pdf, .svg or .png file; what it is of stands below it.

    Args:
        runs: Runs, or folders above them.
        path: The file, which is written anew.
        picture: A key of ``PICTURES``.
        truth: What scores are held against.
        metric: By what, as of ``detector_rows``; of memorization Spearman's correlation alone.

    Raises:
        UnknownName: There is no such picture, truth or metric.
        BadUsage: Another kind of file.
        MissingPackage: matplotlib is not installed.
        BadData: There is nothing to draw, no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    path = check_picture(path)
    if picture not in PICTURES:
        raise UnknownName(unknown(picture, tuple(PICTURES), "picture"))
    if truth == MEMORIZATION and metric not in (None, "spearman"):
        msg = f"pictures show memorization by 'spearman' alone, not by {metric!r}; leave --metric out"
        raise BadUsage(msg)
    data = page_data(runs, metric=None if truth == MEMORIZATION else metric)
    views = [one for one in data["views"] if one["truth"] == truth and one["title"] != "suggested labels"]
    if not views:
        msg = f"no run here has the truth {truth!r}; there is {', '.join(sorted({one['truth'] for one in data['views']}))}"
        raise UnknownName(msg)
    with in_style():
        save_picture(figure_of(data, picture, views[0]), path)


def figure_of(data: Mapping[str, Any], picture: str, view: Mapping[str, Any]) -> "Figure":
    """The figure of one picture, drawn within ``in_style``.

    Args:
        data: What ``page_data`` gives.
        picture: A key of ``PICTURES``.
        view: One of ``data["views"]``.

    Raises:
        BadData: There is nothing to draw.
    """
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    words = PICTURES[picture](figure, data, view)
    wide = round(figure.get_figwidth() * 19)
    about = zip(data["about"]["term"], data["about"]["words"], strict=True)
    facts = "  ·  ".join(f"{term}: {said}" for term, said in about if term != "Page by")
    figure.supxlabel("\n".join([*textwrap.wrap(words, wide), *textwrap.wrap(facts, wide)]), fontsize=7, color=GREY, x=0.01, ha="left")  # fmt: skip
    return figure
