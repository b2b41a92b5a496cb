"""Pictures of the rows of a table: intervals and rank sets, noises by detectors, and what detectors cost."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from noisybench.ground.drawing import BLUE
from noisybench.ground.errors import BadData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 60
"""Rows at most of a picture that has to fit on a page: the first."""
WIDTH = 6.6
MARKS = {"detector": ("o", BLUE), "control": ("s", "#A8457F"), "reference": ("D", "#555555")}
"""Kind of a row → its mark and colour."""
BLOCKS = {"pretrained": "features of other data", "knows_truth": "told something of the truth"}
GRID = "#E6E6E6"
BEYOND = " What lies beyond an end of the logit scale is drawn to it."
ODDS_TICKS = (1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Ticks of a logit scale below one half; above it they are mirrored."""


def draw_intervals(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Means with their intervals, best first, and beside them the ranks that each row may have."""
    from matplotlib.ticker import MaxNLocator

    rows = view["tables"][0]["rows"]
    at = _with_values(rows)[:MOST_ROWS]
    kinds = [data["entries"]["kind"][rows["entry"][row]] for row in at]
    ranked = any(rows["rank_low"][row] is not None for row in at)
    figure.set_size_inches(WIDTH, 1.3 + 0.19 * len(at))
    panels: Sequence[Axes] = figure.subplots(
        1, 2 if ranked else 1, sharey=True, squeeze=False, width_ratios=[3, 1] if ranked else [1]
    )[0]
    means = panels[0]
    for y, row in enumerate(at):
        _draw_row(panels, rows, row, y, MARKS[data["entries"]["kind"][rows["entry"][row]]])
    chance = view["tables"][0]["chance"]
    if chance is not None:
        means.axvline(chance, color="#555555", linestyle=":", linewidth=1)
        means.annotate("chance", (chance, 1), xycoords=("data", "axes fraction"), xytext=(2, 2), textcoords="offset points", fontsize=7)  # fmt: skip
    xlabel = f"{view['metric_title']} ({view['title']})"
    if _near_one(view, [rows["mean"][row] for row, kind in zip(at, kinds, strict=True) if kind == "detector"]):
        _odds_axis(means, "x", [rows["mean"][row] for row, kind in zip(at, kinds, strict=True) if kind != "reference"])
        xlabel += ", logit scale"
    means.set_yticks(range(len(at)), [_name(data, rows, row, at) for row in at], fontsize=7)
    means.set_ylim(len(at) - 0.4, -0.6)
    means.set_xlabel(xlabel)
    if ranked:
        panels[1].set_xlabel("rank")
        panels[1].set_xlim(left=0.5)
        panels[1].tick_params(axis="y", length=0)
        panels[1].xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for panel in panels:
        plain_axes(panel, "both")
    words = f"{view['metric_title']} of each row with its interval, best first; {_direction(view)}."
    if ranked:
        words += (
            " Filled: may be the best of its block (95 %). Right: rank, from one more than the rows surely better "
            "to the last place before those surely worse."
        )
    if means.get_xscale() == "logit":
        words += BEYOND
    if len(_with_values(rows)) > len(at):
        words += f" The first {len(at)} of {len(_with_values(rows))} rows."
    return words


def _draw_row(panels: "Sequence[Axes]", rows: Mapping[str, Any], row: int, y: int, mark: tuple[str, str]) -> None:
    """Draw one row of ``draw_intervals``; what may be the best of its block is filled."""
    form, colour = mark
    filled = colour if rows["surely_worse"][row] is False else "white"
    style: dict[str, Any] = {"color": colour, "marker": form, "mfc": filled, "ms": 4, "linestyle": ""}
    if rows["low"][row] is not None:
        panels[0].plot([rows["low"][row], rows["high"][row]], [y, y], color=colour, linewidth=1.3)
    panels[0].plot([rows["mean"][row]], [y], **style)
    if rows["rank_low"][row] is not None:
        panels[1].plot([rows["rank_low"][row], rows["rank_high"][row]], [y, y], color=colour, linewidth=3, alpha=0.4)
        panels[1].plot([rows["rank"][row]], [y], **style)


DIMENSIONS = {"noise": "noise", "rate": "rate of wrong labels", "source": "data set"}


def draw_families(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """A map of numbers: rows against noises, or rates or data sets where there is one noise."""
    import matplotlib as mpl

    along = {name: _along(data["slices"], name) for name in DIMENSIONS}
    by = next((name for name, found in along.items() if len({table for _, table in found}) > 1), "")
    rows = view["tables"][0]["rows"]
    kinds = data["entries"]["kind"]
    at = [row for row in _with_values(rows) if kinds[rows["entry"][row]] != "reference"]
    if by == "source":  # a contestant has a row for each of them
        first: dict[tuple[int, int], int] = {}
        for row in at:
            first.setdefault((rows["entry"][row], rows["truth_learner"][row]), row)
        at = list(first.values())
    at = at[:MOST_ROWS]
    if not by or not at:
        msg = "there is one noise, rate and data set here, so there are no families to compare; give more runs"
        raise BadData(msg)
    columns = along[by]
    names = {"noise": data["noises"], "rate": data["rates"], "source": data["sources"]["name"]}[by]
    cells = np.array([_there(view["tables"][table]["rows"], rows, at, by) for _, table in columns], dtype=np.float64).T
    named = {**rows, "source": [-1] * len(rows["entry"])} if by == "source" else rows
    labels = [_name(data, named, row, at) for row in at]
    figure.set_size_inches(0.055 * max(map(len, labels)) + 0.6 * len(columns) + 0.8, 1.9 + 0.2 * len(at))
    panel: Axes = figure.subplots()
    colours = mpl.colormaps["Blues" if view["higher"] else "Blues_r"].with_extremes(bad="#EEEEEE")
    ranked = np.array([kinds[rows["entry"][row]] == "detector" for row in at])
    told = cells[ranked] if ranked.any() else cells
    low, high = float(np.nanmin(told)), float(np.nanmax(told))
    reach = (high - low) or 1.0
    # Ends beyond the numbers keep every cell light enough for black figures.
    ends = (low, high + 0.6 * reach) if view["higher"] else (low - 0.6 * reach, high)
    panel.imshow(np.ma.masked_invalid(cells), cmap=colours, vmin=ends[0], vmax=ends[1], aspect="auto")
    for i, j in np.ndindex(*cells.shape):
        if not np.isnan(cells[i, j]):
            panel.text(j, i, _short(float(cells[i, j])), ha="center", va="center", fontsize=7)
    panel.set_xticks(range(len(columns)), [names[one] for one, _ in columns], rotation=35, ha="left", rotation_mode="anchor", fontsize=7)  # fmt: skip
    panel.xaxis.tick_top()
    panel.set_yticks(range(len(at)), labels, fontsize=7)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return f"{view['metric_title']} ({view['title']}) of each row by {DIMENSIONS[by]}; stronger colours are better, from {low:.3f} to {high:.3f}, the detectors' ends."  # fmt: skip


def draw_cost(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """The metric against the time of a detector, and the rows that no other beats in both."""
    rows = view["tables"][0]["rows"]
    kinds = data["entries"]["kind"]
    at = [
        row
        for row in _with_values(rows)
        if rows["seconds"][row] is not None and kinds[rows["entry"][row]] != "reference"
    ]
    if not at:
        msg = "no row here has both a value and a time; runs of noisybench have a timing.json that holds it"
        raise BadData(msg)
    figure.set_size_inches(WIDTH, 4.2)
    panel: Axes = figure.subplots()
    front = pareto_front([rows["seconds"][row] for row in at], [rows["mean"][row] for row in at], higher=view["higher"])
    best = [at[i] for i in front]
    for row in at:
        form, colour = MARKS[kinds[rows["entry"][row]]]
        panel.plot([rows["seconds"][row]], [rows["mean"][row]], linestyle="", marker=form, color=colour, mfc=colour if row in best else "white", ms=4.5)  # fmt: skip
    across, up = [rows["seconds"][row] for row in best], [rows["mean"][row] for row in best]
    panel.step(across, up, where="post", color=BLUE, linewidth=1, alpha=0.6)
    _time_axis(panel, [rows["seconds"][row] for row in at])
    ylabel = f"{view['metric_title']} ({view['title']})"
    if _near_one(view, [rows["mean"][row] for row in at if kinds[rows["entry"][row]] == "detector"]):
        _odds_axis(panel, "y", [rows["mean"][row] for row in at])
        ylabel += ", logit scale"
    panel.set(xlabel="time that the detector adds to a run", ylabel=ylabel)
    _name_front(panel, {_name(data, rows, row, at): (rows["seconds"][row], rows["mean"][row]) for row in best})
    plain_axes(panel, "both")
    return f"{view['metric_title']} against cost; filled and joined: rows that no other beats in both, the Pareto front. {_direction(view).capitalize()}."  # fmt: skip


def pareto_front(costs: Sequence[float], means: Sequence[float], *, higher: bool) -> list[int]:
    """Positions of those that no other beats: none costs no more and is better, or costs less and is as good; cheapest first.

    >>> pareto_front([1, 2, 3, 1], [0.7, 0.9, 0.8, 0.6], higher=True)
    [0, 1]
    """
    sign = -1 if higher else 1
    kept: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], sign * means[i])):
        if not kept or sign * means[i] < sign * means[kept[-1]]:
            kept.append(i)
    return kept


def _with_values(rows: Mapping[str, Any]) -> list[int]:
    return [row for row, mean in enumerate(rows["mean"]) if mean is not None]


def _name(data: Mapping[str, Any], rows: Mapping[str, Any], row: int, among: Sequence[int]) -> str:
    """A row's detector, with its learner, block and data set where these tell it from others."""
    entries = data["entries"]
    entry = rows["entry"][row]
    learners = {entries["learner"][rows["entry"][other]] for other in among} - {-1}
    parts = [entries["detector"][entry]]
    if len(learners) > 1 and entries["learner"][entry] >= 0:
        parts.append(data["learners"]["words"][entries["learner"][entry]])
    if entries["block"][entry]:
        parts.append(BLOCKS[entries["block"][entry]])
    if len({rows["source"][other] for other in among}) > 1 and rows["source"][row] >= 0:
        parts.append(data["sources"]["name"][rows["source"][row]])
    return " · ".join(parts)


def _along(slices: Mapping[str, Any], name: str) -> list[tuple[int, int]]:
    """Positions along one dimension of the filters and the table of each, the others being all."""
    others = [other for other in DIMENSIONS if other != name]
    return [
        (slices[name][i], table)
        for i, table in enumerate(slices["table"])
        if slices[name][i] >= 0 and all(slices[other][i] < 0 for other in others)
    ]


def _there(others: Mapping[str, Any], rows: Mapping[str, Any], at: Sequence[int], by: str) -> list[float]:
    """The mean that each of some rows has in another table; NaN where it has no row there."""

    def key(table: Mapping[str, Any], row: int) -> tuple[int, ...]:
        source = -1 if by == "source" else table["source"][row]
        return table["entry"][row], table["truth_learner"][row], source

    found = {key(others, row): others["mean"][row] for row in range(len(others["entry"]))}
    values = [found.get(key(rows, row)) for row in at]
    return [math.nan if value is None else value for value in values]


def _near_one(view: Mapping[str, Any], means: Sequence[float]) -> bool:
    """Whether most values are so near the end of the scale that an even axis would draw them as one."""
    return view["bounds"] == [0, 1] and sum(mean > 0.9 or mean < 0.1 for mean in means) > len(means) / 2  # noqa: PLR2004


def _odds_axis(panel: "Axes", axis: Literal["x", "y"], means: Sequence[float]) -> None:
    """Set an axis to the logarithm of the odds; it ends a little beyond the best, and what is perfect stands at its end."""
    shown = [np.asarray(getattr(line, f"get_{axis}data")(), dtype=np.float64) for line in panel.lines]
    low = max(1e-4, min(float(values.min()) for values in shown))
    high = 1 - max((1 - max(means)) / 3, 1e-4)
    for line, values in zip(panel.lines, shown, strict=True):
        getattr(line, f"set_{axis}data")(np.clip(values, low, high))
    getattr(panel, f"set_{axis}scale")("logit")
    span = _logit(high) - _logit(low)
    ticks: list[float] = []
    for tick in (*ODDS_TICKS, 0.5, *(1 - one for one in ODDS_TICKS[::-1])):
        if low <= tick <= high and (not ticks or _logit(tick) - _logit(ticks[-1]) > span / 7):
            ticks.append(tick)
    getattr(panel, f"set_{axis}ticks")(ticks, [f"{tick:.4f}".rstrip("0") for tick in ticks])
    getattr(panel, f"set_{axis}ticks")([], minor=True)
    ends = [1 / (1 + math.exp(-end)) for end in (_logit(low) - span / 40, _logit(high) + span / 40)]
    getattr(panel, f"set_{axis}lim")(*ends)


def _time_axis(panel: "Axes", seconds: Sequence[float]) -> None:
    """Set the axis across to the logarithm of times, with units; times of 0 stand at its start."""
    known = [one for one in seconds if one > 0] or [1.0]
    if len(known) == len(seconds):
        panel.set_xscale("log")
    else:
        panel.set_xscale("symlog", linthresh=min(known))
    low, high = panel.get_xlim()
    powers = range(math.floor(math.log10(min(known))), math.ceil(math.log10(max(known))) + 1)
    steps = (1, 2, 5) if len(powers) <= 3 else (1,)  # noqa: PLR2004 - two decades have room for them
    ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    panel.set_xticks([*([0.0] if len(known) < len(seconds) else []), *ticks], labels=None)
    panel.set_xticks([], minor=True)
    panel.xaxis.set_major_formatter(lambda value, _: _time(float(f"{value:.6g}")))


def _name_front(panel: "Axes", points: Mapping[str, tuple[float, float]]) -> None:
    """Write the names of the front beside its points, one below the other where they lie close; above it there is nothing."""
    free = math.inf
    first, last = (float(panel.transAxes.transform((end, 0))[0]) for end in (0, 1))
    step = 11 / 72 * panel.figure.dpi
    for name, point in sorted(points.items(), key=lambda one: panel.transData.transform(one[1])[1], reverse=True):
        x, y = (float(one) for one in panel.transData.transform(point))
        right = x > (first + last) / 2
        own = y + (0.3 if right else 0.7) * step
        free = min(free - step, own)
        panel.annotate(
            name,
            point,
            xytext=(-10 if right else 0, (free - y) / panel.figure.dpi * 72),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=7,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#555555"} if own - free > step else None,
        )


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _time(seconds: float) -> str:
    """A time with its unit.

    >>> _time(0.001), _time(20)
    ('1 ms', '20 s')
    """
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
    unit, size = next((one for one in units if seconds >= one[1]), units[0] if seconds == 0 else units[-1])
    return f"{seconds / size:g} {unit}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _direction(view: Mapping[str, Any]) -> str:
    return "higher is better" if view["higher"] else "lower is better"


def plain_axes(panel: "Axes", axis: Literal["x", "y", "both"]) -> None:
    """Give axes a light grid, and no frame."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis=axis, color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
