"""What an evaluation or a measurement of memorization costs, as lines for people and as a record for machines."""

from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisybench.cli.printing import print_json, say, status

if TYPE_CHECKING:
    from noisybench.data.source import Source
    from noisybench.memorization.closed_form_plan import ClosedFormPlan
    from noisybench.memorization.fitted_plan import FittedPlan
    from noisybench.memorization.subset_plan import SubsetPlan
    from noisybench.runs.training_run import Evaluation
    from noisybench.variants.variant import Variant

SHOWN = 0.01
"""Share of a training from which what a detector adds is said."""


def cost_lines(planned: "Evaluation") -> list[str]:
    """What a run costs, in multiples of its training, and what there is already."""
    from noisybench.runs.forecast import costs_of_evaluation, repeats_of

    costs, repeats = costs_of_evaluation(planned), repeats_of(planned)
    parts = f"{costs.training:g} for training, {costs.looking:.2g} for looking, {costs.added:.2g} for detectors"
    lines = [f"each run costs about {costs.total:.3g} trainings: {parts}"]
    dear = {name: cost.trainings for name, cost in costs.detectors.items() if cost.trainings >= SHOWN}
    width = max(map(len, dear), default=0)
    lines += [f"  {name:<{width}}  {dear[name]:.2g}" for name in sorted(dear, key=lambda name: -dear[name])]
    free = len(costs.detectors) - len(dear)
    if free:
        lines.append(f"  {free} {'detectors add' if free > 1 else 'detector adds'} nothing but the looking")
    if repeats.again:
        lacking = ", ".join(repeats.lacking)
        lines.append(
            f"{repeats.again} of {repeats.runs} runs are trained again, with the same end, to be asked for {lacking}"
        )
    if repeats.finished:
        lines.append(f"{repeats.finished} of {repeats.runs} runs are there and not trained again")
    return lines


def record_of_costs(planned: "Evaluation") -> dict[str, Any]:
    """The same as JSON."""
    from noisybench.runs.forecast import costs_of_evaluation, repeats_of
    from noisybench.runs.schemes import SCHEMES

    costs, repeats = costs_of_evaluation(planned), repeats_of(planned)
    detectors = {name: asdict(cost) for name, cost in costs.detectors.items()}
    for cost in detectors.values():
        cost["passes"] = None if isnan(cost["passes"]) else cost["passes"]
    return {
        "source": planned.source.name,
        "runs": repeats.runs,
        "total": costs.total,
        "training": costs.training,
        "looking": costs.looking,
        "added": costs.added,
        "detectors": detectors,
        "finished": repeats.finished,
        "trained_again": repeats.again,
        "lacking": list(repeats.lacking),
        "rules": {rule: SCHEMES[rule].trainings for rule in planned.rules},
    }


def say_forecast(
    source: "Source",
    variant: "Variant",
    learner: "SubsetPlan | FittedPlan | ClosedFormPlan",
    out: Path,
    *,
    as_json: bool,
    **asked: Any,  # noqa: ANN401 - of forecast_memorization
) -> None:
    """What many subset models, or a solution in closed form, would take."""
    from noisybench.runs.memorization_forecast import forecast_memorization

    with status("a few models"):
        found = forecast_memorization(source, variant, learner, out, **asked)
    if as_json:
        told = asdict(found).items()
        print_json({name: None if isinstance(value, float) and isnan(value) else value for name, value in told})
        return
    for line in found.in_words():
        say(line)
    machine = asked["machine"]
    if not hasattr(machine.runner, "workers"):
        say(f"{machine.runner.words}: so much less by the clock as more blocks of models are trained at the same time")
