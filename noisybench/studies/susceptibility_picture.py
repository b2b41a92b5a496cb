"""The picture of the susceptibility study: susceptibility against training accuracy, coloured by test accuracy, with the regions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from noisybench.board.row_pictures import plain_axes
from noisybench.ground.drawing import check_picture, in_style, save_picture
from noisybench.statistics.regions import thresholds_of
from noisybench.studies.results import StudyResults
from noisybench.studies.susceptibility_grid import PRIMARY
from noisybench.studies.susceptibility_pools import Trained, trained_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "osD^vPX"
"""Marks of learning rates, in their order."""
LINEAR = 0.1
"""Susceptibility up to which its axis is linear; above, it is logarithmic, for one model that diverges may have hundreds."""
DOTS = 110
"""Dots an inch of a .png."""
CORNERS = {1: (0.98, 0.02, "right", "bottom"), 2: (0.98, 0.98, "right", "top"),
           3: (0.02, 0.02, "left", "bottom"), 4: (0.02, 0.98, "left", "top")}  # fmt: skip
NAMES = {
    1: "1 trainable,\nresistant",
    2: "2 trainable,\nnot resistant",
    3: "3 not trainable,\nresistant",
    4: "4 neither",
}


def draw_susceptibility(results: StudyResults, path: str | Path) -> Path:
    """Draw a panel for each variant into a .png, .svg or .pdf file; a point is a setting, the mean over its seeds.

    Raises:
        BadUsage: Another kind of file.
        MissingPackage: matplotlib is not installed.
    """
    picture = check_picture(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    trained = trained_of(results)
    columns = min(2, len(trained))
    rows = -(-len(trained) // columns)
    with in_style():
        mpl.rcParams["savefig.dpi"] = DOTS
        figure = Figure(figsize=(0.4 + 4.6 * columns, 0.5 + 3.5 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, one in zip(panels, trained, strict=False):
            _draw_variant(figure, panel, one)
        for panel in panels[len(trained) :]:
            panel.set_axis_off()
        _draw_legend(figure, trained)
        save_picture(figure, picture)
    return picture


def _draw_variant(figure: "Figure", panel: "Axes", one: Trained) -> None:
    """Settings of a variant, and where its regions meet."""
    accuracy, zeta, tested = (one.mean(field) for field in ("train_accuracy", f"zeta.{PRIMARY}", "test_accuracy"))
    rates = np.array([setting.learning_rate for setting in one.settings])
    known = np.isfinite(accuracy) & np.isfinite(zeta)
    shown = np.isfinite(tested[known])
    limits = (float(tested[known][shown].min()), float(tested[known][shown].max())) if shown.any() else (0.0, 1.0)
    points = None
    for rate, mark in zip(sorted({*rates.tolist()}), MARKS, strict=False):
        here = known & (rates == rate)
        points = panel.scatter(
            accuracy[here], zeta[here], c=tested[here], marker=mark, s=34, cmap="viridis", vmin=limits[0], vmax=limits[1],
            edgecolors="black", linewidths=0.4, plotnonfinite=True,
        )  # fmt: skip
    at = [float(end) for end in thresholds_of(accuracy, zeta)]
    if np.isfinite(at).all():
        panel.axvline(at[0], color="black", linewidth=0.8, linestyle="--")
        panel.axhline(at[1], color="black", linewidth=0.8, linestyle="--")
    panel.margins(0.2)
    panel.set_yscale("symlog", linthresh=LINEAR)
    panel.yaxis.set_major_formatter("{x:g}")
    for region, (x, y, across, up) in CORNERS.items():
        panel.text(x, y, NAMES[region], transform=panel.transAxes, ha=across, va=up, fontsize=7, color="#444444")
    panel.set_title(one.variant)
    panel.set_xlabel("Training accuracy, on the given labels")
    panel.set_ylabel("Susceptibility, nats")
    plain_axes(panel, "both")
    if points is not None and shown.any():
        figure.colorbar(points, ax=panel, label="Test accuracy")


def _draw_legend(figure: "Figure", trained: Sequence[Trained]) -> None:
    """Which mark is which learning rate."""
    from matplotlib.lines import Line2D

    rates = sorted({setting.learning_rate for one in trained for setting in one.settings})
    handles = [
        Line2D([], [], marker=mark, linestyle="", color="#666666", label=f"learning rate {rate:g}")
        for rate, mark in zip(rates, MARKS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
