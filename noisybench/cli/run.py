"""Commands that make runs: evaluate, memorize, score."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from noisybench.cli.closed_form import check_options, memorize_in_closed_form, report_measured
from noisybench.cli.costs import record_of_costs, say_forecast
from noisybench.cli.detected import report_detected
from noisybench.cli.engines import (
    Address,
    EngineName,
    EngineOptions,
    ShardName,
    TaskCpus,
    TaskGpus,
    TaskMemory,
    Workers,
)
from noisybench.cli.fitted import plan_pool
from noisybench.cli.influence import PairFiles
from noisybench.cli.launched import launched, own_device
from noisybench.cli.printing import (
    Data,
    Json,
    OwnSource,
    Settings,
    print_json,
    progress_bar,
    status,
    tell,
    tell_suspects,
    whole_number,
)
from noisybench.cli.reports import carried_out_by, report_runs, say_plan
from noisybench.ground.errors import BadUsage


def evaluate(
    variants: Annotated[list[Path], typer.Argument(metavar="VARIANT…", help="Folders of variants.")],
    *,
    model: Annotated[str | None, typer.Option(help="Name of a model; default: one that suits the source.")] = None,
    recipe: Annotated[str, typer.Option(help="standard or overfit.")] = "standard",
    epochs: Annotated[int | None, typer.Option(parser=whole_number, metavar="N", help="Default: the recipe's.")] = None,
    seeds: Annotated[str, typer.Option(help="Of training, as in 0,1,2.")] = "0,1,2",
    detectors: Annotated[str, typer.Option(help="fast, standard or all, or names as in aum,cores.")] = "standard",
    settings: Settings = None,
    objective: Annotated[
        str, typer.Option(help="What is minimised: a name of 'list objectives', or package.module:attribute.")
    ] = "cross_entropy",
    objective_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the objective.")] = None,
    observe: Annotated[str | None, typer.Option(help="after each epoch (default), or during training.")] = None,
    rules: Annotated[
        str | None,
        typer.Option(help="Rules of stopping with trainings of their own: noisy_validation, ratt and pmv, or some."),
    ] = None,
    workers: Workers = None,
    engine: EngineName = "processes",
    address: Address = None,
    task_cpus: TaskCpus = None,
    task_gpus: TaskGpus = None,
    task_memory: TaskMemory = None,
    shard: ShardName = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    threads: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of torch in each process.")] = 1,
    checkpoint_every: Annotated[
        int, typer.Option(parser=whole_number, metavar="EPOCHS", help="A stopped run goes on from there.")
    ] = 1,
    loader_workers: Annotated[
        int, typer.Option(parser=whole_number, metavar="N", help="Processes that read inputs too many for the memory.")
    ] = 0,
    data: Data = None,
    own_source: OwnSource = None,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and train nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model on variants, score every detector, and compare with the truth."""
    from noisybench.board.finished import keep_results
    from noisybench.ground.options import split_pairs
    from noisybench.runs.detector_choice import choose_detectors, regimes_of
    from noisybench.runs.training_run import carry_out, check_seeds, choose_rules, plan_evaluation
    from noisybench.training.machine import Machine
    from noisybench.training.objective import choose_objective
    from noisybench.training.plan import plan_run
    from noisybench.variants.location import by_source, source_of

    options = split_pairs(settings or [], flag="--set")
    if observe is not None:
        if "observe" in options:
            msg = "observe is given twice, by --observe and by --set observe=…"
            raise BadUsage(msg)
        options["observe"] = observe
    # All of this before a source is read: a refused command says one line, at once.
    of_objective = split_pairs(objective_set or [], flag="--objective-set")
    leaves = choose_objective(objective, of_objective).objective.leaves
    numbers = check_seeds(_numbers(seeds))
    wanted = split_names(detectors)
    asked = choose_rules(split_names(rules) if rules else ())
    regimes = (*regimes_of(choose_detectors(wanted, leaves)), *asked)
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    own = Machine(own_device(device, workers), threads, 1, checkpoint_every, loader_workers, ranks=launched().world)
    machine = engines.on(own)
    folders: list[Path] = []
    costs: list[dict[str, Any]] = []
    for members in by_source(variants, data):
        path, first = next(iter(members.items()))
        with status(f"reading {first.provenance.source}"):
            source = source_of(first, path, data, own_source)
        plan = plan_run(
            source,
            model=model,
            recipe=recipe,
            epochs=epochs,
            options=options,
            objective=objective,
            objective_options=of_objective,
            device=machine.device,
        )
        planned = plan_evaluation(
            list(members.values()),
            source,
            plan,
            seeds=numbers,
            detectors=wanted,
            machine=engines.sized(machine, len(members) * len(numbers) * len(regimes)),
            out=out,
            rules=asked,
        )
        say_plan(planned)
        if dry_run:
            costs.append(record_of_costs(planned))
            continue
        since = time.time()
        with progress_bar("evaluate", planned.epochs // machine.shard.of) as step:
            made = carry_out(planned, step)
        keep_results(made, since=since)
        folders += made
    if dry_run or launched().rank:  # of several processes the first tells
        if as_json:
            print_json(costs)
        return
    report_runs(folders, as_json=as_json)
    if not machine.shard.is_whole:
        runs = len(variants) * len(numbers) * len(regimes)
        tell(
            f"shard {machine.shard} has its {len(folders)} of {runs} runs; without --shard, the same command does what is left"
        )
    if not as_json:
        tell_suspects(folders)


MODELS, FRACTION = 500, "0.7"
"""Of ``memorize``, where nothing else is said."""


def memorize(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    pool: Annotated[str, typer.Option(help="truth, or detector: what the models are for; never both.")] = "truth",
    model: Annotated[
        str | None, typer.Option(help="Name of a model, or sklearn:NAME; default: one that suits the source.")
    ] = None,
    features: Annotated[
        str, typer.Option(help="What models see: input, pca, patches, torchvision:NAME or timm:NAME.")
    ] = "input",
    features_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the features.")] = None,
    models: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="How many are trained.")] = MODELS,
    fraction: Annotated[
        str, typer.Option(metavar="SHARE", help="Of the samples, in each training subset; several for c_score.")
    ] = FRACTION,
    balanced: Annotated[bool, typer.Option(help="Leave each sample out equally often, or at random.")] = True,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of subsets and training.")] = 0,
    recipe: Annotated[str, typer.Option(help="standard or overfit.")] = "overfit",
    epochs: Annotated[int | None, typer.Option(parser=whole_number, metavar="N", help="Default: 45.")] = None,
    settings: Settings = None,
    objective: Annotated[
        str, typer.Option(help="What each model minimises: a name of 'list objectives', or package.module:attribute.")
    ] = "cross_entropy",
    objective_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the objective.")] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write high-influence pairs with test samples: .csv, .json, .md, .parquet."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw such pairs of images: .png, .svg, .pdf.")
    ] = None,
    estimand: Annotated[
        str | None,
        typer.Option(help="Of --model ridge, kernel_ridge: leave_one_out (default), leave_one_out_margin or subsets."),
    ] = None,
    workers: Workers = None,
    engine: EngineName = "processes",
    address: Address = None,
    task_cpus: TaskCpus = None,
    task_gpus: TaskGpus = None,
    task_memory: TaskMemory = None,
    shard: ShardName = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    threads: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of features and neighbours.")] = 1,
    together: Annotated[
        int | None,
        typer.Option(
            parser=whole_number,
            metavar="N",
            help="Models trained at a time by torch.func; default: as many as pay on a GPU, 1 on a CPU.",
        ),
    ] = None,
    data: Data = None,
    own_source: OwnSource = None,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say hours, memory and disk, by a few models that are thrown away.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure the memorization of each label, or score detectors of held-out answers, with many subset models.

    With --model ridge, kernel_ridge or kernel_ridge_nystrom nothing is trained: each sample is left out exactly.
    """
    from noisybench.board.model_words import KNOWS
    from noisybench.board.results import detect as score_held_out
    from noisybench.board.results import memorize as measure
    from noisybench.ground.checks import whole
    from noisybench.ground.options import split_pairs
    from noisybench.memorization.learner import CLOSED_FORM_MODELS
    from noisybench.memorization.subsets import check_fraction
    from noisybench.runs.pool_run import check_purpose
    from noisybench.training.machine import Machine
    from noisybench.training.objective import choose_objective
    from noisybench.variants.location import source_of
    from noisybench.variants.variant import read_variant

    # All of this before anything is read, computed or said: a refused command says one line.
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    of_objective = split_pairs(objective_set or [], flag="--objective-set")
    knows = choose_objective(objective, of_objective).objective.knows
    fractions = _shares(fraction)
    check_purpose(pool, fractions)
    of_features = split_pairs(features_set or [], flag="--features-set")
    engines = EngineOptions(engine, workers, address, task_cpus, task_gpus, task_memory, shard)
    machine = engines.on(Machine(device, threads, together=together))
    how: dict[str, Any] = {
        "of_subsets": {
            "--models": models == MODELS,
            "--fraction": fraction == FRACTION,
            "--no-balanced": balanced,
            "--seed": not seed,
        },
        "pool": pool,
        "epochs": epochs,
        "objective": objective,
        "recipe": recipe,
        "settings": bool(settings),
        "together": together,
        "machine": machine,
    }
    check_options(model, estimand, **how)
    files = PairFiles(pairs, sheet).checked(pool, model)
    found = read_variant(variant)
    for share in fractions:
        check_fraction(share, len(found.labels))
    with status(f"reading {found.provenance.source}"):
        source = source_of(found, variant, data, own_source)
    files.check_source(source, features)
    if model in CLOSED_FORM_MODELS:
        memorize_in_closed_form(
            source,
            found,
            out,
            plan={
                "model": model,
                "options": split_pairs(settings or [], flag="--set"),
                "features": features,
                "features_options": of_features,
                "estimand": estimand or "leave_one_out",
                "fraction": fractions[-1],
                "balanced": balanced,
            },
            models=models,
            seed=seed,
            machine=machine,
            dry_run=dry_run,
            as_json=as_json,
        )
        return
    with status(f"features {features}") if features != "input" else nullcontext():
        learner, seen = plan_pool(
            source,
            model=model,
            recipe=recipe,
            epochs=epochs,
            options=split_pairs(settings or [], flag="--set"),
            device=machine.device,
            features=features,
            features_options=of_features,
            objective=objective,
            objective_options=of_objective,
            fraction=fractions[-1],
            balanced=balanced,
            cache=out / "features",
            threads=machine.threads,
        )
    machine = engines.sized(machine, models)
    many = f"{models} models" if len(fractions) == 1 else f"{models} models for each of {len(fractions)} fractions"
    many += f" of {learner.learner.name}" + ("" if knows == "nothing" else f", told {KNOWS[knows]}")
    typer.echo(f"{found.name}: {many}, seed {seed}, {pool}, {machine.device}, {carried_out_by(machine)}", err=True)
    asked: dict[str, Any] = {"models": models, "seed": seed, "features": seen, "machine": machine}
    if dry_run:
        asked |= {"purpose": pool, "fractions": fractions, "ask_test": files.wanted}
        say_forecast(source, found, learner, out, as_json=as_json, **asked)
        return
    with progress_bar("memorize", models * len(fractions) // machine.shard.of, "models") as step:
        if pool == "detector":
            detected = score_held_out(source, found, learner, out, fractions=fractions, progress=step, **asked)
        else:
            measured = measure(source, found, learner, out, ask_test=files.wanted, progress=step, **asked)
    if pool == "detector":
        report_detected(detected, found, as_json=as_json)
        return
    written = files.write(measured.path, source, found, models)
    report_measured(measured, learner.learner.name, written, as_json=as_json)


def split_names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        msg = f"--seeds takes whole numbers such as 0,1,2, got '{text}'"
        raise BadUsage(msg) from None


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(sorted(float(part) for part in text.split(",")))
    except ValueError:
        msg = f"--fraction takes a share such as 0.7, or several with commas, got '{text}'"
        raise BadUsage(msg) from None
