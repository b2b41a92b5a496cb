"""The pictures of the curvature study: AUROC by epoch, rate and step; and the most curved images with their labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisybench.board.row_pictures import plain_axes
from noisybench.ground.drawing import BLUE, VERMILLION, in_style, save_picture
from noisybench.ground.errors import BadData
from noisybench.studies.curvature_cells import SHARES, Readings, Spread, by_run, spread
from noisybench.studies.curvature_records import LAST, pixels_of
from noisybench.studies.curvature_runs import CURVATURE
from noisybench.studies.curvature_tables import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN, PURPLE, GREY, SKY, ORANGE = "#009E73", "#CC79A7", "#555555", "#56B4E9", "#E69F00"
LOOKS: Mapping[str, tuple[str, str]] = {
    CURVATURE: (BLUE, "o"),
    LAST: (SKY, "v"),
    "cumulative_loss": (VERMILLION, "s"),
    "final_loss": (ORANGE, "D"),
    "input_gradient_norm": (GREEN, "^"),
    "curvature_zeroth": (PURPLE, "P"),
    "gauss_newton_trace": (GREY, "X"),
}
"""Colour and mark of each measure that is drawn."""
KIND_COLOURS = {"flips": VERMILLION, "copies": PURPLE, "twins": BLUE, "right": GREY, "other": GREY}
KIND_WORDS = {"flips": "flip", "copies": "copy", "twins": "twin", "right": "", "other": ""}
ACROSS = 8
"""Images in a row of the sheet."""
DOTS = 100
"""Dots an inch of a .png."""


def draw_panels(found: Readings, path: Path) -> None:
    """Draw a row of panels for each source: by epoch, by rate, and by step."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        figure = Figure(figsize=(10.5, 3.5 * len(found.sources) + 0.6), layout="constrained")
        panels = figure.subplots(len(found.sources), 3, squeeze=False)
        for row, source in zip(panels, found.sources, strict=True):
            _draw_epochs(row[0], found, source)
            _draw_rates(row[1], found, source)
            _draw_steps(row[2], found, source)
        handles, names = panels[0, 1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
        save_picture(figure, path)


def _draw_epochs(panel: "Axes", found: Readings, source: str) -> None:
    """AUROC at single epochs, and of the mean over epochs as a line across."""
    centre = found.centre(source)
    lines = (
        (CURVATURE, "curvature", "flips", "-"),
        ("cumulative_loss", "loss", "flips", "-"),
        (CURVATURE, "curvature", "pairs", "--"),
    )
    for mean, measure, target, style in lines:
        own = [one for one in found.of("epoch", centre) if (one["measure"], one["target"]) == (measure, target)]
        epochs = sorted({int(one["epoch"]) for one in own})
        if not epochs:
            continue
        colour = LOOKS[mean][0]
        values = [spread(by_run(own, "auroc", epoch=epoch), bounds=SHARES) for epoch in epochs]
        _line(panel, epochs, values, color=colour, linestyle=style, marker=".", label=f"{measure}, {target}")
        panel.axhline(found.auroc(centre, mean, target).value, color=colour, linestyle=style, linewidth=0.8, alpha=0.6)
    panel.set_xlabel("Epoch (thin: mean over epochs)")
    panel.set_ylabel("AUROC")
    panel.set_title(f"{source}: single epochs")
    panel.legend(fontsize=7, frameon=False, handlelength=3)
    plain_axes(panel, "both")


def _draw_rates(panel: "Axes", found: Readings, source: str) -> None:
    """AUROC for flips by rate, of each measure."""
    centre, rates = found.centre(source), [one for one in found.rates(source) if one is not None]
    places = [*range(len(rates))]
    for number, (measure, (colour, mark)) in enumerate(LOOKS.items()):
        values = [found.auroc(centre._replace(rate=rate), measure, "flips") for rate in rates]
        if any(one.over for one in values):
            at = [place + 0.05 * (number - 3) for place in places]
            _line(panel, at, values, color=colour, marker=mark, markersize=4, linewidth=0.8, label=named(measure))
    panel.set_xticks(places, labels=[f"{100 * rate:g} %" for rate in rates])
    panel.set_xlabel("Rate of flips")
    panel.set_title(f"Flips found at step {centre.step:g}")
    plain_axes(panel, "both")


def _draw_steps(panel: "Axes", found: Readings, source: str) -> None:
    """AUROC by step, of flips and of pairs, with each activation."""
    for activation, colour in zip(found.grid.activations, (BLUE, VERMILLION), strict=False):
        for target, style in (("flips", "-"), ("pairs", "--")):
            settings = [found.centre(source)._replace(activation=activation, step=step) for step in found.grid.steps]
            values = [found.auroc(one, CURVATURE, target) for one in settings]
            _line(
                panel,
                found.grid.steps,
                values,
                color=colour,
                linestyle=style,
                marker=".",
                label=f"{activation}, {target}",
            )
    panel.set_xscale("log")
    panel.set_xticks(found.grid.steps, labels=[f"{step:g}" for step in found.grid.steps])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("Step")
    panel.set_title("Mean curvature by step")
    panel.legend(fontsize=7, frameon=False, handlelength=3)
    plain_axes(panel, "both")


def _line(panel: "Axes", at: Sequence[float], values: Sequence[Spread], **looks: Any) -> None:  # noqa: ANN401
    """Means as a line, with their intervals as bars."""
    middle = [one.value for one in values]
    reach = [[max(one.value - one.low, 0) for one in values], [max(one.high - one.value, 0) for one in values]]
    panel.errorbar(at, middle, reach, elinewidth=0.8, **looks)
    bottom, _ = panel.get_ylim() if panel.lines else (1.0, 1.0)
    panel.set_ylim(min(bottom, min(middle) - 0.05), 1.01)  # intervals may go on below


def draw_sheets(found: Readings, path: Path) -> None:
    """Draw the most curved images of each source, the most curved first, with given and clean label and what was planted.

    Raises:
        BadData: No source has images.
    """
    from matplotlib.figure import Figure

    sheets = {name: [one for one in found.of("image") if one["source"] == name] for name in found.sources}
    sheets = {name: images for name, images in sheets.items() if images}
    if not sheets:
        msg = "the sources of this study are no images, so there is no sheet of them to draw"
        raise BadData(msg)
    rows = {name: -(-len(images) // ACROSS) for name, images in sheets.items()}
    with in_style():
        figure = Figure(figsize=(1.15 * ACROSS, 1.5 * sum(rows.values()) + 0.4 * len(rows)), layout="constrained")
        parts = figure.subfigures(len(sheets), 1, squeeze=False, height_ratios=[*rows.values()])[:, 0]
        for part, (name, images) in zip(parts, sheets.items(), strict=True):
            step = found.centre(name).step
            part.suptitle(
                f"{name}: most curved first (mean over epochs, step {step:g}); given label, clean label", fontsize=9
            )
            panels = part.subplots(rows[name], ACROSS, squeeze=False).ravel()
            for panel in panels:
                panel.axis("off")
            for panel, one in zip(panels, images, strict=False):
                _draw_image(panel, one)
        save_picture(figure, path)


def _draw_image(panel: "Axes", one: Mapping[str, Any]) -> None:
    """One image with its labels; the colour of its frame says what was planted."""
    pixels = pixels_of(one)
    colour = KIND_COLOURS[one["kind"]]
    panel.axis("on")
    panel.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray_r" if pixels.shape[-1] == 1 else None)
    panel.set_xticks([])
    panel.set_yticks([])
    for side in panel.spines.values():
        side.set_color(colour)
        side.set_linewidth(2)
    clean = one.get("clean", "none")
    word = KIND_WORDS[one["kind"]]
    panel.set_title(f"{one['given']}, {clean}" if clean != one["given"] else one["given"], fontsize=7, color=colour)
    panel.set_xlabel(word, fontsize=7, color=colour, labelpad=1)
