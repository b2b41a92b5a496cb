"""What the networks of the harm study say of Liu's claims, as numbers that ``claims.HARM`` judges.

Each draw gives one value, the mean over the grid's rates; the interval is Student's t over draws, which are other instances,
other labels and other trainings.

*Harm* is measured as in the theorems, where an answer is drawn from the probabilities (ending ``_drawn`` in the tables); that
of the largest answers is secondary. *Top* and *bottom* are the upper and the lower third of the frequencies.

Source: Liu 2021, arXiv:2102.05336: the excess error of an instance is its mass times the probability of a wrong answer
(section 3), and theorem 8 has where loss correction fails.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from noisybench.statistics.lookup_table import SAME
from noisybench.studies.draw_means import measured_over, without_value
from noisybench.studies.harm_networks import Cell
from noisybench.studies.harm_runs import MEMORIZING, HarmGrid
from noisybench.studies.hypotheses import Effect

FEW, MANY = 2, 16
"""Copies up to which an instance has few labels, and from which many."""
FAILING: Mapping[str, tuple[str, str]] = {
    "correction_fails_at_small_l": ("backward_correction, true", "decided"),
    "correction_fails_at_small_l_drawn": ("backward_correction, true", "drawn"),
    "estimated_correction_fails_at_small_l": ("backward_correction, hoc", "decided"),
    "forward_correction_fails_at_small_l": ("forward_correction, true", "decided"),
    "peer_loss_fails_at_small_l": ("peer_loss", "decided"),
}
"""Hypothesis → treatment, and which errors of it are compared with cross-entropy's."""
MEMORIZES = 0.5
"""Share of the wrong labels of the rarest units fitted under cross-entropy below which nothing was memorized to speak of."""
Ends = tuple[Sequence[int], Sequence[int]]
"""Frequencies at the top, and at the bottom."""


def measured_harm(grid: HarmGrid, cells: Sequence[Cell], fits: Sequence[float]) -> dict[str, Effect | str]:
    """Name of each hypothesis on harm → what was measured, or why it was not.

    Args:
        grid: Of the study.
        cells: Its networks.
        fits: Shares of the wrong labels of the rarest units that are fitted under cross-entropy, of each training at a rate;
            those of frequent ones are outvoted by their copies.
    """
    if fits and np.mean(fits) < MEMORIZES:
        why = f"{np.mean(fits):.0%} of the wrong labels of the rarest units are fitted under {MEMORIZING}: nothing was memorized"
        return dict.fromkeys((*HARMED, *FAILING), why)
    found: dict[str, Effect | str] = {}
    third = len(grid.frequencies) // 3
    if not third:
        why = f"frequencies {', '.join(map(str, grid.frequencies))} have no upper and lower third"
        found |= dict.fromkeys(HARMED, why)
    else:
        ends = grid.frequencies[-third:], grid.frequencies[:third]
        for name, (measure, weighted) in HARMED.items():
            found[name] = _over_draws(grid, cells, MEMORIZING, _harm_difference(grid, ends, measure, weighted=weighted))
    few = [copies for copies in grid.frequencies if copies <= FEW]
    many = [copies for copies in grid.frequencies if copies >= MANY]
    for name, (treatment, measure) in FAILING.items():
        if not few or not many:
            found[name] = f"the grid has no frequency of at most {FEW}, or none of at least {MANY}"
        elif treatment not in grid.treatments:
            found[name] = f"the grid leaves out treatment '{treatment}'"
        else:
            found[name] = _over_draws(grid, cells, treatment, _worse_difference((few, many), measure))
    return found


HARMED: Mapping[str, tuple[str, bool]] = {
    "frequent_harmed_more": ("drawn", True),
    "frequent_harmed_more_decided": ("decided", True),
    "frequent_harmed_more_unweighted": ("drawn", False),
}
"""Hypothesis → which errors are compared, and whether they are weighted by mass."""
OfDraw = Callable[[Cell, int], float]
"""The value of a cell in one of its draws."""


def _harm_difference(grid: HarmGrid, ends: Ends, measure: str, *, weighted: bool) -> OfDraw:
    """Harm of instances at the top minus that of those at the bottom: of all their mass together, or the mean."""
    masses = {copies: copies / sum(grid.frequencies) for copies in grid.frequencies}

    def difference(cell: Cell, draw: int) -> float:
        own, clean = (getattr(one[draw], measure) for one in (cell.own, cell.clean))
        harm = {copies: float((own - clean)[cell.frequencies[draw] == copies].mean()) for copies in masses}
        top, bottom = (
            sum(masses[copies] * harm[copies] for copies in end)
            if weighted
            else np.mean([harm[copies] for copies in end])
            for end in ends
        )
        return float(top - bottom)

    return difference


def _worse_difference(ends: Ends, measure: str) -> OfDraw:
    """Share of the units that err more than under cross-entropy: of those with few copies minus those with many."""

    def difference(cell: Cell, draw: int) -> float:
        own, learnt = (getattr(errors[draw], measure) for errors in (cell.own, cell.memorizing))
        worse = own > learnt + SAME
        few, many = (float(worse[np.isin(cell.frequencies[draw], end)].mean()) for end in ends)
        return few - many

    return difference


def _over_draws(grid: HarmGrid, cells: Sequence[Cell], treatment: str, value: OfDraw) -> Effect | str:
    """Mean over draws and its interval; each draw's value is the mean over the rates, and a draw without one is left out."""
    own = [cell for cell in cells if cell.treatment == treatment]
    whole = [draw for draw in grid.draws if all(draw in cell.draws for cell in own)]
    if not whole:
        return f"{treatment} could not be trained"
    values = [float(np.mean([value(cell, cell.draws.index(draw)) for cell in own])) for draw in whole]
    rates = ", ".join(f"{rate:g}" for rate in grid.rates)
    size = "" if grid.base == "cifar10" else "CPU-sized: "
    said = (
        f"{size}networks on '{grid.base}' as {grid.how} copies, {grid.units} units of each of "
        f"{', '.join(map(str, grid.frequencies))} copies, symmetric noise at {rates}, {grid.epochs} epochs; units are draws"
    )
    return measured_over(values, said + without_value(len(whole), len(grid.draws)))
