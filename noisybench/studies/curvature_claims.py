"""What the curvature study says of Garg's claims, as numbers that ``claims.CURVATURE`` judges.

Each draw (other duplicates, other flips, other trainings) gives one value, the mean over its trainings. They are those of one
source: the first on which noisybench's own step was not chosen, at that step; else the first, at the authors' step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from noisybench.studies.claims import hypotheses_of
from noisybench.studies.curvature_cells import MEMORIZES, ByRun, Readings, draw_values, mean_over, minus
from noisybench.studies.curvature_records import LAST, MEMORIZATION
from noisybench.studies.curvature_runs import AUTHORS_STEP, CURVATURE, OWN_STEP, RIVALS, SMOOTH, CurvatureCell
from noisybench.studies.curvature_tables import overlaps, rank_of_steps
from noisybench.studies.draw_means import measured_over, without_value
from noisybench.studies.hypotheses import Effect

INTERPOLATES = 0.9
"""Share of the wrong labels that is fitted, on average, by what is called an interpolating network."""
CHANCE = 0.5
ROBUST = 0.9
"""Rank agreement of two steps above which curvature does not depend on the step."""


class Claims:
    """The hypotheses of one source."""

    def __init__(self, found: Readings) -> None:
        names = [name for name, one in found.sources.items() if one.get("tuned_on") is None]
        self.found = found
        self.source = (names or [*found.sources])[0]
        self.centre = found.centre(self.source)
        self.measured: dict[str, Effect | str] = {}

    def put(self, name: str, cells: ByRun | str, *, null: float = 0.0, less: float = 0.0, note: str = "") -> None:
        """Keep what was measured, or why it was not."""
        if isinstance(cells, str) or not cells:
            self.measured[name] = (
                cells if isinstance(cells, str) and cells else "the grid has not the cells that it needs"
            )
            return
        values, draws = draw_values(cells), len({draw for draw, _ in cells})
        asked = 1 if self.centre.rate is None else len(self.found.grid.draws)
        said = f"{self.setting}{'; ' if note else ''}{note}; units are {'trainings' if draws == 1 else 'draws'}"
        said += without_value(draws, asked)
        self.measured[name] = measured_over([value - less for value in values], said, null=null)

    @property
    def setting(self) -> str:
        """The centre, in words."""
        one, grid = self.found.sources[self.source], self.found.grid
        rate = "its own labels" if self.centre.rate is None else f"{self.centre.rate:g} of flips"
        size = "" if grid.model == "resnet18" and grid.limit is None else "CPU-sized: "
        return (
            f"{size}{one['model']} on {one['samples']:,} of '{self.source}', recipe {grid.recipe}, {one['epochs']} "
            f"epochs, {rate}, step {self.centre.step:g}"
        )

    def auroc(self, measure: str, target: str, **changed: Any) -> ByRun:  # noqa: ANN401
        """AUROC of a cell that differs from the centre in something."""
        return self.found.scores(self._cell(**changed), measure, target)

    def instead(self, what: str, value: float) -> str:
        """What is changed of the centre, in words; empty where it is the centre's own."""
        return "" if getattr(self.centre, what) == value else f"at {what} {value:g} instead"

    def _cell(self, **changed: Any) -> CurvatureCell:  # noqa: ANN401
        return self.centre._replace(**changed)


def measured_curvature(found: Readings) -> Mapping[str, Effect | str]:
    """Name of each hypothesis on curvature → what was measured, or in words why it was not."""
    claims = Claims(found)
    fit = found.fitted(claims.centre)
    if fit < MEMORIZES:
        why = f"{fit:.0%} of the wrong labels are fitted: nothing was memorized that curvature could show"
        return dict.fromkeys((one.name for one in hypotheses_of("curvature")), why)
    _flips(claims)
    _averaging(claims)
    _rivals(claims)
    _duplicates(claims)
    _weight_decay(claims)
    _steps(claims)
    _agreement(claims)
    return claims.measured


def _flips(claims: Claims) -> None:
    """That flips are found, at the rate at which they are found worst; and at each rate, step and activation."""
    found, source = claims.found, claims.source
    cells = {rate: claims.auroc(CURVATURE, "flips", rate=rate) for rate in found.rates(source)}
    fits = {rate: found.fitted(claims.centre._replace(rate=rate)) for rate in cells}
    known = {rate: one for rate, one in cells.items() if one}
    little = [fit for fit in fits.values() if fit < INTERPOLATES]
    if little:
        why = f"{min(little):.0%} of the wrong labels are fitted at some rate, and an interpolating network fits {INTERPOLATES:.0%}"
        claims.put("curvature_finds_flips", why)
    elif known:
        worst = min(known, key=lambda rate: float(np.mean([*known[rate].values()])))
        said = "of its own" if worst is None else f"at the worst rate, {worst:g}"
        none = ", ".join(f"{rate:g}" for rate in cells if rate is not None and rate not in known)
        said += f", there being none at {none}" * bool(none)
        claims.put("curvature_finds_flips", known[worst], less=CHANCE, note=said)
    else:
        claims.put("curvature_finds_flips", "there are no flips")
    for rate in (0.01, 0.02, 0.05, 0.1):
        claims.put(
            f"curvature_finds_flips_{rate:g}", cells.get(rate, {}), less=CHANCE, note=claims.instead("rate", rate)
        )
    for step in (AUTHORS_STEP, 0.01, 0.03, OWN_STEP):
        own = claims.auroc(CURVATURE, "flips", step=step)
        claims.put(f"curvature_finds_flips_step_{step:g}", own, less=CHANCE, note=claims.instead("step", step))
    smooth = claims.auroc(CURVATURE, "flips", activation=SMOOTH)
    claims.put("curvature_finds_flips_silu", smooth, less=CHANCE, note="with SiLU")
    difference = minus(smooth, claims.auroc(CURVATURE, "flips"))
    claims.put("silu_finds_more_flips", difference, note="SiLU less ReLU")


