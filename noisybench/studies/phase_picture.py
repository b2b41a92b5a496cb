"""The pictures of the phase study: a map for each detector, who leads, named points in maps of their own, and the three parts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from noisybench.board.row_pictures import plain_axes
from noisybench.ground.drawing import BLUE, VERMILLION, check_picture, in_style, save_picture
from noisybench.studies.phase_maps import (
    MapTarget,
    OfTargets,
    PhaseMaps,
    PhaseRecord,
    in_every_row,
    leads,
    mean_or_nan,
    phase_maps_of,
)
from noisybench.studies.phase_points import MAIN
from noisybench.studies.results import StudyResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = "RdBu"
"""From 0 over .5 to 1: below one half red, above it blue, which all eyes tell apart."""
LEADERS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")
"""Of detectors that lead, those of most targets first; Okabe and Ito."""
OTHERS = "#BBBBBB"
PARTS: Mapping[str, tuple[str, str, str]] = {
    "given_label": ("given label alone", "#E69F00", "s"),
    "held_out_answers": ("held-out answers beyond it", BLUE, "o"),
    "rest": ("rest of the score", VERMILLION, "^"),
}
"""Field → what it is called, its colour and its mark."""
ACROSS = 4  # panels in a row
PANEL = 2.45  # inches, the width of one
MOST_NUMBERS = 6  # targets of an axis up to which each cell tells its number
DOTS = 84  # an inch of a .png, which so stays below 300 kB
HALF = 0.5
DARK = 0.35  # distance from one half beyond which a colour is dark, so that text on it is white
SHRUNK = 0.94  # of the way to its neighbours: so cells at realised coordinates do not lie on each other
MOST_LETTERS = 30  # of a title
OWN_MAPS = (
    "Named points, in maps of their own counts: the best detector's AUROC; circle: counterpart, class-conditional; diamond: "
    "as named"
)

DrawPanel: TypeAlias = Callable[["Axes"], None]
TargetValues: TypeAlias = Mapping[MapTarget, float]
"""Target → the mean of a value over its draws."""


class DrawnCell(NamedTuple):
    """Where a reached target is drawn: the mean of its realised coordinates over draws, and the cell about it."""

    x: float
    y: float
    left: float
    below: float
    width: float
    height: float


DrawnCells: TypeAlias = Mapping[MapTarget, DrawnCell]


def draw_phase(results: StudyResults, path: str | Path) -> list[Path]:
    """Draw the pictures into .png, .svg or .pdf files: the maps, and beside them what AUROC comes from, and networks.

    Axes of maps are realised coordinates. A target that was not reached is blank, and the line of .5 is drawn between
    reached neighbours alone.

    Args:
        results: Of the study.
        path: Of the maps: who leads, each detector, memorization, and named points in maps of their own. The parts are
            beside it with ``-parts`` at the end of the name, and detectors of trainings, where networks were trained,
            with ``-networks``.

    Returns:
        The files.

    Raises:
        BadUsage: Another kind of picture.
        MissingPackage: It needs matplotlib.
    """
    picture, maps = check_picture(path), phase_maps_of(results)
    beside = {what: picture.with_stem(f"{picture.stem}-{what}") for what in ("parts", "networks")}
    _draw_maps(maps, picture)
    _draw_all_parts(maps, beside["parts"])
    trained = any(one["by"] == "training" for one in maps.scores)
    if trained:
        _draw_networks(maps, beside["networks"])
    return [picture, beside["parts"], *([beside["networks"]] if trained else [])]


def _draw_maps(maps: PhaseMaps, path: Path) -> None:
    """Who leads, each detector, memorization in closed form and by networks, and named points."""
    cells, asked = drawn_cells(maps, MAIN), asked_cells(maps)
    values = maps.at_targets("auroc", by="features")
    closed = maps.at_targets("auroc", by="closed_form")
    panels: list[DrawPanel] = [partial(_draw_leaders, maps=maps, cells=cells)] if cells else []
    panels += [
        partial(_draw_map, title=name, cells=cells, asked=asked, values=_means(values[name]))
        for name in maps.detectors()
        if name in values
    ]
    panels += [
        partial(_draw_map, title=f"{name}, in closed form", cells=cells, asked=asked, values=_means(of))
        for name, of in closed.items()
    ]
    pools = [one for one in maps.scores if one["by"] == "pool"]
    if pools:
        panels.append(partial(_draw_dots, title="memorization, subset models", records=pools, maps=maps))
    named = [name for name in maps.named if maps.placed(role="named", where=name)]
    panels += [partial(_draw_named, maps=maps, name=name) for name in named]
    _draw_panels(panels, path, ("Difficulty", "Coherence"), f"; black line: .5{f'. {OWN_MAPS}' if named else ''}")


def _draw_networks(maps: PhaseMaps, path: Path) -> None:
    """A map of each detector of trainings, at the points at which networks were trained."""
    found: dict[str, list[PhaseRecord]] = {}
    for one in maps.scores:
        if (one["by"], one["kind"]) == ("training", "detector"):
            found.setdefault(one["detector"], []).append(one)
    panels: list[DrawPanel] = [
        partial(_draw_dots, title=name, records=records, maps=maps) for name, records in found.items()
    ]
    _draw_panels(panels, path, ("Difficulty", "Coherence"))


def _draw_all_parts(maps: PhaseMaps, path: Path) -> None:
    """What each detector's AUROC comes from: three parts by coherence, means over the difficulties of every row."""
    cells = drawn_cells(maps, MAIN)
    fields = {field: maps.at_targets(field, by="features") for field in ("auroc", *PARTS)}
    lines = {
        name: {field: _by_coherence(cells, _means(of.get(name, {}))) for field, of in fields.items()}
        for name in maps.detectors()
        if name in fields["auroc"]
    }
    heights = [height - HALF * (field == "auroc") for of in lines.values() for field in of for _, height in of[field]]
    ends = (min(heights, default=0.0) - 0.04, max(heights, default=0.0) + 0.04)
    panels: list[DrawPanel] = [partial(_draw_parts, title=name, lines=of, ends=ends) for name, of in lines.items()]
    _draw_panels(panels, path, ("Coherence", "AUROC − .5"))


