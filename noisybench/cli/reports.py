"""What is said of runs: what was chosen and what it costs before, where they are and what they were like after."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from noisybench.cli.costs import cost_lines
from noisybench.cli.printing import print_json, say
from noisybench.cli.stopping import record_of_stopping, stopping_line

if TYPE_CHECKING:
    from noisybench.runs.training_run import Evaluation
    from noisybench.training.machine import Machine


def say_plan(planned: "Evaluation") -> None:
    """What was chosen and what it costs, on stderr: stdout is for results."""
    from noisybench.training.recipe import recorded

    source, plan = planned.source, planned.plan
    recipe = ", ".join(f"{name}={value}" for name, value in recorded(plan.recipe).items() if name != "epochs")
    by = f", objective {plan.chosen.words}" if plan.chosen.words else ""
    typer.echo(
        f"{source.name} ({len(source.labels)} samples): model {plan.model}, recipe {plan.recipe_name} "
        f"({recipe}){by}, {plan.recipe.epochs} epochs, seeds {','.join(map(str, planned.seeds))}, "
        f"observed {plan.watch.observe}, {planned.machine.device}, {carried_out_by(planned.machine)}",
        err=True,
    )
    for line in cost_lines(planned):
        typer.echo(line, err=True)
    for sentence in planned.further:
        typer.echo(sentence, err=True)


def report_runs(folders: Sequence[Path], *, as_json: bool) -> None:
    """Print where runs are, and what they were like at the end of training."""
    from noisybench.runs.fit_words import FIT_WORDS, on_susceptibility
    from noisybench.runs.reading import read_run
    from noisybench.runs.stopping import stopping_of

    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for folder in folders:
        run = read_run(folder)
        known = {name: None if isnan(value) else value for name, value in run.history.items()}
        stops = stopping_of(run)
        rows.append({"path": str(folder), "seed": run.seed, **known, "stopping": record_of_stopping(stops)})
        lines.append(stopping_line(stops) if stops else "")
    if as_json:
        print_json(rows)
        return
    for row, line in zip(rows, lines, strict=True):
        numbers = ", ".join(
            f"{words} {row[name]:.3f}" for name, words in FIT_WORDS.items() if row.get(name) is not None
        )
        say(f"{row['path']}: {numbers}")
        if line:
            say(f"  {line}")
    sentence = on_susceptibility(row["susceptibility"] for row in rows if row.get("susceptibility") is not None)
    if sentence:
        say(sentence)


def carried_out_by(machine: "Machine") -> str:
    """The ranks or the engine, and the shard where there are several."""
    words = f"{machine.ranks} ranks" if machine.ranks > 1 else machine.runner.words
    return words if machine.shard.is_whole else f"{words}, shard {machine.shard}"