def _averaging(claims: Claims) -> None:
    """That the mean over epochs is better than the last epoch, over all rates."""
    rates = claims.found.rates(claims.source)
    for name, target in (("averaging_helps", "flips"), ("averaging_helps_duplicates", "pairs")):
        each = [minus(*(claims.auroc(one, target, rate=rate) for one in (CURVATURE, LAST))) for rate in rates]
        claims.put(name, mean_over([one for one in each if one]), note="mean over rates")


def _rivals(claims: Claims) -> None:
    """That curvature is better than each other measure, for flips."""
    for rival in RIVALS:
        activation = SMOOTH if rival == "exact_curvature" else claims.centre.activation
        difference = minus(*(claims.auroc(one, "flips", activation=activation) for one in (CURVATURE, rival)))
        claims.put(f"curvature_beats_{rival}", difference, note=f"{activation}, less {rival}")


def _duplicates(claims: Claims) -> None:
    """That conflicting duplicates are seen, and that memorization does not see them as well."""
    if not claims.auroc(MEMORIZATION, "pairs"):
        claims.put("duplicates_seen_by_curvature", _no_truth(claims))
    for target in ("pairs", "copies", "twins"):
        curvature = claims.auroc(CURVATURE, target)
        ending = "" if target == "pairs" else f"_{target}"
        if claims.auroc(MEMORIZATION, target):
            difference = minus(curvature, claims.auroc(MEMORIZATION, target))
            claims.put(f"duplicates_seen_by_curvature{ending}", difference, note=f"{target}, less memorization")
        elif ending:
            claims.put(f"duplicates_seen_by_curvature{ending}", _no_truth(claims))
        claims.put(f"curvature_finds_{target}", curvature, less=CHANCE, note=target)


def _weight_decay(claims: Claims) -> None:
    """That two trainings have less of the top in common where their weight decay differs as well as their seed."""
    found, source = claims.found, claims.source
    seeds, both = (overlaps(found, source, one) for one in ("seeds", "weight decays and seeds"))
    why = "the grid has one weight decay, or one seed"
    claims.put("weight_decay_changes_top", minus(seeds, both) or why, note=f"top {found.grid.top:.0%}")
    first, last = found.grid.weight_decays[0], found.grid.weight_decays[-1]
    for name, fields in (
        ("duplicates_lead_without_weight_decay", ("copies", "twins")),
        ("flips_lead_without_weight_decay", ("flips",)),
    ):
        shares = [
            minus(
                *(found.cells("kind_of_top", claims.centre._replace(weight_decay=one), field) for one in (first, last))
            )
            for field in fields
        ]
        total = {key: sum(one[key] for one in shares) for key in shares[0] if all(key in one for one in shares)}
        claims.put(
            name,
            total if first != last else why,
            note=f"shares of the top {found.grid.top:.0%}, {first:g} less {last:g}",
        )


def _steps(claims: Claims) -> None:
    """That curvature ranks samples alike at both ends of the authors' range of steps."""
    for name, activation in (("step_is_robust", claims.found.grid.activations[0]), ("step_is_robust_silu", SMOOTH)):
        setting = claims.centre._replace(activation=activation, step=OWN_STEP)
        note = f"{activation}, steps {AUTHORS_STEP:g} and {OWN_STEP:g}"
        claims.put(name, rank_of_steps(claims.found, setting), null=ROBUST, note=note)


def _agreement(claims: Claims) -> None:
    """That curvature agrees with memorization, by angle above both nulls, and by rank among all, right and wrong labels."""
    found, centre = claims.found, claims.centre
    for name, (measure, stratum) in AGREEMENT.items():
        where = {"measure": measure, "stratum": stratum}
        rank = found.cells("agreement", centre, "spearman", **where)
        if not rank:
            claims.put(name, _no_truth(claims))
        elif name == "curvature_agrees_with_memorization":
            angles, *nulls = (
                found.cells("agreement", centre, field, **where)
                for field in ("cosine", "cosine_constant", "cosine_permuted")
            )
            largest = {key: max(one[key] for one in nulls) for key in angles}
            claims.put(name, minus(angles, largest), note="cosine less the larger null")
        elif name == "curvature_pearson_with_memorization":
            claims.put(name, found.cells("agreement", centre, "pearson", **where), note=f"Pearson, {stratum}")
        else:
            less = found.cells("agreement", centre, "spearman", **{**where, "measure": CURVATURE})
            compared = measure != CURVATURE
            claims.put(
                name,
                minus(less, rank) if compared else rank,
                note=f"Spearman, {stratum}" + f", less {measure}" * compared,
            )


AGREEMENT = {
    "curvature_agrees_with_memorization": (CURVATURE, "all"),
    "curvature_ranks_as_memorization": (CURVATURE, "all"),
    "curvature_pearson_with_memorization": (CURVATURE, "all"),
    "curvature_ranks_as_memorization_right": (CURVATURE, "right labels"),
    "curvature_ranks_as_memorization_wrong": (CURVATURE, "wrong labels"),
    "curvature_agrees_more_than_cumulative_loss": ("cumulative_loss", "right labels"),
    "curvature_agrees_more_than_input_gradient_norm": ("input_gradient_norm", "right labels"),
}
"""Hypothesis → the measure whose agreement it is about, or that curvature is compared with, and the samples."""


def _no_truth(claims: Claims) -> str:
    return "memorization was not measured" if not claims.found.grid.models else "there are no such samples"
