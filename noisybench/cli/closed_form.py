"""What ``memorize`` does in closed form, what it says of a measurement, and how far measurements agree."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from noisybench.cli.printing import print_json, progress_bar, say, status
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.board.results import MeasuredMemorization
    from noisybench.data.source import Source
    from noisybench.training.machine import Machine
    from noisybench.variants.variant import Variant


def check_options(
    model: str | None,
    estimand: str | None,
    *,
    pool: str,
    epochs: int | None,
    objective: str,
    recipe: str,
    of_subsets: Mapping[str, bool],
    machine: "Machine",
) -> None:
    """Raise ``BadUsage`` for options of a closed form without its model, for those that it does not have, and for no model.

    Args:
        model: That was asked for.
        estimand: That was asked for, as all others.
        pool: See ``memorize``.
        epochs: See ``memorize``.
        objective: See ``memorize``.
        recipe: See ``memorize``.
        of_subsets: Option that only subsets have → whether it is at its default.
        machine: With its engine and shard.
    """
    from noisybench.ground.checks import check_choice
    from noisybench.memorization.learner import CLOSED_FORM_MODELS, ESTIMANDS
    from noisybench.training.objective import CROSS_ENTROPY

    if estimand is not None:
        check_choice(estimand, "--estimand", ESTIMANDS)
    _check_name(model or "")
    if model not in CLOSED_FORM_MODELS:
        if estimand not in (None, "subsets"):
            msg = (
                f"--estimand {estimand} is of models in closed form ({', '.join(CLOSED_FORM_MODELS)}); a network would be "
                f"trained once for each sample: leave it out"
            )
            raise BadUsage(msg)
        return
    if pool == "detector":
        msg = (
            f"--pool detector is for models that are trained; what ridge regression says of samples that it has not seen is "
            f"scored by 'noisybench score VARIANT --features NAME', got --model {model}"
        )
        raise BadUsage(msg)
    if machine.engine is not None or not machine.shard.is_whole:
        msg = f"model '{model}' is solved here and at once: leave out {'--engine' if machine.engine else '--shard'}"
        raise BadUsage(msg)
    if epochs is not None:
        msg = f"model '{model}' is solved and not trained: leave out --epochs"
        raise BadUsage(msg)
    if objective != CROSS_ENTROPY:
        msg = f"model '{model}' is solved for its squared error, got --objective {objective}: leave it out"
        raise BadUsage(msg)
    if recipe != "overfit":
        msg = f"model '{model}' is solved and not trained: leave out --recipe, and set its penalty by --set penalty=3"
        raise BadUsage(msg)
    given = [option for option, is_default in of_subsets.items() if not is_default]
    if given and estimand != "subsets":
        msg = f"{' and '.join(given)} are of --estimand subsets; else each sample is left out exactly: leave them out, or add that"
        raise BadUsage(msg)


def _check_name(model: str) -> None:
    """Raise unless there is such a model, trained or in closed form; those of other packages are looked for later."""
    from noisybench.ground.checks import unknown
    from noisybench.ground.errors import UnknownName
    from noisybench.ground.lookup import names
    from noisybench.memorization.learner import CLOSED_FORM_MODELS

    name = model.partition("(")[0].strip()
    if model != name and name in CLOSED_FORM_MODELS:
        msg = f"options of model '{name}' are said by --set, as --set penalty=3, got --model '{model}'"
        raise BadUsage(msg)
    if name and ":" not in name and name not in (every := (*names("models"), *CLOSED_FORM_MODELS)):
        raise UnknownName(unknown(name, every, "model"))


def memorize_in_closed_form(
    source: "Source",
    variant: "Variant",
    out: Path,
    *,
    plan: dict[str, Any],
    models: int,
    seed: int,
    machine: "Machine",
    as_json: bool,
) -> None:
    """Leave out each sample, or random subsets, exactly, and say what came out.

    Args:
        source: Of the variant.
        variant: Whose labels.
        out: Folder of runs.
        plan: What ``plan_closed_form`` takes.
        models: Refits on random subsets.
        seed: Of the subsets.
        machine: Threads, and the device of features.
        as_json: Whether for machines.
    """
    from noisybench.board.results import memorize as measure
    from noisybench.memorization.closed_form_plan import CHOSEN_ON, plan_closed_form
    from noisybench.training.machine import limited_threads

    name = plan["features"]
    with status(f"features {name}") if name != "input" else nullcontext(), limited_threads(machine.threads):
        solved, seen = plan_closed_form(source, **plan, device=machine.device, cache=out / "features")
    exact = solved.learner.is_exact
    what = "each sample left out of" if exact else f"{models} refits of"
    chosen = " and ".join(option for option, where in solved.chosen.items() if where != "given")
    told = f"; {chosen} chosen on other sets ({CHOSEN_ON})" if chosen else ""
    typer.echo(f"{variant.name}: {what} {solved.learner.name}{told}", err=True)
    asked: dict[str, Any] = {"models": models, "seed": seed, "features": seen, "machine": machine}
    with progress_bar("memorize", models, "refits") if not exact else nullcontext(lambda: None) as step:
        measured = measure(source, variant, solved, out, progress=step, **asked)
    report_measured(measured, solved.learner.name, as_json=as_json)


def report_measured(measured: "MeasuredMemorization", learner: str, *, as_json: bool) -> None:
    """What a measurement of memorization found, and how good it is."""
    from noisybench.runs.fit_words import FIT_WORDS

    summary = measured.summary
    record = {"path": str(measured.path), "learner": learner, **asdict(summary)}
    if as_json:
        print_json({key: None if isinstance(value, float) and isnan(value) else value for key, value in record.items()})
        return
    for name, value in asdict(summary).items():
        if not summary.models and name in OF_MODELS:
            continue
        key = FIT_WORDS.get(name, name)
        say(f"{key.replace('_', ' '):<26}{value:.4g}" if isinstance(value, float) else f"{key:<26}{value}")
    if summary.mislabeled_fit < FITTED:
        typer.echo(
            f"note: {summary.mislabeled_fit:.0%} wrong labels fitted by the models that are trained on them: of a learner "
            f"that fits so few, memorization is low as it should be"
        )
    say(str(measured.path))


FITTED = 0.5
"""Share of wrong labels fitted below which it is said why memorization is low."""
OF_MODELS = (
    "models",
    "rms_stderr",
    "largest_stderr",
    "split_half",
    "split_half_corrected",
    "reliability",
    "models_per_second",
)
"""Fields of a summary that say nothing where each sample was left out exactly."""
