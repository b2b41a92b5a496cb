"""Pictures of runs: scores of wrong and right labels, ROC, learning curves, susceptibility, and measured memorization."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.board.row_pictures import WIDTH, plain_axes
from noisybench.ground.arrays import Floats
from noisybench.ground.drawing import BLUE, VERMILLION
from noisybench.ground.errors import BadData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDES = (("right", "right labels", BLUE, "-"), ("wrong", "wrong labels", VERMILLION, "--"))
FITS = (("clean_fit", "right labels fitted", BLUE, "-"), ("mislabeled_fit", "wrong labels fitted", VERMILLION, "--"))
MOST_PANELS = 6
"""Panels of learning curves at most."""
MOST_CURVES = 18
"""Learners at most in one panel: the tints and dashes that there are."""
FORMS = ("o", "s", "^", "D", "P", "X")
TINTS = (BLUE, VERMILLION, "#009E73", "#A8457F", "#8A6100", "#4B5563")
REGIONS = ("1 trainable, resistant", "2 trainable, not resistant", "3 not trainable, resistant", "4 neither")
"""What the regions of susceptibility and training accuracy are called, in order."""


# One scored run


def draw_histogram(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Scores of wrong and of right labels in the run that is told most of, each as shares of their number."""
    details = data["details"]
    at = _best_with(details, view, "scores of wrong and right labels")
    figure.set_size_inches(WIDTH * 0.7, 3)
    panel: Axes = figure.subplots()
    for key, name, colour, dash in SIDES:
        counts = np.array(details[key][at])
        edges = np.linspace(details["low"][at], details["high"][at], len(counts) + 1)
        total = int(counts.sum())
        shares = 100 * counts / max(1, total)
        panel.stairs(shares, edges, color=colour, linestyle=dash, label=f"{name} ({total:,})")
        panel.stairs(shares, edges, color=colour, alpha=0.15, fill=True)
    panel.set(xlabel="suspicion (higher is more suspicious)", ylabel="share of its kind, %")
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    plain_axes(panel, "y")
    return f"Scores by {_run_words(data, details, at)}; the outermost bars hold what lies beyond."


def draw_roc(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """ROC and precision by recall of the run that is told most of, and what chance gives."""
    details, grids = data["details"], data["grids"]
    at = _best_with(details, view, "scores of wrong and right labels")
    chance = sum(details["wrong"][at]) / (sum(details["wrong"][at]) + sum(details["right"][at]))
    figure.set_size_inches(WIDTH, 3.4)
    curves = [
        (
            grids["false_alarms"],
            details["roc"][at],
            [0, 1],
            "right labels flagged (false alarms)",
            "wrong labels found",
        ),
        (grids["recall"], details["precision"][at], [chance, chance], "wrong labels found (recall)", "precision"),
    ]
    for panel, (across, up, flat, xlabel, ylabel) in zip(figure.subplots(1, 2), curves, strict=True):
        panel.plot([0, 1], flat, color="#555555", linestyle=":", linewidth=1, label="chance")
        panel.plot(across, _shares(up), color=BLUE, linewidth=1.5, label="this run")
        panel.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1), ylim=(0, 1.02), box_aspect=1)
        panel.legend(frameon=False)
        plain_axes(panel, "both")
    return f"ROC and precision by recall: {_run_words(data, details, at)}, AUROC {details['auroc'][at]:.3f}."


