"""The picture of study ``reproduce``: each effect with its interval, beside zero, its null and its smallest effect of interest.

Effects have several units, so each is drawn in multiples of its own smallest effect of interest, which is at 1 for all.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from noisybench.board.row_pictures import plain_axes
from noisybench.ground.drawing import BLUE, VERMILLION, in_style, save_picture
from noisybench.studies.hypotheses import Effect, Judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#777777"
LOOKS = {"reproduced": (BLUE, "o"), "not reproduced": (VERMILLION, "s"), "inconclusive": (GREY, "D")}
"""Verdict → colour and mark."""
CLAIM = 62
"""Letters of a claim in a line."""
DOTS = 100
"""Dots an inch of a .png, which so stays below 200 kB."""
MOST_SECONDARY = 24
"""Secondary claims up to which they are drawn, too."""
TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100)


def draw_judged(judged: Sequence[Judged], path: Path) -> None:
    """Draw every claim that was measured into a .png, .svg or .pdf file, those of a paper together.

    Primary claims are drawn first; of very many secondary ones the table has to tell.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    found = [one for one in judged if one.measured is not None and not math.isnan(one.measured.value)]
    primary, secondary = ([one for one in found if one.hypothesis.primary is rank] for rank in (True, False))
    parts = [(primary, "Primary claims")]
    if len(secondary) <= MOST_SECONDARY:
        parts.append((secondary, "Secondary claims"))
    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        heights = [max(len(part), 1) for part, _ in parts]
        figure = Figure(figsize=(10, 1.8 + 0.36 * sum(heights)), layout="constrained")
        panels = figure.subplots(len(parts), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        reach = _reach([one for part, _ in parts for one in part])
        for panel, (part, title) in zip(panels, parts, strict=True):
            _draw_claims(panel, part, title, reach)
        panels[-1].set_xlabel(
            "Effect in multiples of the smallest effect of interest (linear up to 1, logarithmic beyond)"
        )
        marks = [*LOOKS.values(), ("black", "|")]
        handles = [panels[0].plot([], [], color=colour, marker=mark, linestyle="")[0] for colour, mark in marks]
        names = [*LOOKS, "its null, where that is above zero"]
        figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
        save_picture(figure, path)


def _draw_claims(panel: "Axes", judged: Sequence[Judged], title: str, reach: tuple[float, float]) -> None:
    """A row for each claim: its interval, a bar at its null, and its figure in its own unit."""
    from matplotlib.ticker import NullLocator

    panel.set_xscale("symlog", linthresh=1)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.axvline(1, color="black", linewidth=0.8, linestyle=":")
    words = []
    for y, one in enumerate(judged):
        found, smallest = one.measured, one.hypothesis.smallest
        assert found is not None  # noqa: S101 - those without were left out
        colour, mark = LOOKS.get(one.word, (GREY, "x"))
        if not math.isnan(found.low):
            panel.plot([found.low / smallest, found.high / smallest], [y, y], color=colour, linewidth=1.6)
        panel.plot([found.value / smallest], [y], color=colour, marker=mark, markersize=5)
        if found.null > 0:
            panel.plot([found.null / smallest], [y], color="black", marker="|", markersize=11, markeredgewidth=1.6)
        panel.annotate(
            figure_in_words(found),
            (1.01, y),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7.5,
            color=colour,
        )
        words.append(fill(f"{one.hypothesis.paper.split()[0]}: {one.hypothesis.claim}", CLAIM))
    panel.set_yticks(range(len(judged)), words, fontsize=7.5)
    panel.set_ylim(len(judged) - 0.4, -0.6)
    panel.set_xlim(*reach)
    panel.set_xticks([tick for tick in TICKS if reach[0] <= tick <= reach[1]])
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_title(title, loc="left")
    plain_axes(panel, "x")


def figure_in_words(found: Effect) -> str:
    """The effect and its interval in its own unit, for people.

    >>> figure_in_words(Effect(0.12, 0.05, 0.2, 5, "", null=0.01))
    '0.12 [0.05, 0.20], null 0.01'
    """
    digits = 3 if abs(found.value) < 0.1 else 2  # noqa: PLR2004 - a small effect wants another digit
    ends = "" if math.isnan(found.low) else f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return f"{found.value:.{digits}f}{ends}" + (f", null {found.null:.{digits}f}" if found.null > 0 else "")


def _reach(judged: Sequence[Judged]) -> tuple[float, float]:
    """The ends of the axis: all effects and nulls are on it, of an interval what lies within ten times the rest."""
    within = [-1.0, 2.0]
    for one in judged:
        if one.measured is not None:
            within += [value / one.hypothesis.smallest for value in (one.measured.value, one.measured.null)]
    ends = [
        value / one.hypothesis.smallest
        for one in judged
        for value in ((one.measured.low, one.measured.high) if one.measured else ())
        if not math.isnan(value)
    ]
    least, most = min(within), max(within)
    least, most = max(min([least, *ends]), 10 * least), min(max([most, *ends]), 10 * most)
    return least * 1.15, most * 1.15
