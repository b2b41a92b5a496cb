"""The pictures of the atlas: people's labels within their twins, and a contact sheet of the extremes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisybench.board.row_pictures import plain_axes
from noisybench.ground.arrays import Floats
from noisybench.ground.drawing import BLUE, VERMILLION, in_style, save_picture
from noisybench.ground.errors import BadData
from noisybench.studies.atlas_grid import HUMAN, KINDS, PUBLISHED
from noisybench.studies.atlas_places import DETECTOR, AtlasReadings
from noisybench.studies.atlas_records import ESTIMANDS
from noisybench.studies.curvature_records import pixels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Mapping[str, str] = {"class": BLUE, "difficulty": "#E69F00"}
OFFSETS: Mapping[str, float] = {"class": 0.17, "difficulty": -0.17}
"""Of a kind of twins from the middle of its line."""
PEOPLE = VERMILLION
HEADS: Mapping[str, str] = {
    "memorization": "memorization", "clean_damage": "clean damage", "label_swap": "label swap",
    "test_accuracy": "test error",
}  # fmt: skip
"""Lines of the panel of heads; of test accuracy what lacks to 1, which is of the size of the others."""
DOTS = 110
"""Dots an inch of a .png."""
ACROSS = 8
"""Images in a row of the sheet."""
LONGEST_WORD = 11


def draw_places(found: AtlasReadings, path: Path) -> None:
    """Draw a row of three panels for each set: coordinates, heads and detectors, people's value within its twins."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    detectors = _ordered(found)
    height = max(2.7, 0.8 + 0.17 * len(detectors))
    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        figure = Figure(figsize=(11, height * len(found.sets) + 0.5), layout="constrained")
        panels = figure.subplots(len(found.sets), 3, squeeze=False, width_ratios=[1, 1, 1.25])
        for row, name in zip(panels, found.sets, strict=True):
            about = found.sets[name]
            _draw_coordinates(row[0], found, name)
            row[0].set_title(f"{name}: {about['wrong'] / about['known']:.1%} wrong", loc="left")
            strips = {words: (name, field) for field, words in HEADS.items()}
            _draw_strips(row[1], found, strips, "Mean over the wrong labels; share of test samples")
            row[1].set_title("Heads on features", loc="left")
            _draw_strips(row[2], found, {one: (name, f"{one}.auroc") for one in detectors}, "AUROC")
            row[2].set_title("Detectors", loc="left")
            row[2].tick_params(axis="y", labelsize=7)
        _draw_legend(figure)
        save_picture(figure, path)


def _ordered(found: AtlasReadings) -> list[str]:
    """Detectors by their mean AUROC on people's labels, the best last, which is drawn at the top."""
    names = [name for name, role in found.detectors.items() if role == DETECTOR]
    means = {
        name: float(np.mean([found.human(one, PUBLISHED, f"{name}.auroc") for one in found.sets])) for name in names
    }
    return sorted(names, key=lambda name: (means[name], name))


def _draw_coordinates(panel: "Axes", found: AtlasReadings, name: str) -> None:
    """People's labels and the clouds of their twins."""
    for kind, colour in COLOURS.items():
        x, y = (found.values(name, PUBLISHED, kind, field) for field in ("difficulty", "coherence"))
        panel.scatter(x, y, s=7, color=colour, alpha=0.45, linewidths=0)
    own_x, own_y = (found.human(name, PUBLISHED, field) for field in ("difficulty", "coherence"))
    panel.scatter([own_x], [own_y], s=75, marker="*", color=PEOPLE, edgecolors="black", linewidths=0.4, zorder=3)
    panel.axhline(0, color="#AAAAAA", linewidth=0.7, zorder=0)
    panel.axvline(0.5, color="#AAAAAA", linewidth=0.7, zorder=0)
    panel.margins(0.12)
    panel.set_xlabel("Difficulty (AUROC within clean class)")
    panel.set_ylabel("Coherence")
    plain_axes(panel, "both")


