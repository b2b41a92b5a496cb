"""What the study's own runs say of CAR and ELR, as numbers that ``claims.RESISTANCE`` judges.

Each draw of the noise gives one value; the interval is Student's t over draws, which are other wrong labels and another
training. Where cross-entropy memorized hardly any wrong label there is nothing to hold back, and the study says so.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from noisybench.ground.errors import BadData
from noisybench.studies.draw_means import measured_over, without_value
from noisybench.studies.hypotheses import Effect
from noisybench.studies.reproduce_runs import AT_RIGHT, ReproduceGrid
from noisybench.studies.results import StudyResults

LEAST_MEMORIZED = 0.1
"""Mean memorization of the wrong labels under cross-entropy below which nothing can be said to be held back."""
PLAIN = "cross_entropy"
WRONG, RIGHT = "wrong_memorization", "right_memorization"


class Quantity(NamedTuple):
    """One quantity: draw → value, of the draws that have one; why trainings of others failed; and how many draws there are."""

    values: Mapping[int, float]
    failures: tuple[str, ...]
    draws: int

    def __sub__(self, other: "Quantity") -> "Quantity":
        """The differences within the draws that have both."""
        both = [draw for draw in self.values if draw in other.values]
        return Quantity(
            {draw: self.values[draw] - other.values[draw] for draw in both},
            (*self.failures, *other.failures),
            self.draws,
        )

    def measured(self, said: str, *, less: float = 0.0, nothing: str = "no draw has a value") -> Effect | str:
        """Its mean over draws; ``nothing`` says why there is none where no training failed."""
        if not self.values:
            return self.failures[0] if self.failures else nothing
        told = f"{said}{without_value(len(self.values), self.draws)}"
        return measured_over([value - less for value in self.values.values()], told)


def measured_own(grid: ReproduceGrid, results: StudyResults) -> dict[str, Effect | str]:
    """Name of each hypothesis on CAR and ELR → what was measured, or why it was not."""
    fits = setting(grid, results)
    pools = f"{fits}; {grid.models} models of each draw on {100 * grid.fraction:g} % of the samples"
    indicator, target = (
        quantity_of(results, "score", objective, "auroc", detector)
        for objective, detector in (("car", "objective_indicator"), ("elr", "objective_target"))
    )
    losses = {name: quantity_of(results, "score", PLAIN, "auroc", name) for name in ("final_loss", "cumulative_loss")}
    found: dict[str, Effect | str] = {
        "indicator_separates": indicator.measured(fits, less=0.5),
        "elr_target_separates": target.measured(fits, less=0.5),
        "indicator_finds_more_than_final_loss": (indicator - losses["final_loss"]).measured(fits),
        "indicator_finds_more_than_cumulative_loss": (indicator - losses["cumulative_loss"]).measured(fits),
    }
    memorized = quantity_of(results, "pool", PLAIN, WRONG)
    mean = float(np.mean([*memorized.values.values()])) if memorized.values else 1.0
    nothing = f"under cross-entropy the wrong labels were not memorized: their mean memorization is {mean:.3f}"
    for name in ("elr", "car"):
        wrong, right = (
            quantity_of(results, "pool", PLAIN, field) - quantity_of(results, "pool", name, field)
            for field in (WRONG, RIGHT)
        )
        told = wrong.measured(pools), (wrong - right).measured(pools)
        names = f"{name}_holds_back", f"{name}_holds_back_wrong_more"
        found |= dict.fromkeys(names, nothing) if mean < LEAST_MEMORIZED else dict(zip(names, told, strict=True))
        fitted = [quantity_of(results, "training", objective, "wrong_at_right") for objective in (PLAIN, name)]
        less = (fitted[0] - fitted[1]).measured(
            fits, nothing=f"in no draw do both trainings pass {AT_RIGHT:g} of the right labels fitted on their way"
        )
        found[f"{name}_fits_less_at_equal_right"] = nothing if mean < LEAST_MEMORIZED else less
    return found


def quantity_of(results: StudyResults, kind: str, objective: str, field: str, detector: str | None = None) -> Quantity:
    """A quantity of the study's own runs under one objective."""
    own = [one for one in results.of(kind) if one["objective"] == objective and one.get("detector") == detector]
    failed = [
        one for one in results.of("pool" if kind == "pool" else "training")
        if one["objective"] == objective and "failure" in one
    ]  # fmt: skip
    return Quantity(
        {one["draw"]: one[field] for one in own if field in one},
        tuple(f"{objective} could not be trained: {one['failure']}" for one in failed),
        len(results.grid["draws"]),
    )


def setting(grid: ReproduceGrid, results: StudyResults) -> str:
    """The setting of the own runs, in words.

    Raises:
        BadData: The results do not say.
    """
    found = results.of("source")
    if not found:
        msg = "the results of study 'reproduce' do not say what it learned from; carry out 'noisybench study reproduce' again"
        raise BadData(msg)
    source = found[0]
    size = "" if grid.base == "cifar10" and grid.limit is None else "CPU-sized: "
    return (
        f"{size}{source['model']} on '{grid.base}' ({source['samples']:,} samples), symmetric noise at {grid.rate:g}, recipe "
        f"overfit, {grid.epochs} epochs; units are draws of the labels, each with a training of its own"
    )
