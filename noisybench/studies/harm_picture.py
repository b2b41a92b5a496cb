"""The picture of the harm study: theory as curves, the simulated table as points, and the networks."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisybench.board.row_pictures import plain_axes
from noisybench.ground.drawing import BLUE, VERMILLION, in_style, save_picture
from noisybench.studies.harm_networks import LOOKUP
from noisybench.studies.harm_runs import MEMORIZING
from noisybench.studies.study import StudyFindings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN, PURPLE, GREY, SKY, ORANGE = "#009E73", "#CC79A7", "#555555", "#56B4E9", "#E69F00"
RATE_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE)
LOOKS: Mapping[str, tuple[str, str]] = {
    MEMORIZING: ("black", "o"),
    "label_smoothing .1": (SKY, "v"),
    "label_smoothing .4": (SKY, "^"),
    "label_smoothing -1": (SKY, "<"),
    "backward_correction, true": (VERMILLION, "s"),
    "backward_correction, hoc": (VERMILLION, "D"),
    "forward_correction, true": (ORANGE, "s"),
    "forward_correction, hoc": (ORANGE, "D"),
    "peer_loss": (GREEN, "P"),
    "cores": (GREEN, "X"),
    "elr": (PURPLE, "*"),
    "car": (BLUE, "h"),
}
"""Colour and mark of each treatment: colours of a family are alike."""


DOTS = 88
"""Dots an inch of a .png, which so stays below 200 kB."""


def draw_findings(findings: StudyFindings, path: Path) -> None:
    """Draw the four panels of the study into a .png, .svg or .pdf file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        figure = Figure(figsize=(9.5, 8.2), layout="constrained")
        panels = figure.subplots(2, 2)
        _draw_costs(panels[0, 0], findings)
        _draw_bounds(panels[0, 1], findings)
        networks = findings.to_records("networks")
        rate = max(record["rate"] for record in networks)
        here = [record for record in networks if record["rate"] == rate]
        _draw_networks(panels[1, 0], here, "harm", "Harm on held-out siblings")
        panels[1, 0].set_title(f"Networks at e = {rate:g}: error above that of right labels")
        _draw_networks(
            panels[1, 1],
            [one for one in here if one["treatment"] not in (MEMORIZING, LOOKUP)],
            "worse",
            "Share of units",
        )
        panels[1, 1].set_title(f"Units that err more than under {MEMORIZING}")
        handles, names = panels[1, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
        save_picture(figure, path)


def _draw_costs(panel: "Axes", findings: StudyFindings) -> None:
    """Excess error of a memorised wrong label by l: exact in three domains, simulated, and the lower bound."""
    records = findings.to_records("lookup")
    rate, classes = (max(record[field] for record in records) for field in ("rate", "classes"))
    costs = findings.to_records("costs")
    for name, style in (("this spectrum", "-"), ("masses like 1/rank", "--"), ("equal masses", ":")):
        own = [one for one in costs if one["domain"] == name]
        _line(
            panel, own, [one["posterior_mass"] * rate for one in own], color=BLUE, linestyle=style, label=f"τ·e, {name}"
        )
    own = [one for one in costs if one["domain"] == "this spectrum" and one["mass_lower_bound"] > 0]
    _line(
        panel,
        own,
        [one["mass_lower_bound"] * rate for one in own],
        color=GREY,
        linestyle="-.",
        label="l²/n²·weight·e, a lower bound",
    )
    own = [
        one for one in records
        if (one["rate"], one["classes"], one["treatment"]) == (rate, classes, MEMORIZING) and one["simulated_excess"]
    ]  # fmt: skip
    panel.errorbar(
        [one["copies"] for one in own],
        [one["simulated_excess"] for one in own],
        [2 * one["stderr"] for one in own],
        color=VERMILLION, fmt="o", markersize=4, label="table of this spectrum, simulated",
    )  # fmt: skip
    networks = [
        one for one in findings.to_records("networks")
        if (one["rate"], one["treatment"]) == (rate, MEMORIZING) and (one.get("harm_drawn") or 0) > 0
    ]  # fmt: skip
    samples = sum(one["copies"] * one["units"] for one in networks)
    harms = [one["copies"] / samples * one["harm_drawn"] for one in networks]
    _line(panel, networks, harms, color="black", linestyle="", marker="x", label="networks, cross-entropy: l/n · harm")
    _axes(panel, {one["copies"] for one in costs}, "Excess error of an instance")
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.set_title(f"What memorised labels cost (e = {rate:g})")
    panel.legend(fontsize=7, frameon=False)


def _draw_bounds(panel: "Axes", findings: StudyFindings) -> None:
    """Probability that a correction fails: exact, simulated, and both theorems."""
    records = [one for one in findings.to_records("bounds") if one["copies"] <= MOST_LABELS]
    for rate, colour in zip(DRAWN, RATE_COLOURS, strict=False):
        own = [one for one in records if one["rate"] == rate]
        even = [one for one in own if one["fail_bound"] is not None]
        named = rate == DRAWN[-1]  # the styles are alike for both
        _line(panel, own, [one["fails"] for one in own], color=colour, label=f"exact, e = {rate:g}")
        seen = [1 - one["simulated_helps"] / one["simulated"] for one in own]
        looks = {"linestyle": "", "marker": "o", "markersize": 3, "markerfacecolor": "white"}
        _line(panel, own, seen, color=colour, label="table, simulated" if named else None, **looks)
        most = [1 - one["help_bound"] for one in own]
        _line(panel, own, most, color=colour, linestyle="--", label="at most, by theorem 7" if named else None)
        least, words = [one["fail_bound"] for one in even], "at least at even l, by theorem 8"
        _line(panel, even, least, color=colour, linestyle="", marker="_", label=words if named else None)
    panel.set_xlabel("Labels of the instance, l")
    panel.set_ylabel("P[half or more are wrong]")
    panel.set_ylim(0, 1.35)  # room for the legend
    panel.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    panel.set_title("Where a correction fails, two classes")
    plain_axes(panel, "both")
    panel.legend(loc="upper right", fontsize=7, frameon=False, ncols=2)


DRAWN = (0.2, 0.4)
"""Rates at which the bounds are drawn."""
MOST_LABELS = 33
"""Labels up to which the bounds are drawn."""


def _draw_networks(panel: "Axes", records: Sequence[Mapping[str, Any]], value: str, axis: str) -> None:
    """A line for each treatment over l."""
    for name in dict.fromkeys(record["treatment"] for record in records):
        own = [one for one in records if one["treatment"] == name and one.get(value) is not None]
        if name == LOOKUP:
            _line(
                panel,
                own,
                [one[value] for one in own],
                color=GREY,
                linestyle="--",
                label="lookup table, largest answer",
            )
            continue
        colour, mark = LOOKS.get(name, (GREY, "."))
        _line(panel, own, [one[value] for one in own], color=colour, marker=mark, markersize=5, label=name, linewidth=1)
    _axes(panel, {record["copies"] for record in records}, axis)


def _line(panel: "Axes", records: Sequence[Mapping[str, Any]], values: Sequence[float], **looks: Any) -> None:  # noqa: ANN401
    panel.plot([one["copies"] for one in records], values, **looks)


def _axes(panel: "Axes", copies: Iterable[int], axis: str) -> None:
    """Give a panel its numbers of copies on a logarithmic axis."""
    panel.set_xscale("log", base=2)
    panel.set_xticks(sorted(copies), labels=[str(one) for one in sorted(copies)])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("Copies of the instance, l")
    panel.set_ylabel(axis)
    plain_axes(panel, "both")