def draw_memorization(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Where right and wrong labels lie by measured memorization and by rank of suspicion, in cells."""
    from matplotlib.colors import LinearSegmentedColormap

    maps, cells = data["memorization"], data["grids"]["cells"]
    at = _best_with(maps, view, "memorization that was measured ('noisybench memorize' measures it)")
    layers = _layers(maps["cells"][at], cells)
    kinds = [("right labels", BLUE), ("wrong labels", VERMILLION), ("labels of unknown truth", "#555555")]
    shown = [(name, colour, layer) for (name, colour), layer in zip(kinds, layers, strict=True) if np.nansum(layer) > 0]
    figure.set_size_inches(max(3.6, 3.3 * len(shown)), 3.6)
    extent = (maps["low"][at], maps["high"][at], 0, 100)
    for panel, (name, colour, layer) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        colours = LinearSegmentedColormap.from_list(name, ["#EEEEEE", colour])
        filled = np.ma.masked_equal(layer, 0)
        image = panel.imshow(filled, origin="lower", extent=extent, aspect="auto", cmap=colours, vmin=0)
        figure.colorbar(image, ax=panel, label="samples")
        panel.set(xlabel="memorization", ylabel="rank of suspicion, %", title=f"{name}: {int(layer.sum()):,}")
        panel.spines[["top", "right"]].set_visible(False)
    return f"Suspicion by {_run_words(data, maps, at)} against the memorization of {maps['truth_learner'][at]}: Spearman's correlation {maps['spearman'][at]:.3f}. {data['words']['memorization']}"  # fmt: skip


def _layers(flat: Sequence[int], cells: int) -> NDArray[np.int64]:
    """Samples in each cell, shape (3, rank, memorization): right labels, wrong ones, those of unknown truth."""
    layers = np.zeros((3, cells * cells), dtype=np.int64)
    told = np.array(flat, dtype=np.int64).reshape(-1, 4)
    layers[:, told[:, 0]] = told[:, 1:].T
    return layers.reshape(3, cells, cells)


def _best_with(columns: Mapping[str, Any], view: Mapping[str, Any], what: str) -> int:
    """Position of the first run of the best row that has details."""
    rows = view["tables"][0]["rows"]
    for entry in rows["entry"]:
        if entry in columns["entry"]:
            position: int = columns["entry"].index(entry)
            return position
    msg = f"nothing can be drawn: no run here has {what}"
    raise BadData(msg)


def _run_words(data: Mapping[str, Any], columns: Mapping[str, Any], at: int) -> str:
    runs, run = data["runs"], columns["run"][at]
    learner = data["learners"]["words"][runs["learner"][run]]
    return (
        f"{data['entries']['detector'][columns['entry'][at]]} ({learner}) on {data['sources']['name'][runs['source'][run]]}, "
        f"{data['noises'][runs['noise'][run]]} {data['rates'][runs['rate'][run]]}, draw {runs['draw'][run]}, seed {runs['seed'][run]}"
    )  # fmt: skip


# Learning curves


def draw_fits(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:  # noqa: ARG001 - as the others
    """Shares of wrong and right labels fitted by epoch: a panel for each learner, or noise where there is one learner."""
    curves, runs = data["curves"], data["runs"]
    at = [i for i in range(len(curves["run"])) if any(one is not None for key, *_ in FITS for one in curves[key][i])]
    if not at:
        msg = (
            "nothing can be drawn: no run here has a training of several epochs whose right and wrong labels are known"
        )
        raise BadData(msg)
    several = len({runs["learner"][curves["run"][i]] for i in at}) > 1
    groups: dict[str, list[int]] = {}
    for i in at:
        run = curves["run"][i]
        name = data["learners"]["words"][runs["learner"][run]] if several else data["noises"][runs["noise"][run]]
        groups.setdefault(name, []).append(i)
    shown = list(groups.items())[:MOST_PANELS]
    across = min(3, len(shown))
    lines = -(-len(shown) // across)
    figure.set_size_inches(max(3.4, 2.5 * across), 0.8 + 2.2 * lines)
    panels = figure.subplots(lines, across, squeeze=False, sharey=True).ravel()
    for panel, (name, members) in zip(panels, shown, strict=False):
        for key, words, colour, dash in FITS:
            for i in members if len(members) > 1 else ():
                panel.plot(curves["epoch"][i], 100 * _shares(curves[key][i]), color=colour, linestyle=dash, linewidth=0.6, alpha=0.35)  # fmt: skip
            epochs, means = mean_curve([(curves["epoch"][i], _shares(curves[key][i])) for i in members])
            panel.plot(epochs, 100 * means, color=colour, linestyle=dash, linewidth=1.8, label=words)
        panel.set_title(name, fontsize=8)
        panel.set(xlabel="epoch", ylim=(0, 102), xlim=(0, None))
        plain_axes(panel, "y")
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    for first in panels[::across]:
        first.set_ylabel("labels fitted, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    more = f" The first {len(shown)} of {len(groups)} {'learners' if several else 'noises'}." if len(groups) > len(shown) else ""  # fmt: skip
    return f"Bold: mean of the runs; thin: each run. {data['words']['mislabeled_fit']}{more}"


def draw_wrong_by_right(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:  # noqa: ARG001 - as the others
    """Wrong labels fitted against right ones, epoch by epoch: a line for each learner, a panel for each data set and noise."""
    curves, runs = data["curves"], data["runs"]
    at = [
        i for i in range(len(curves["run"])) if all(any(one is not None for one in curves[key][i]) for key, *_ in FITS)
    ]
    if not at:
        msg = "nothing can be drawn: no run here has a training of several epochs, with right and wrong labels among its own"
        raise BadData(msg)
    groups: dict[tuple[int, int], dict[int, list[int]]] = {}
    for i in at:
        run = curves["run"][i]
        of_labels = groups.setdefault((runs["source"][run], runs["noise"][run]), {})
        of_labels.setdefault(runs["learner"][run], []).append(i)
    shown = list(groups.items())[:MOST_PANELS]
    learners = list(dict.fromkeys(learner for _, lines in shown for learner in lines))[:MOST_CURVES]
    names = dict(zip(learners, without_shared([data["learners"]["words"][one] for one in learners]), strict=True))
    across = min(3, len(shown))
    figure.set_size_inches(max(WIDTH, 3 * across), 1 + 3 * -(-len(shown) // across) + 0.15 * len(learners) / across)
    panels = figure.subplots(-(-len(shown) // across), across, squeeze=False).ravel()
    lines: dict[int, Any] = {}
    for panel, ((source, noise), members) in zip(panels, shown, strict=False):
        panel.plot([0, 100], [0, 100], color="#555555", linestyle=":", linewidth=1)
        least, most = 100.0, 0.0
        for k, learner in enumerate(learners):
            if learner not in members:
                continue
            right, wrong = (
                100 * mean_curve([(curves["epoch"][i], _shares(curves[key][i])) for i in members[learner]])[1]
                for key in ("clean_fit", "mislabeled_fit")
            )
            colour, dash, form = (
                TINTS[k % len(TINTS)],
                ("-", "--", "-.")[k // len(TINTS)],
                FORMS[(k + k // len(TINTS)) % len(FORMS)],
            )
            panel.plot(right, wrong, color=colour, linestyle=dash, linewidth=1.3)
            panel.plot(right[-1:], wrong[-1:], color=colour, marker=form, ms=4.5, linestyle="")
            lines[learner] = panel.plot(
                [], [], color=colour, linestyle=dash, marker=form, ms=4.5, label=names[learner]
            )[0]
            least, most = min(least, *right), max(most, *wrong)
        panel.set(xlim=(max(0, least - 2), 101), ylim=(0, 1.1 * most + 1), xlabel="right labels fitted, %")
        panel.set_title(f"{data['sources']['name'][source]}, {data['noises'][noise]}", fontsize=8)
        plain_axes(panel, "both")
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    for first in panels[::across]:
        first.set_ylabel("wrong labels fitted, %")
    figure.legend(handles=[lines[one] for one in learners], loc="outside upper left", ncols=across + (across == 1), frameon=False, fontsize=7)  # fmt: skip
    more = f" The first {len(shown)} of {len(groups)} labels." if len(groups) > len(shown) else ""
    return (
        "Each line goes through the epochs to the mark, the last one: means of the runs at each epoch. The lower it is where "
        "the same share of right labels is fitted, the fewer wrong labels were fitted with them; dotted: both alike. "
        f"{data['words']['mislabeled_fit']}{more}"
    )


def without_shared(words: Sequence[str]) -> list[str]:
    """Names of learners without what all of them begin with, as far as each keeps something.

    >>> without_shared(["mlp, standard, 30 epochs, elr(strength=3)", "mlp, standard, 30 epochs, cross_entropy"])
    ['elr(strength=3)', 'cross_entropy']
    """
    parts = [one.split(", ") for one in words]
    shared = 0
    while len(words) > 1 and all(len(one) > shared + 1 for one in parts) and len({one[shared] for one in parts}) == 1:
        shared += 1
    return [", ".join(one[shared:]) for one in parts]


def mean_curve(curves: Sequence[tuple[Sequence[int], Floats]]) -> tuple[list[int], Floats]:
    """Mean of some curves at each epoch that all of them have, those that are NaN throughout left out.

    >>> mean_curve([([1, 2, 3], np.array([0.0, 0.5, 1.0])), ([1, 3], np.array([1.0, 1.0]))])
    ([1, 3], array([0.5, 1. ]))
    """
    known = [(epochs, values) for epochs, values in curves if not np.isnan(values).all()]
    found: dict[int, list[float]] = {}
    for epochs, values in known:
        for epoch, value in zip(epochs, values.tolist(), strict=True):
            if not np.isnan(value):
                found.setdefault(epoch, []).append(value)
    shared = sorted(epoch for epoch, values in found.items() if len(values) == len(known))
    return shared, np.array([np.mean(found[epoch]) for epoch in shared], dtype=np.float64)


def _shares(thousandths: Sequence[int | None]) -> Floats:
    return np.array([np.nan if one is None else one / 1000 for one in thousandths], dtype=np.float64)


# Susceptibility


class Regions(NamedTuple):
    """The four regions of susceptibility and training accuracy.

    Attributes:
        region: Of each model, 1 to 4, shape (m,).
        susceptibility: Where they meet.
        accuracy: Where they meet.
    """

    region: NDArray[np.int64]
    susceptibility: float
    accuracy: float


def regions_of(susceptibility: Floats, accuracy: Floats) -> Regions:
    """The region of each of some models; the regions meet at the means over these models, so more models move them.

    1: accuracy at or above its mean, susceptibility at or below; 2: both above; 3: both below; 4: the rest.

    Args:
        susceptibility: At the end of training, shape (m,).
        accuracy: On the training labels as given, shape (m,).

    Source: Forouzesh, Sedghi and Thiran 2023, arXiv 2212.04461; bounds as in its code.
    """
    across, up = float(susceptibility.mean()), float(accuracy.mean())
    region = 1 + 2 * (accuracy < up) + (susceptibility > across)
    return Regions(region.astype(np.int64), across, up)


def draw_regions(figure: "Figure", data: Mapping[str, Any], view: Mapping[str, Any]) -> str:  # noqa: ARG001 - as the others
    """Susceptibility against training accuracy of each run, and the four regions."""
    runs = data["runs"]
    pairs = zip(runs["susceptibility"], runs["train_accuracy"], strict=True)
    at = [run for run, pair in enumerate(pairs) if None not in pair]
    if len(at) < 2:  # noqa: PLR2004
        msg = "regions take two runs or more whose susceptibility was measured; 'noisybench evaluate' measures it"
        raise BadData(msg)
    across, up = (np.array([runs[name][run] for run in at]) for name in ("susceptibility", "train_accuracy"))
    found = regions_of(across, up)
    figure.set_size_inches(WIDTH, 4.4)
    panel: Axes = figure.subplots()
    learners = list(dict.fromkeys(runs["learner"][run] for run in at))
    for k, learner in enumerate(learners):
        ours = np.array([runs["learner"][run] == learner for run in at])
        style: dict[str, Any] = {"marker": FORMS[min(k, 5)], "color": TINTS[min(k, 5)]}
        panel.plot(across[ours], up[ours], linestyle="", ms=5, alpha=0.75, label=data["learners"]["words"][learner], **style)  # fmt: skip
    panel.axvline(found.susceptibility, color="#555555", linestyle=":", linewidth=1)
    panel.axhline(found.accuracy, color="#555555", linestyle=":", linewidth=1)
    corners = [(0.01, 0.99, "left", "top"), (0.99, 0.99, "right", "top"), (0.01, 0.01, "left", "bottom"), (0.99, 0.01, "right", "bottom")]  # fmt: skip
    for k, (words, (x, y, ha, va)) in enumerate(zip(REGIONS, corners, strict=True)):
        count = int((found.region == k + 1).sum())
        panel.text(x, y, f"{words}: {count}", transform=panel.transAxes, ha=ha, va=va, fontsize=7, color="#555555")
    panel.set(xlabel="susceptibility at the end, nats", ylabel="training accuracy (given labels)")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=7)
    plain_axes(panel, "both")
    return f"{data['words']['susceptibility']} The four regions of Forouzesh et al. (2023) meet at the means of the {len(at)} runs shown; compare runs on the same labels."  # fmt: skip
