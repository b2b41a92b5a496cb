"""A picture of a variant: its realised transition matrix, and its errors against a difficulty where one was given."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noisybench.cards.data_cards import as_call
from noisybench.cards.dependence import Dependence
from noisybench.cards.description import Description
from noisybench.cards.description_text import PRINTED_CLASSES
from noisybench.ground.drawing import BLUE, VERMILLION, check_picture, in_style, save_picture
from noisybench.ground.errors import BadData
from noisybench.variants.transitions import AnyTransition, SparseTransition
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EMPTY = "#DDDDDD"
LONGEST_NAME = 14
MOST_CELLS_DRAWN = 400  # a side; finer ones are smaller than the dots of the picture
NAMED_BELOW = 10  # classes up to which names also stand below the matrix, and its numbers are large
DARK = 0.35  # share above which numbers in a cell are white
LEVELS = (0, 1, 5, 10, 25, 50, 100)  # %, of the colour bar


def draw(variant: Variant, description: Description, path: str | Path) -> None:
    """Draw the realised transition matrix and, beside it, errors against difficulty, into a .png, .svg or .pdf file.

    Raises:
        BadUsage: Another kind of file.
        BadData: No clean label is known, so there is no matrix.
        MissingPackage: matplotlib is not installed.
    """
    path = check_picture(path)
    from matplotlib.figure import Figure

    if not description.class_counts.any():
        msg = f"nothing can be drawn of variant {variant.provenance.variant_id[:8]}: no clean label is known"
        raise BadData(msg)
    dependence = description.difficulty
    with in_style():
        figure = Figure(figsize=(6.4 if dependence is None else 11.2, 5.8), layout="constrained")
        panels = figure.subplots(1, 1 if dependence is None else 2, squeeze=False)[0]
        figure.suptitle(_title(variant, description), fontsize=11)
        _draw_matrix(figure, panels[0], variant, description)
        if dependence is not None:
            _draw_difficulty(panels[1], dependence, description)
        save_picture(figure, path)


def _title(variant: Variant, description: Description) -> str:
    p = variant.provenance
    params = {key: value for key, value in p.params.items() if value is not None}
    text = f"{_shown(p.source, 80)}: {_shown(as_call(p.noise, params), 200)}"
    rate = f"{100 * description.realised_rate:.2f} % of {description.known:,} labels wrong"
    unknown = description.n - description.known
    unknown_words = f", {unknown:,} more of unknown class" if unknown else ""
    return "\n".join([*textwrap.wrap(text, 70)[:3], rate + unknown_words])


def _draw_matrix(figure: "Figure", panel: "Axes", variant: Variant, description: Description) -> None:
    """Draw the realised transition matrix, with numbers where the classes are few."""
    import matplotlib as mpl
    from matplotlib.colors import PowerNorm

    (matrix, edges), k = _cells(description.transition), variant.num_classes
    colours = mpl.colormaps["Blues"].with_extremes(bad=EMPTY)
    few = k <= PRINTED_CLASSES
    # Roots of shares, since what matters is small beside the diagonal.
    mesh = panel.pcolormesh(
        edges,
        edges,
        np.ma.masked_invalid(matrix),
        cmap=colours,
        norm=PowerNorm(0.5, 0, 1),
        rasterized=not few,
        linewidth=0,
    )
    panel.set(xlim=(0, k), ylim=(k, 0), aspect="equal", xlabel="given class", ylabel="clean class")
    panel.set_title("realised transition matrix, P(given | clean)" + (" in %" if few else ""))
    if len(matrix) < k:
        panel.set_title(
            f"realised transition matrix, P(given | clean), of {len(matrix)} groups of neighbouring classes"
        )
    panel.tick_params(length=0 if few else 3)
    if few:
        indices = [str(j) for j in range(k)]
        pairs = zip(indices, variant.class_names, strict=True)
        names = [j if name == j else f"{j} {_shown(name, LONGEST_NAME)}" for j, name in pairs]
        middles = np.arange(k) + 0.5
        panel.set_yticks(middles, names)
        if k <= NAMED_BELOW and names != indices:
            panel.set_xticks(middles, names, rotation=45, ha="right", rotation_mode="anchor")
        else:
            panel.set_xticks(middles, indices)
        for i, j in np.ndindex(k, k):
            if not np.isnan(matrix[i, j]):
                colour = "white" if matrix[i, j] > DARK else "black"
                size = 8 if k <= NAMED_BELOW else 5.5
                panel.text(
                    j + 0.5, i + 0.5, _cell(float(matrix[i, j])), ha="center", va="center", color=colour, fontsize=size
                )
    else:
        every = next(step for step in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**9) if k / step <= 12)  # noqa: PLR2004
        ticks = np.arange(0, k, every)
        panel.set_xticks(ticks + 0.5, [str(t) for t in ticks])
        panel.set_yticks(ticks + 0.5, [str(t) for t in ticks])
    bar = figure.colorbar(mesh, ax=panel, shrink=0.8, ticks=[level / 100 for level in LEVELS])
    bar.ax.set_yticklabels([f"{level} %" for level in LEVELS])
    bar.outline.set_visible(False)


def _cells(matrix: AnyTransition) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cells to draw (g, g) and their edges (g + 1,): the shares between groups of classes where these are many."""
    if not isinstance(matrix, SparseTransition):
        return matrix, np.arange(len(matrix) + 1)
    k, g = matrix.size, min(matrix.size, MOST_CELLS_DRAWN)
    group = np.arange(k) * g // k
    known = np.bincount(group[~np.isnan(matrix.diagonal())], minlength=g)
    sums = np.bincount(group[matrix.rows] * g + group[matrix.columns], matrix.values, minlength=g * g).reshape(g, g)
    shares = np.divide(sums, known[:, None], out=np.full((g, g), np.nan), where=known[:, None] > 0)
    return shares, np.searchsorted(group, np.arange(g + 1))


