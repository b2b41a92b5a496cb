"""The quickstart: the whole way on an embedded data set."""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.build import write_whole_variant
from noisybench.cli.engines import count_workers
from noisybench.cli.printing import print_rows, progress_bar, say
from noisybench.cli.reports import say_plan
from noisybench.cli.run import split_names

if TYPE_CHECKING:
    from noisybench.variants.variant import Variant


def quickstart(
    out: Annotated[Path, typer.Option(help="Where variants and runs go.")] = Path("noisybench-quickstart"),
    *,
    detectors: Annotated[str, typer.Option(help="fast, standard or all, or names as in aum,cores.")] = "standard",
) -> None:
    """Build, memorize, evaluate and rank on an embedded data set of digits: no download, about two minutes."""
    from noisybench.board.finished import keep_results
    from noisybench.board.leaderboard import leaderboard as rank
    from noisybench.board.leaderboard import models_board
    from noisybench.board.results import memorize as measure
    from noisybench.cards.description import describe as description_of
    from noisybench.data.loading import load_source
    from noisybench.ground.options import parse_options
    from noisybench.items import find
    from noisybench.memorization.subset_plan import SubsetPlan
    from noisybench.runs.detector_choice import choose_detectors
    from noisybench.runs.training_run import carry_out, plan_evaluation
    from noisybench.training.machine import Machine
    from noisybench.training.plan import plan_run
    from noisybench.variants.building import build_variant

    wanted = split_names(detectors)
    choose_detectors(wanted)  # before anything is built: a refused command says one line, at once
    source = load_source("digits")
    variants: list[Variant] = []
    measured: list[Variant] = []
    for noise, rate in QUICKSTART_NOISES:
        maker = parse_options(find("noises", noise), {"rate": rate}, what=f"noise '{noise}'")
        for seed in QUICKSTART_DRAWS:
            variant = build_variant(source, maker, seed=seed)
            write_whole_variant(variant, out / "variants" / variant.name, data=None, source_set={})
            variants.append(variant)
            if seed in QUICKSTART_MEASURED:
                measured.append(variant)
        realised = description_of(variants[-1]).realised_rate
        say(f"built {len(QUICKSTART_DRAWS)} draws of {noise} noise, rate {rate}: {realised:.1%} wrong labels")
    machine = Machine(device="auto")
    machine = replace(machine, workers=count_workers(None, machine.device, len(variants) * len(QUICKSTART_SEEDS)))
    plan = plan_run(source, device=machine.device)
    planned = plan_evaluation(
        variants, source, plan, seeds=QUICKSTART_SEEDS, detectors=wanted, machine=machine, out=out / "runs"
    )
    # The same model and recipe as below, so that detectors are held against the memorization of what they watch.
    learner = SubsetPlan(plan)
    many = replace(machine, workers=count_workers(None, machine.device, QUICKSTART_MODELS))
    with progress_bar("memorize", len(measured) * QUICKSTART_MODELS, "models") as step:
        for variant in measured:
            found = measure(
                source, variant, learner, out / "runs", models=QUICKSTART_MODELS, machine=many, progress=step
            )
            summary = found.summary
            typer.echo(
                f"measured memorization in {variant.name}: {summary.mislabeled_memorization:.2f} of wrong labels, "
                f"{summary.clean_memorization:.2f} of right ones, standard error up to {summary.largest_stderr:.2f}"
            )
    say_plan(planned)
    since = time.time()
    with progress_bar("evaluate", planned.epochs) as step:
        made = carry_out(planned, step)
    keep_results(made, since=since)
    print_rows(rank(out / "runs").rows, "table")
    print_rows(rank(out / "runs", truth="memorization").rows, "table")
    print_rows(models_board(out / "runs").rows, "table")
    say(f"variants: {out / 'variants'}\nruns:     {out / 'runs'}")
    say(f"next:     noisybench leaderboard {out / 'runs'} --both")


QUICKSTART_NOISES = (("symmetric", "0.2"), ("asymmetric", "0.3"), ("instance", "0.2"))
QUICKSTART_DRAWS = (0, 1, 2, 3, 4)
QUICKSTART_SEEDS = (0, 1)
QUICKSTART_MEASURED = (0, 1)
"""Draws of each noise whose memorization is measured, with so many models each."""
QUICKSTART_MODELS = 200