def drawn_cells(maps: PhaseMaps, where: str) -> dict[MapTarget, DrawnCell]:
    """Every reached target of a map and its cell, which ends half-way to the targets beside it."""
    found: dict[MapTarget, list[PhaseRecord]] = {}
    for one in maps.placed(role="target", where=where):
        found.setdefault(MapTarget(one["target_difficulty"], one["target_coherence"]), []).append(one)
    cells = {}
    for target, points in found.items():
        x, y = (mean_or_nan(one[field] for one in points) for field in ("difficulty", "coherence"))
        cells[target] = _cell(maps, where, target, (x, y))
    return cells


def asked_cells(maps: PhaseMaps) -> list[DrawnCell]:
    """DrawnCells of all targets of the main map, where they were asked for: the frame in which what was not reached is blank."""
    targets = [MapTarget(*place) for place in product(maps.grid.difficulty, maps.grid.coherence)]
    return [_cell(maps, MAIN, target, target) for target in targets]


def _cell(maps: PhaseMaps, where: str, target: MapTarget, place: tuple[float, float]) -> DrawnCell:
    """The cell of a target about the place where it is drawn."""
    grid, (x, y) = maps.grid, place
    axes = (grid.difficulty, grid.coherence) if where == MAIN else (grid.named_difficulty, grid.named_coherence)
    sides = [_sides(axis, value) for axis, value in zip(axes, target, strict=True)]
    left, right, below, above = (SHRUNK * side for pair in sides for side in pair)
    return DrawnCell(x, y, x - left, y - below, left + right, below + above)


def _sides(axis: Sequence[float], value: float) -> tuple[float, float]:
    """Half the distance to the target before and after one; at an end that of the other side, and .05 of one alone."""
    steps = [abs(other - value) / 2 for other in axis]
    place = min(range(len(axis)), key=steps.__getitem__)
    before = steps[place - 1] if place else None
    after = steps[place + 1] if place + 1 < len(axis) else None
    one = before if before is not None else after if after is not None else 0.05
    return (one if before is None else before), (one if after is None else after)


def _means(of: OfTargets) -> dict[MapTarget, float]:
    return {target: mean_or_nan(draws.values()) for target, draws in of.items()}


def _by_coherence(cells: DrawnCells, values: TargetValues) -> list[tuple[float, float]]:
    """Mean realised coherence and mean value of each row, over the difficulties that were reached in every row."""
    rows: dict[float, list[MapTarget]] = {}
    for target in in_every_row(values):
        rows.setdefault(target.coherence, []).append(target)
    return [
        (mean_or_nan(cells[one].y for one in targets), mean_or_nan(values[one] for one in targets))
        for _, targets in sorted(rows.items())
    ]