def _draw_difficulty(panel: "Axes", dependence: Dependence, description: Description) -> None:
    """Draw the share of wrong labels by difficulty, with its intervals, and the law where it is known."""
    bins = dependence.bins
    centres = (np.arange(len(bins)) + 0.5) * 100 / max(len(bins), 1)
    rates = np.array([part.rate for part in bins]).reshape(-1, 3) * 100
    law = np.array([part.expected for part in bins]) * 100
    panel.axhline(100 * description.realised_rate, color="#666666", linestyle=":", linewidth=1, label="all samples")
    if len(bins) and not np.isnan(law).any():
        panel.plot(centres, law, color=VERMILLION, linewidth=1.5, label="mean flip probability")
    spread = np.abs(rates[:, 1:] - rates[:, :1]).T
    options: dict[str, Any] = {"color": BLUE, "fmt": "o", "markersize": 4, "capsize": 2, "linewidth": 1}
    panel.errorbar(centres, rates[:, 0], yerr=spread, label="realised, with 95 % interval", **options)
    panel.set(xlim=(0, 100), xlabel="difficulty, percentile (easy to hard)", ylabel="labels wrong, %")
    panel.set_ylim(bottom=0, top=min(105, max(1.0, 1.08 * np.nanmax(np.append(rates, law), initial=0))))
    area, within = dependence.auroc, dependence.auroc_within_class
    areas = "" if np.isnan(area.value) else f"\nAUROC {area.value:.3f}, within the clean classes {within.value:.3f}"
    panel.set_title(f"wrong labels against difficulty{areas}")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#EEEEEE")
    panel.set_axisbelow(True)
    panel.legend(frameon=False, loc="best")


def _cell(value: float) -> str:
    """A share in %, short: nothing for none."""
    if value == 0:
        return ""
    return f"{100 * value:.0f}" if value > 0.995 else f"{100 * value:.1f}"  # noqa: PLR2004 - 100 needs no digit


def _shown(text: str, longest: int) -> str:
    visible = "".join(c if c.isprintable() else "?" for c in text)
    return visible if len(visible) <= longest else visible[: longest - 1] + "…"