def _draw_strips(panel: "Axes", found: AtlasReadings, strips: Mapping[str, tuple[str, str]], label: str) -> None:
    """A line for each quantity: range and middle 95 % of the twins of each kind, and people's value."""
    known = {words: place for words, place in strips.items() if np.isfinite(found.human(place[0], PUBLISHED, place[1]))}
    for line, (name, quantity) in enumerate(known.values()):
        for kind, colour in COLOURS.items():
            twins = _drawn(found.values(name, PUBLISHED, kind, quantity), quantity)
            if len(twins):
                _draw_interval(panel, twins, line + OFFSETS[kind], colour)
        panel.scatter(
            _drawn(found.values(name, PUBLISHED, HUMAN, quantity), quantity), [line], s=45, marker="*", color=PEOPLE, edgecolors="black",
            linewidths=0.4, zorder=3,
        )  # fmt: skip
    panel.set_yticks([*range(len(known))], labels=[*known])
    panel.set_ylim(-0.6, len(known) - 0.4)
    panel.set_xlabel(label)
    plain_axes(panel, "x")


def _drawn(values: Floats, quantity: str) -> Floats:
    return 1 - values if quantity == "test_accuracy" else values


def _draw_interval(panel: "Axes", twins: Floats, at: float, colour: str) -> None:
    low, high = np.quantile(twins, [0.025, 0.975])
    panel.plot([twins.min(), twins.max()], [at, at], color=colour, linewidth=1.0)
    panel.plot([low, high], [at, at], color=colour, linewidth=3.2, alpha=0.8, solid_capstyle="butt")
    panel.plot([twins.mean()], [at], marker="|", color="black", markersize=5, markeredgewidth=0.8)


def _draw_legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="*", linestyle="", color=PEOPLE, markeredgecolor="black", markeredgewidth=0.4, markersize=9, label="people"),
        *(Line2D([], [], color=COLOURS[kind], linewidth=3, label=f"{words} twins") for kind, words in KINDS.items()),
    ]  # fmt: skip
    handles.append(Line2D([], [], marker="|", linestyle="", color="black", label="mean of twins (thick: middle 95 %)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)


def draw_extremes(found: AtlasReadings, path: Path) -> None:
    """Draw people's wrong labels of the largest value of each estimand, given → clean label and value ± error under each.

    Raises:
        BadData: The source has no images.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    groups = _groups(found.images)
    if not groups:
        msg = (
            "the source of this atlas has no images, so there is no sheet of them to draw; table 'extremes' lists them"
        )
        raise BadData(msg)
    rows = [-(-len(images) // ACROSS) for images in groups.values()]
    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        figure = Figure(figsize=(1.15 * ACROSS, 1.45 * sum(rows) + 0.3 * len(rows)), layout="constrained")
        parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=[row + 0.25 for row in rows])[:, 0]
        for part, row, ((name, estimand), images) in zip(parts, rows, groups.items(), strict=True):
            part.suptitle(f"{name}: largest {ESTIMANDS[estimand]} (heads on features)", fontsize=9)
            panels = part.subplots(row, ACROSS, squeeze=False).ravel()
            for panel in panels:
                panel.axis("off")
            for panel, one in zip(panels, images, strict=False):
                _draw_image(panel, one)
        save_picture(figure, path)


def _groups(images: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """The images of each set and estimand."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in images:
        found.setdefault((one["set"], one["estimand"]), []).append(one)
    return found


def _draw_image(panel: "Axes", one: Mapping[str, Any]) -> None:
    """An image, its labels, and its value; a frame where people contested the clean label."""
    pixels = pixels_of(one)
    grey = pixels.shape[-1] == 1
    panel.axis("on")
    panel.imshow(pixels[..., 0] if grey else pixels[..., :3], cmap="gray_r" if grey else None)
    panel.set_xticks([])
    panel.set_yticks([])
    for side in panel.spines.values():
        side.set_color(PEOPLE if one["contested"] else "#BBBBBB")
        side.set_linewidth(2 if one["contested"] else 0.5)
    panel.set_title(f"{_short(one['given'])} → {_short(one['clean'])}", fontsize=6.5, pad=2)
    contested = ", contested" if one["contested"] else ""
    panel.set_xlabel(f"{one['value']:+.2f} ± {one['error']:.2f}{contested}", fontsize=6.5, labelpad=1)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_WORD else f"{name[: LONGEST_WORD - 1]}…"