def _draw_panels(panels: Sequence[DrawPanel], path: Path, axes: tuple[str, str], words: str = "") -> None:
    """Small multiples, ``ACROSS`` in a row; below them the bar of AUROC, or the legend of the lines in the first."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = max(1, min(ACROSS, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        figure = Figure(figsize=(PANEL * max(columns, 2), 0.7 + 0.93 * PANEL * rows), layout="constrained")
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for number, (place, draw) in enumerate(zip(places, panels, strict=False)):
            draw(place)
            place.tick_params(labelsize=7, length=2)
            place.locator_params(nbins=6)
            if number % columns == 0:
                place.set_ylabel(axes[1], fontsize=8)
            if number + columns >= len(panels):
                place.set_xlabel(axes[0], fontsize=8)
        for place in places[len(panels) :]:
            place.set_axis_off()
        if not panels:
            places[0].text(0.5, 0.5, "nothing was reached", transform=places[0].transAxes, ha="center")
        _draw_key(figure, [*places[: len(panels)]], words)
        save_picture(figure, path)


def _draw_key(figure: "Figure", places: Sequence["Axes"], words: str) -> None:
    """Below: the bar of AUROC, and above who is who among leaders; or, where panels have lines, their legend."""
    from matplotlib.cm import ScalarMappable

    if not places:
        return
    handles, names = places[0].get_legend_handles_labels()
    told = dict(zip(names, handles, strict=True))  # each name once
    looks: Mapping[str, Any] = {"ncols": 5, "fontsize": 8, "frameon": False}
    if places[0].lines:
        figure.legend([*told.values()], [*told], loc="outside lower center", **looks)
        return
    if told:
        figure.legend([*told.values()], [*told], loc="outside upper center", **looks)
    shown = ScalarMappable(_norm(), COLOURS)
    bar = figure.colorbar(shown, ax=places, location="bottom", shrink=0.5, aspect=40, pad=0.01)
    bar.set_label(f"AUROC{words}", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _norm() -> Any:  # noqa: ANN401 - of matplotlib
    from matplotlib.colors import Normalize

    return Normalize(0, 1)


def _colour(value: float) -> Any:  # noqa: ANN401 - a colour
    import matplotlib as mpl

    return mpl.colormaps[COLOURS](value)


def _draw_map(panel: "Axes", title: str, cells: DrawnCells, asked: Sequence[DrawnCell], values: TargetValues) -> None:
    """A cell for each reached target in the colour of its value, and the line of one half."""
    for target, value in values.items():
        _draw_cell(panel, cells[target], _colour(value), _number(value) if _has_numbers(cells) else "", value=value)
    _draw_half(panel, cells, values)
    _frame(panel, title, [*cells.values(), *asked])


def _draw_cell(panel: "Axes", cell: DrawnCell, colour: Any, text: str, *, value: float = HALF, label: str = "") -> None:  # noqa: ANN401
    """A filled cell with a text in it; ``label`` is what the legend calls it."""
    from matplotlib.patches import Rectangle

    place = (cell.left, cell.below), cell.width, cell.height
    panel.add_patch(Rectangle(*place, facecolor=colour, edgecolor="none", label=label or None))
    _write(panel, (cell.x, cell.y), text, value, colour)


def _write(panel: "Axes", place: tuple[float, float], text: str, value: float, colour: Any) -> None:  # noqa: ANN401
    """A number on the colour of its value, above any line."""
    from matplotlib.patheffects import withStroke

    ink = "white" if abs(value - HALF) > DARK else "black"
    around = [withStroke(linewidth=2, foreground=colour)]
    panel.text(*place, text, ha="center", va="center", fontsize=7, color=ink, path_effects=around, zorder=5)


def _has_numbers(cells: DrawnCells) -> bool:
    return all(len({target[axis] for target in cells}) <= MOST_NUMBERS for axis in range(2))


def _number(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _draw_half(panel: "Axes", cells: DrawnCells, values: TargetValues) -> None:
    """The line of .5, by interpolation within each three or four neighbouring targets that were reached."""
    columns, rows = (sorted({target[axis] for target in values}) for axis in range(2))
    if min(len(columns), len(rows)) < 2 or not min(values.values()) < HALF < max(values.values()):  # noqa: PLR2004
        return
    x, y, heights = (np.full((len(rows), len(columns)), np.nan) for _ in range(3))
    for row, coherence in enumerate(rows):
        for column, difficulty in enumerate(columns):
            target = MapTarget(difficulty, coherence)
            x[row, column], y[row, column] = difficulty, coherence
            if target in values:
                x[row, column], y[row, column] = cells[target].x, cells[target].y
                heights[row, column] = values[target]
    panel.contour(x, y, np.ma.masked_invalid(heights), levels=[HALF], colors="black", linewidths=1.6)


def _frame(panel: "Axes", title: str, cells: Iterable[DrawnCell]) -> None:
    """Title and limits of a map."""
    shown = [*cells]
    if shown:
        panel.set_xlim(min(one.left for one in shown), max(one.left + one.width for one in shown))
        panel.set_ylim(min(one.below for one in shown), max(one.below + one.height for one in shown))
    panel.set_title(title if len(title) <= MOST_LETTERS else f"{title[: MOST_LETTERS - 1]}…", fontsize=8.5)
    plain_axes(panel, "both")
    panel.grid(visible=False)


def _draw_leaders(panel: "Axes", maps: PhaseMaps, cells: DrawnCells) -> None:
    """The detector of the highest mean AUROC at each target; hatched where it is not ahead in every draw."""
    from matplotlib.patches import Rectangle

    found = leads(maps)
    counts = {name: sum(one.best == name for one in found) for name in dict.fromkeys(one.best for one in found)}
    order = sorted(counts, key=lambda name: (-counts[name], name))
    colours = dict(zip(order, LEADERS, strict=False))
    for one in sorted(found, key=lambda one: order.index(one.best)):
        cell, colour = cells[one.target], colours.get(one.best, OTHERS)
        name = one.best if one.best in colours else "others"
        _draw_cell(panel, cell, colour, _number(mean_or_nan(one.of_draws)) if _has_numbers(cells) else "", label=name)
    for one in found:
        if min(one.ahead) <= 0:
            cell = cells[one.target]
            place, told = ((cell.left, cell.below), cell.width, cell.height), "not ahead in every draw"
            panel.add_patch(Rectangle(*place, fill=False, hatch="////", edgecolor="#00000055", linewidth=0, label=told))
    _frame(panel, "who leads, and its AUROC", [*cells.values(), *asked_cells(maps)])


def _draw_dots(panel: "Axes", title: str, records: Sequence[PhaseRecord], maps: PhaseMaps) -> None:
    """A dot for each point at which networks were trained."""
    x, y, values = (np.array([one[field] for one in records]) for field in ("difficulty", "coherence", "auroc"))
    panel.scatter(x, y, c=values, s=190, cmap=COLOURS, norm=_norm(), edgecolors="#555555", linewidths=0.5)
    for place, value in zip(zip(x, y, strict=True), values, strict=True):
        _write(panel, place, _number(value), value, _colour(value))
    _frame(panel, title, asked_cells(maps))


def _draw_named(panel: "Axes", maps: PhaseMaps, name: str) -> None:
    """The best AUROC of any detector in the map of a named variant: at its targets, its counterpart, and itself."""
    cells = drawn_cells(maps, name)
    values: dict[MapTarget, float] = {}
    of_detectors = maps.at_targets("auroc", by="features", where=name)
    for detector in maps.detectors():
        for target, value in _means(of_detectors.get(detector, {})).items():
            values[target] = max(value, values.get(target, 0.0))
    for target, value in values.items():
        _draw_cell(panel, cells[target], _colour(value), "")
    ends = {role: _place_of(maps, name, role) for role in ("counterpart", "named")}
    known = {role: place for role, place in ends.items() if place is not None}
    around = [DrawnCell(x, y, x - 0.06, y - 0.06, 0.12, 0.12) for x, y, _ in known.values()]
    _frame(panel, name, [*cells.values(), *around])
    if len(known) == len(ends):
        (x, y, _), (x2, y2, _) = known["counterpart"], known["named"]
        panel.annotate("", (x2, y2), (x, y), arrowprops={"arrowstyle": "-|>", "shrinkA": 8, "shrinkB": 8, "color": "black"})  # fmt: skip
    for role, (x, y, value) in known.items():
        mark = "o" if role == "counterpart" else "D"
        panel.scatter([x], [y], color=[_colour(value)], marker=mark, s=170, edgecolors="black", linewidths=1, zorder=3)
        _write(panel, (x, y), _number(value), value, _colour(value))


def _place_of(maps: PhaseMaps, name: str, role: str) -> tuple[float, float, float] | None:
    """Mean coordinates of the points of a role, and the best detector's mean AUROC there."""
    points = maps.placed(role=role, where=name)
    found = maps.at("auroc", role=role, where=name)
    best = max((mean_or_nan(found[detector]) for detector in maps.detectors() if detector in found), default=None)
    if not points or best is None:
        return None
    return mean_or_nan(one["difficulty"] for one in points), mean_or_nan(one["coherence"] for one in points), best


def _draw_parts(
    panel: "Axes", title: str, lines: Mapping[str, Sequence[tuple[float, float]]], ends: tuple[float, float]
) -> None:
    """A line for each part over coherence, and one for their sum."""
    panel.axhline(0, color="#999999", linewidth=0.8)
    for field, (words, colour, mark) in PARTS.items():
        panel.plot(
            *zip(*lines[field], strict=True), color=colour, marker=mark, markersize=3.5, linewidth=1.2, label=words
        )
    total = [(x, value - HALF) for x, value in lines["auroc"]]
    panel.plot(*zip(*total, strict=True), color="black", linewidth=1.6, linestyle="--", label="together")
    panel.set_ylim(*ends)
    panel.set_title(title if len(title) <= MOST_LETTERS else f"{title[: MOST_LETTERS - 1]}…", fontsize=8.5)
    plain_axes(panel, "both")
