"""Command that plans a comparison of detectors: plan."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import Json, print_json, say, whole_number
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.statistics.planning import ComparisonPlan
    from noisybench.variants.variant import Variant

ASSUMED = 0.9


def plan(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    runs: Annotated[
        Path | None,
        typer.Option(
            metavar="RUNS", help="Measure correlations, AUROC and number of detectors in finished runs below it."
        ),
    ] = None,
    auroc: Annotated[
        float | None, typer.Option(metavar="A", help="About which detectors lie; default: that of the runs, or 0.9.")
    ] = None,
    draws: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Draws of the noise.")] = 1,
    seeds: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Seeds of each.")] = 1,
    detectors: Annotated[
        int | None,
        typer.Option(
            parser=whole_number, metavar="N", help="Compared each with each; default: those of the runs, or 2."
        ),
    ] = None,
    difference: Annotated[float, typer.Option(metavar="D", help="Of two AUROCs, one that is to be found.")] = 0.01,
    as_json: Json = False,
) -> None:
    """Say how small a difference of two detectors' AUROCs can be found, and what it takes to find a given one."""
    from noisybench.variants.variant import read_variant

    made = planned(
        variant,
        read_variant(variant),
        runs=runs,
        auroc=auroc,
        draws=draws,
        seeds=seeds,
        detectors=detectors,
        difference=difference,
    )
    if as_json:
        print_json({"path": str(variant), **asdict(made)})
        return
    for line in plan_lines(made):
        say(line)


def planned(
    path: Path,
    variant: "Variant",
    *,
    runs: Path | None = None,
    auroc: float | None = None,
    draws: int = 1,
    seeds: int = 1,
    detectors: int | None = None,
    difference: float = 0.01,
) -> "ComparisonPlan":
    """A plan for the labels of a variant; what is not given is measured in the runs, or taken to be as elsewhere.

    Raises:
        BadUsage: It has no wrong labels that are known, or no right ones.
    """
    from noisybench.board.comparison import measure_runs
    from noisybench.statistics.planning import MEASURED, plan_comparison

    counted = variant.known & ~variant.dropped
    wrong = int(variant.mislabeled[counted].sum())
    if not 0 < wrong < counted.sum():
        msg = (
            f"{path} has {wrong} wrong labels of {int(counted.sum())} that are known to be right or wrong, and an AUROC "
            f"needs both; plan_comparison(area, wrong, right) in Python takes the numbers themselves"
        )
        raise BadUsage(msg)
    varied = None if runs is None else measure_runs(runs, variant)
    return plan_comparison(
        auroc if auroc is not None else ASSUMED if varied is None else varied.area,
        wrong,
        int(counted.sum()) - wrong,
        correlations=MEASURED if varied is None else varied.correlations,
        draws=draws,
        seeds=seeds,
        detectors=detectors if detectors is not None else 2 if varied is None else varied.detectors,
        difference=difference,
    )


def plan_lines(plan: "ComparisonPlan") -> list[str]:
    """A plan in words, line by line."""
    shared = plan.correlations
    pairs = plan.detectors * (plan.detectors - 1) // 2
    needed = [
        f"{count:,} {what}" if count is not None else f"no number of {what.split(maxsplit=1)[0]}"
        for count, what in (
            (plan.draws_needed, "draws"),
            (plan.seeds_needed, "seeds"),
            (plan.samples_needed, "samples of the same share of wrong labels"),
        )
    ]
    return [
        (
            f"{plan.wrong:,} wrong of {plan.wrong + plan.right:,} labels, {plan.detectors} detectors at an AUROC of about "
            f"{plan.area:.3f}, draws: {plan.draws}, seeds of each: {plan.seeds}"
        ),
        f"a difference of two has a standard error of {plan.standard_error:.4f}",
        (
            f"found in {plan.power:.0%} of such comparisons: a difference of {plan.smallest:.4f} (level {plan.level:.0%}, shared "
            f"by {'one pair' if pairs == 1 else f'{pairs} pairs'})"
        ),
        f"to find {plan.difference:g}: {', or '.join(needed)}",
        (
            f"correlations: {shared.detectors:.2f} of two detectors in a run, {shared.seeds:.2f} of two seeds' differences, "
            f"{shared.draws:.2f} of two draws' differences; variance of an AUROC {shared.spread:.2f} times Hanley and McNeil's"
        ),
        f"they were measured on {shared.measured_on}, and are taken to be the same here",
    ]
