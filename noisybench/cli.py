"""The command line: each command reads and writes folders and calls one public function. The only file that prints."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.version import __version__

if TYPE_CHECKING:
    from noisybench.board.rendering import Rows
    from noisybench.cards.description import Description
    from noisybench.data.source import Source
    from noisybench.memorization.reliability import Summary
    from noisybench.runs.pool_run import Detected
    from noisybench.training.plan import Plan
    from noisybench.variants.variant import Variant

app = typer.Typer(
    help="Label-noise benchmarks: build noisy variants of a data set, evaluate what a model memorizes, rank detectors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = f"'{text}' is no whole number"
        raise typer.BadParameter(msg) from None


Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text.")]
Data = Annotated[Path | None, typer.Option(help="Where the source's files are; default: the cache, after a download.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="An option; may be repeated.")]
OwnSource = Annotated[
    str | None, typer.Option("--source", help="A source of your own, package.module:attribute; default: by its name.")
]
SourceSettings = Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the source.")]


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"noisybench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Show it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    del version, debug  # read by their callback and by main()


@app.command("list")
def list_(
    drawer: Annotated[
        str | None,
        typer.Argument(metavar="[LIST]", help="sources, alterations, noises, features, models, probes or detectors"),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the sources, alterations, noises, features, models, probes and detectors."""
    from noisybench.ground.lookup import Drawer, names, summary

    drawers = get_args(Drawer) if drawer is None else (drawer,)
    found = {name: [{"name": item, "summary": summary(name, item)} for item in names(name)] for name in drawers}
    if as_json:
        _print_json(found if drawer is None else found[drawer])
        return
    for name, items in found.items():
        typer.echo(f"{name}:")
        for item in items:
            typer.echo(f"  {item['name']:<21} {item['summary']}")
    if drawer in (None, "models", "features"):
        what = "models and features" if drawer is None else drawer
        typer.echo(f"{what} may also be torchvision:NAME, timm:NAME or your own package.module:attribute")


@app.command()
def build(
    source: Annotated[str, typer.Argument(help="Name of a source; 'noisybench list sources' shows them.")],
    *,
    noise: Annotated[str, typer.Option(help="Name of a noise; 'noisybench list noises' shows them.")],
    rate: Annotated[list[str] | None, typer.Option(metavar="R", help="Share of wrong labels: 0.2 is 20 %.")] = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(parser=_whole, metavar="N", help="Of the noise.")] = 0,
    mode: Annotated[
        str | None, typer.Option(help="exact, exact_per_class or bernoulli; default: the first that the noise has.")
    ] = None,
    data: Data = None,
    source_set: SourceSettings = None,
    limit: Annotated[
        int | None, typer.Option(parser=_whole, metavar="N", help="Keep the first N training samples.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of variants.")] = Path("variants"),
    as_json: Json = False,
) -> None:
    """Build a noisy variant of a source; prints its folder last."""
    from noisybench.cards.description import describe
    from noisybench.cards.description_text import to_record, to_text
    from noisybench.ground.lookup import find
    from noisybench.ground.options import parse_options, split_pairs
    from noisybench.variants.building import build_variant
    from noisybench.variants.flipping import check_mode

    if mode is not None:
        check_mode(mode)
    params = split_pairs(settings or [], flag="--set")
    rates = [*(rate or []), *([params["rate"]] if "rate" in params else [])]
    if len(rates) > 1:
        msg = f"the rate is given twice, as {' and '.join(rates)}; say --rate once, and no --set rate=…"
        raise BadUsage(msg)
    if rate:
        params["rate"] = rate[0]
    options = split_pairs(source_set or [], flag="--source-set")
    maker = parse_options(find("noises", noise), params, what=f"noise '{noise}'")
    loader = parse_options(find("sources", source), options, what=f"source '{source}'")
    with _status(f"reading {source}"):
        loaded = loader(data, limit=limit)
    variant = build_variant(loaded, maker, seed=seed, mode=mode)  # type: ignore[arg-type]  # checked above
    description = describe(variant)
    folder = out / variant.name
    found = {key: getattr(loader, key) for key in options}
    places = {key: str(value.resolve() if isinstance(value, Path) else value) for key, value in found.items()}
    _lay_down(variant, folder, data=data, source_set=places)
    _warn(description)
    if as_json:
        _print_json({"path": str(folder), **to_record(variant, description)})
        return
    typer.echo(f"{loaded.name}: {len(loaded.labels)} training samples, order: {loaded.order}")
    typer.echo(to_text(variant, description))
    typer.echo(str(folder))


@app.command()
def describe(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    difficulty: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold errors against it, higher is harder: npz, npy, csv, parquet."),
    ] = None,
    lower_is_harder: Annotated[
        bool, typer.Option("--lower-is-harder", help="The difficulty has the other sign, as C-scores have.")
    ] = False,
    pred_probs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Out-of-sample class probabilities: do errors follow them?")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw matrix and difficulty: .png, .svg or .pdf.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a variant's rates, transition matrices and ceilings, and how its errors follow a difficulty."""
    from dataclasses import replace

    from noisybench.cards.description import describe as measure
    from noisybench.cards.description_text import to_record, to_text
    from noisybench.cards.picture import check_picture, draw
    from noisybench.memorization.difficulty_files import is_circular, read_difficulty
    from noisybench.variants.sample_files import read_given
    from noisybench.variants.variant import read_variant

    if lower_is_harder and difficulty is None:
        msg = "--lower-is-harder is for --difficulty, which is missing"
        raise BadUsage(msg)
    if plot is not None:
        check_picture(plot)
    found = read_variant(variant)
    description = measure(
        found,
        difficulty=None if difficulty is None else read_difficulty(difficulty, found, lower_is_harder=lower_is_harder),
        pred_probs=None if pred_probs is None else read_given(pred_probs, found, "pred_probs", of_clean=True),
    )
    if difficulty is not None and is_circular(difficulty, found):
        sentence = (
            "the difficulty is the memorization of these very labels, in which wrong labels are hard because they are "
            "wrong: its AUROC says how well memorization finds them; measure it on the clean labels"
        )
        description = replace(description, warnings=(*description.warnings, sentence))
    _warn(description)
    if plot is not None:
        draw(found, description, plot)
    if as_json:
        place = {} if plot is None else {"plot": str(plot)}
        _print_json({"path": str(variant), **place, **to_record(found, description, matrices=True)})
        return
    typer.echo(to_text(found, description))
    if plot is not None:
        typer.echo(str(plot))


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A variant's folder, or any folder above variants or runs.")],
    *,
    data: Data = None,
    own_source: OwnSource = None,
) -> None:
    """Check that variants and runs, all that are below a folder, are whole and belong together."""
    from noisybench.cards.verify import variants_below
    from noisybench.runs.verify import unfinished_runs, verify_runs

    if (path / "variant.json").is_file():
        for sentence in _verify_variant(path, data, own_source):
            typer.echo(sentence)
        typer.echo(f"{path} is whole")
        return
    folders = variants_below(path)
    for folder in folders:
        for sentence in _verify_variant(folder, data, own_source):
            typer.echo(f"{folder}: {sentence}")
    left = 0
    if not folders or next(path.rglob("run.json"), None) or next(path.rglob("memorization.parquet"), None):
        for sentence in verify_runs(path):
            typer.echo(sentence)
        left = unfinished_runs(path)
    runs = f", but for {left} unfinished run{'' if left == 1 else 's'}" if left else ""
    typer.echo(f"{path} is whole{runs}")


def _verify_variant(folder: Path, data: Path | None, own_source: str | None) -> Iterator[str]:
    """Check a variant against itself and, where that is to be had, against its source."""
    from noisybench.cards.verify import verify_draw, verify_variant
    from noisybench.variants.location import source_of
    from noisybench.variants.variant import check_source, read_variant

    yield from verify_variant(folder)
    variant = read_variant(folder)
    try:
        with _status(f"reading {variant.provenance.source}"):
            source = source_of(variant, folder, data, own_source)
    except (BadData, BadUsage) as error:
        if data is not None or own_source is not None:
            raise
        yield f"the source was not checked, nor the labels drawn again from it: {error}"
    else:
        check_source(source, variant)
        yield "the source's inputs and labels are those it was built from"
        if source.name == "huggingface" != variant.provenance.source:
            yield "the labels were not drawn again: the source was read from its export"
            return
        yield one_line(verify_draw(variant, source))  # the record may be a stranger's


@app.command()
def evaluate(
    variants: Annotated[list[Path], typer.Argument(metavar="VARIANT…", help="Folders of variants.")],
    *,
    model: Annotated[str | None, typer.Option(help="Name of a model; default: one that suits the source.")] = None,
    recipe: Annotated[str, typer.Option(help="standard or overfit.")] = "standard",
    epochs: Annotated[int | None, typer.Option(parser=_whole, metavar="N", help="Default: the recipe's.")] = None,
    seeds: Annotated[str, typer.Option(help="Of training, as in 0,1,2.")] = "0,1,2",
    detectors: Annotated[str, typer.Option(help="all, or names as in aum,cores.")] = "all",
    settings: Settings = None,
    observe: Annotated[str | None, typer.Option(help="after each epoch (default), or during training.")] = None,
    workers: Annotated[
        int | None, typer.Option(parser=_whole, metavar="N", help="Processes; default: one a core or GPU.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    threads: Annotated[int, typer.Option(parser=_whole, metavar="N", help="Of torch in each process.")] = 1,
    checkpoint_every: Annotated[
        int, typer.Option(parser=_whole, metavar="EPOCHS", help="A stopped run goes on from there.")
    ] = 1,
    loader_workers: Annotated[
        int, typer.Option(parser=_whole, metavar="N", help="Processes that read inputs too many for the memory.")
    ] = 0,
    data: Data = None,
    own_source: OwnSource = None,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train a model on variants, score every detector, and compare with the truth."""
    from noisybench.ground.checks import whole
    from noisybench.ground.options import split_pairs
    from noisybench.runs.training_run import check_runs, check_seeds, choose_detectors
    from noisybench.runs.training_run import evaluate as run
    from noisybench.training.plan import plan_run
    from noisybench.variants.location import by_source, source_of

    options = split_pairs(settings or [], flag="--set")
    if observe is not None:
        if "observe" in options:
            msg = "observe is given twice, by --observe and by --set observe=…"
            raise BadUsage(msg)
        options["observe"] = observe
    # All of this before the plan is said: a refused command says one line.
    numbers = check_seeds(_numbers(seeds))
    wanted = "all" if detectors == "all" else tuple(name.strip() for name in detectors.split(","))
    choose_detectors(wanted)
    whole(threads, "threads", least=1)
    whole(checkpoint_every, "checkpoint_every", least=1)
    whole(loader_workers, "loader_workers", least=0)
    folders: list[Path] = []
    for members in by_source(variants, data):
        path, first = next(iter(members.items()))
        with _status(f"reading {first.provenance.source}"):
            source = source_of(first, path, data, own_source)
        plan = plan_run(source, model=model, recipe=recipe, epochs=epochs, options=options, device=device)
        count = _workers(workers, plan.device, len(members) * len(numbers))
        check_runs(plan, source, runs=len(members) * len(numbers), workers=count)
        _say_plan(plan, source, seeds=numbers, workers=count)
        with _progress("evaluate", len(members) * len(numbers) * plan.recipe.epochs) as step:
            folders += run(
                list(members.values()),
                source,
                model=model,
                recipe=recipe,
                epochs=epochs,
                seeds=numbers,
                detectors=wanted,
                options=options,
                workers=count,
                device=device,
                threads=threads,
                checkpoint_every=checkpoint_every,
                loader_workers=loader_workers,
                out=out,
                progress=step,
            )
    _report_runs(folders, as_json=as_json)


@app.command()
def memorize(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    pool: Annotated[str, typer.Option(help="truth, or detector: what the models are for; never both.")] = "truth",
    model: Annotated[str | None, typer.Option(help="Name of a model; default: one that suits the source.")] = None,
    features: Annotated[
        str, typer.Option(help="What models see: input, pca, patches, torchvision:NAME or timm:NAME.")
    ] = "input",
    features_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the features.")] = None,
    models: Annotated[int, typer.Option(parser=_whole, metavar="N", help="How many are trained.")] = 500,
    fraction: Annotated[
        str, typer.Option(metavar="SHARE", help="Of the samples, in each training subset; several for c_score.")
    ] = "0.7",
    balanced: Annotated[bool, typer.Option(help="Leave each sample out equally often, or at random.")] = True,
    seed: Annotated[int, typer.Option(parser=_whole, metavar="N", help="Of subsets and training.")] = 0,
    recipe: Annotated[str, typer.Option(help="standard or overfit.")] = "overfit",
    epochs: Annotated[int | None, typer.Option(parser=_whole, metavar="N", help="Default: 45.")] = None,
    settings: Settings = None,
    workers: Annotated[
        int | None, typer.Option(parser=_whole, metavar="N", help="Processes; default: one a core or GPU.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    data: Data = None,
    own_source: OwnSource = None,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure how much each label is memorized, or score detectors of held-out answers, with many subset models."""
    from noisybench.ground.checks import whole
    from noisybench.ground.options import split_pairs
    from noisybench.memorization.learner import plan_learner
    from noisybench.memorization.subsets import check_fraction
    from noisybench.runs.measurement import memorize as measure
    from noisybench.runs.pool_run import check_purpose
    from noisybench.runs.pool_run import detect as score_held_out
    from noisybench.variants.location import source_of
    from noisybench.variants.variant import read_variant

    # All of this before anything is read, computed or said: a refused command says one line.
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    fractions = _shares(fraction)
    check_purpose(pool, fractions)
    of_features = split_pairs(features_set or [], flag="--features-set")
    found = read_variant(variant)
    for share in fractions:
        check_fraction(share, len(found.labels))
    with _status(f"reading {found.provenance.source}"):
        source = source_of(found, variant, data, own_source)
    with _status(f"features {features}") if features != "input" else nullcontext():
        learner, seen = plan_learner(
            source,
            model=model,
            recipe=recipe,
            epochs=epochs,
            options=split_pairs(settings or [], flag="--set"),
            device=device,
            features=features,
            features_options=of_features,
            fraction=fractions[-1],
            balanced=balanced,
            cache=out / "features",
        )
    count = _workers(workers, learner.plan.device, models)
    many = f"{models} models" if len(fractions) == 1 else f"{models} models for each of {len(fractions)} fractions"
    typer.echo(
        f"{found.name}: {many} of {learner.name}, seed {seed}, {pool}, {learner.plan.device}, {count} workers", err=True
    )
    asked: dict[str, Any] = {"models": models, "seed": seed, "features": seen, "workers": count}
    with _progress("memorize", models * len(fractions), "models") as step:
        if pool == "detector":
            detected = score_held_out(source, found, learner, out, fractions=fractions, progress=step, **asked)
        else:
            place, summary = measure(source, found, learner, out, progress=step, **asked)
    if pool == "detector":
        _report_detected(detected, found, as_json=as_json)
    else:
        _report_measured(place, learner.name, summary, as_json=as_json)


def _report_measured(place: Path, learner: str, summary: "Summary", *, as_json: bool) -> None:
    """What a measurement of memorization found, and how good it is."""
    record = {"path": str(place), "learner": learner, **asdict(summary)}
    if as_json:
        _print_json(
            {key: None if isinstance(value, float) and isnan(value) else value for key, value in record.items()}
        )
        return
    for key, value in asdict(summary).items():
        typer.echo(f"{key.replace('_', ' '):<26}{value:.4g}" if isinstance(value, float) else f"{key:<26}{value}")
    if summary.mislabeled_fit < FITTED:
        typer.echo(
            f"note: models fit {summary.mislabeled_fit:.0%} of the wrong labels that they are trained on: this learner "
            f"memorizes little, which its memorization says as it should"
        )
    typer.echo(str(place))


FITTED = 0.95
"""Share of wrong labels fitted below which a learner is said to memorize little."""


@app.command()
def score(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    name: Annotated[str, typer.Option(help="What to call the scores, or the model of the probabilities.")],
    pred_probs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Out-of-sample class probabilities: npz, npy, csv, parquet.")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ready-made scores, higher more suspicious: npz, npy, csv, parquet."),
    ] = None,
    lower_is_suspicious: Annotated[
        bool, typer.Option("--lower-is-suspicious", help="The scores have the other sign, as label quality has.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Bring scores, or probabilities, of your own code into the leaderboard; by sample id. Prints the run's folder last."""
    from noisybench.runs.given_run import score_given
    from noisybench.variants.variant import read_variant

    found = read_variant(variant)
    folder = score_given(
        found, out, name=name, pred_probs=pred_probs, scores=scores, lower_is_suspicious=lower_is_suspicious
    )
    told = _told(folder, found)
    area = told[name]["auroc"]["value"] if scores is not None else None
    if area is not None and area < UPSIDE_DOWN:
        mend = "without" if lower_is_suspicious else "with"
        typer.echo(
            f"warning: '{one_line(name)}' ranks mislabeled samples below clean ones (AUROC {area:.3f}); the sign may be "
            f"wrong: score again {mend} --lower-is-suspicious",
            err=True,
        )
    if as_json:
        _print_json({"path": str(folder), "name": name, "detectors": told})
        return
    _say_told(told)
    typer.echo(str(folder))


def _told(folder: Path, variant: "Variant") -> dict[str, dict[str, dict[str, float | None]]]:
    """Detector → metric → value and interval, None for NaN, of a run: against the mask, and each memorization."""
    from noisybench.board.agreement import read_agreements

    told: dict[str, dict[str, dict[str, float | None]]] = {}
    for row in read_agreements(folder / "agreement.parquet", variant.provenance.variant_id):
        memorized = row.truth == "memorization" and (row.metric, row.stratum) == ("spearman", "all")
        if row.kind != "reference" and (row.truth == "mislabeled" or memorized):
            metric = f"spearman with memorization by {row.learner}" if memorized else row.metric
            values = {"value": row.value, "low": row.low, "high": row.high}
            told.setdefault(row.detector, {})[metric] = {k: None if isnan(v) else v for k, v in values.items()}
    return told


def _say_told(told: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> None:
    shown = {"auroc": "AUROC", "average_precision": "AP"}
    learners = sorted({name for metrics in told.values() for name in metrics if name.startswith("spearman with")})
    for number, name in enumerate(learners, start=1):
        shown[name] = "ρ with memorization" + (f" {number}" if len(learners) > 1 else "")
    for detector, metrics in told.items():
        words = [f"{title} {_interval(metrics[key])}" for key, title in shown.items() if key in metrics]
        typer.echo(f"{one_line(detector):<22} {'  '.join(words)}")
    for name in learners:
        typer.echo(one_line(f"{shown[name]}: Spearman's, of {name.removeprefix('spearman with ')}"))


def _report_detected(detected: "Detected", variant: "Variant", *, as_json: bool) -> None:
    """What a detector pool found: each detector against the mask, and the noise as confident learning estimates it."""
    told, noise = _told(detected.folder, variant), detected.noise
    if "knn" not in told:
        typer.echo(
            "note: knn is left out: inputs that are read when asked for have neighbours in features only", err=True
        )
    if as_json:
        matrix = [[None if isnan(cell) else cell for cell in row] for row in noise.transition.tolist()]
        rate = None if isnan(noise.rate) else noise.rate
        _print_json({"path": str(detected.folder), "noise_rate": rate, "transition": matrix, "detectors": told})
        return
    _say_told(told)
    known = variant.known
    realised = f"; realised {variant.mislabeled[known].mean():.1%}" if known.any() else ""
    typer.echo(f"estimated noise rate     {noise.rate:.1%} by confident learning{realised}")
    typer.echo(str(detected.folder))


UPSIDE_DOWN = 0.4
"""AUROC below which scores are said to have, perhaps, the other sign."""


def _interval(estimate: Mapping[str, float | None]) -> str:
    value, low, high = (estimate[end] for end in ("value", "low", "high"))
    if value is None:
        return "unknown"
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ({low:.4f} to {high:.4f})"


@app.command()
def leaderboard(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS…", help="Any folders above runs.")],
    *,
    truth: Annotated[
        str, typer.Option(help="mislabeled, memorization where measured, or a mark, as open_set.")
    ] = "mislabeled",
    metric: Annotated[
        str | None, typer.Option(help="auroc, average_precision, …; of memorization: spearman, overlap_5, …")
    ] = None,
    stratum: Annotated[str, typer.Option(help="all, clean or mislabeled samples; of memorization.")] = "all",
    models: Annotated[bool, typer.Option("--models", help="A table of the runs instead of the detectors.")] = False,
    both: Annotated[
        bool, typer.Option("--both", help="Where flags fall among wrong × memorized, instead of a ranking.")
    ] = False,
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv, json or latex.")] = "table",
) -> None:
    """Compare detectors (or, with --models, the trained models) over variants and seeds.

    With --both: where each detector's flags fall among wrong and clean, memorized and other samples.
    """
    from noisybench.board.detector_table import leaderboard as rank
    from noisybench.board.flags_table import both_rows
    from noisybench.board.model_table import model_rows

    if both:
        others = {
            "--models": models,
            "--truth": truth != "mislabeled",
            "--metric": metric is not None,
            "--stratum": stratum != "all",
        }
        refused = [name for name, given in others.items() if given]
        if refused:
            msg = f"--both is a table of its own and takes no {refused[0]}; leave one of the two out"
            raise BadUsage(msg)
        _print_rows(both_rows(runs), style)
        return
    _print_rows(model_rows(runs) if models else rank(runs, truth=truth, metric=metric, stratum=stratum), style)


@app.command()
def suspects(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the one above its seeds.")],
    *,
    detector: Annotated[str | None, typer.Option(help="It ranks; default: cumulative_loss if there.")] = None,
    top: Annotated[int, typer.Option(parser=_whole, metavar="N", help="How many samples.")] = 20,
    style: Annotated[str, typer.Option("--format", help="table, markdown, csv or json.")] = "table",
) -> None:
    """Show the most suspicious samples of a run; needs no truth."""
    from noisybench.board.suspects import suspects as find_suspects

    found = find_suspects(run, detector=detector, top=top)
    if style == "json":
        _print_json([asdict(suspect) for suspect in found])
        return
    short = style in ("table", "markdown")  # people want the ranking score, machines all of them
    named = any(suspect.name for suspect in found)
    header = ["sample", *(["name"] if named else []), "given", "given_name", "predicted", "predicted_name"]
    header += list(found[0].scores)[:1] if short else list(found[0].scores)
    lines = []
    for suspect in found:
        scores = list(suspect.scores.values())
        words = [f"{scores[0]:.4f}"] if short else [repr(value) for value in scores]
        given = (*([one_line(suspect.name)] if named else []), str(suspect.given), suspect.given_name)
        lines.append([str(suspect.sample), *given, str(suspect.predicted), suspect.predicted_name, *words])
    _print_lines(header, lines, style)


@app.command()
def export(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the export; an export that is there is replaced.")],
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload it to the Hugging Face hub too, as a data set.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="The repository on the hub is private.")] = False,
    may_publish: Annotated[
        bool, typer.Option("--may-publish", help="Upload whatever noisybench knows of licences: you know that you may.")
    ] = False,
    data: Data = None,
    own_source: OwnSource = None,
    as_json: Json = False,
) -> None:
    """Write a variant with its inputs as a Hugging Face data set in Parquet, which opens without noisybench."""
    from noisybench.cards.export import check_place, check_push, export_variant, licence_reasons, push_export
    from noisybench.variants.location import source_of
    from noisybench.variants.variant import read_variant

    if push is None and (private or may_publish):
        msg = f"{'--private' if private else '--may-publish'} is for --push, which is missing"
        raise BadUsage(msg)
    found = read_variant(variant)
    check_place(to)
    if push is not None:
        check_push(push, found, may_publish=may_publish)
    with _status(f"reading {found.provenance.source}"):
        source = source_of(found, variant, data, own_source)
    tested = 0 if source.test_labels is None else len(source.test_labels)
    with _progress("export", len(found.labels) + tested, "samples") as step:
        export_variant(found, source, to, progress=step)
    reasons = licence_reasons(found)
    if reasons and push is None:
        typer.echo(one_line(f"note: {'; '.join(reasons)}; share the export only if you know that you may"), err=True)
    address = None
    if push is not None:
        with _status(f"uploading to {push}"):
            address = push_export(to, push, private=private)
    if as_json:
        samples = {"train": len(found.labels), "test": tested}
        told = {"path": str(to), "variant_id": found.provenance.variant_id, "samples": samples, "address": address}
        _print_json({**told, "notes": reasons})
        return
    if address is not None:
        typer.echo(address)
    typer.echo(str(to))


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Where variants and runs go.")] = Path("noisybench-quickstart"),
) -> None:
    """Build, memorize, evaluate and rank on an embedded data set of digits: no download, about two minutes."""
    from noisybench.board.detector_table import leaderboard as rank
    from noisybench.board.model_table import model_rows
    from noisybench.cards.description import describe as description_of
    from noisybench.data.loading import load_source
    from noisybench.ground.lookup import find
    from noisybench.ground.options import parse_options
    from noisybench.memorization.learner import Learner
    from noisybench.runs.measurement import memorize as measure
    from noisybench.runs.training_run import evaluate as run
    from noisybench.training.plan import plan_run
    from noisybench.variants.building import build_variant

    source = load_source("digits")
    variants: list[Variant] = []
    measured: list[Variant] = []
    for noise, rate in QUICKSTART_NOISES:
        maker = parse_options(find("noises", noise), {"rate": rate}, what=f"noise '{noise}'")
        for seed in QUICKSTART_DRAWS:
            variant = build_variant(source, maker, seed=seed)
            _lay_down(variant, out / "variants" / variant.name, data=None, source_set={})
            variants.append(variant)
            if seed in QUICKSTART_MEASURED:
                measured.append(variant)
        realised = description_of(variants[-1]).realised_rate
        typer.echo(f"built {len(QUICKSTART_DRAWS)} draws of {noise} noise, rate {rate}: {realised:.1%} wrong labels")
    plan = plan_run(source)
    count = _workers(None, plan.device, len(variants) * len(QUICKSTART_SEEDS))
    # The same model and recipe as below, so that detectors are held against the memorization of what they watch.
    learner = Learner(plan)
    many = _workers(None, plan.device, QUICKSTART_MODELS)
    with _progress("memorize", len(measured) * QUICKSTART_MODELS, "models") as step:
        for variant in measured:
            asked: dict[str, Any] = {"models": QUICKSTART_MODELS, "workers": many, "progress": step}
            _, summary = measure(source, variant, learner, out / "runs", **asked)
            typer.echo(
                f"measured memorization in {variant.name}: {summary.mislabeled_memorization:.2f} of wrong labels, "
                f"{summary.clean_memorization:.2f} of right ones, standard error up to {summary.largest_stderr:.2f}"
            )
    _say_plan(plan, source, seeds=QUICKSTART_SEEDS, workers=count)
    with _progress("evaluate", len(variants) * len(QUICKSTART_SEEDS) * plan.recipe.epochs) as step:
        run(variants, source, seeds=QUICKSTART_SEEDS, workers=count, out=out / "runs", progress=step)
    _print_rows(rank([out / "runs"]), "table")
    _print_rows(rank([out / "runs"], truth="memorization"), "table")
    _print_rows(model_rows([out / "runs"]), "table")
    typer.echo(f"variants: {out / 'variants'}\nruns:     {out / 'runs'}")
    typer.echo(f"next:     noisybench leaderboard {out / 'runs'} --both")


QUICKSTART_NOISES = (("symmetric", "0.2"), ("asymmetric", "0.3"), ("instance", "0.2"))
QUICKSTART_DRAWS = (0, 1, 2, 3, 4)
QUICKSTART_SEEDS = (0, 1)
QUICKSTART_MEASURED = (0, 1)
"""Draws of each noise whose memorization is measured, with so many models each."""
QUICKSTART_MODELS = 200


def _lay_down(variant: "Variant", folder: Path, *, data: Path | None, source_set: Mapping[str, str]) -> None:
    """Write a variant's folder: all of it, or nothing where there was nothing."""
    from noisybench.cards.variant_card import write_cards
    from noisybench.variants.location import write_location
    from noisybench.variants.variant import write_variant

    new = not folder.exists()
    try:
        write_variant(variant, folder)
        write_cards(variant, folder)
        write_location(folder, data=data, source_set=source_set)
    except BaseException:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _workers(asked: int | None, device: str, runs: int) -> int:
    if asked is not None:
        if asked < 1:
            msg = f"workers must be at least 1, got {asked}"
            raise BadUsage(msg)
        return asked
    if device == "cpu":
        return min(os.cpu_count() or 1, runs)
    import torch

    return max(1, min(torch.cuda.device_count() if device == "cuda" else 1, runs))


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


@contextmanager
def _status(what: str) -> Iterator[None]:
    """A spinner on stderr for what takes seconds and has no steps; nothing where that is no terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


@contextmanager
def _progress(what: str, total: int, unit: str = "epochs") -> Iterator[Callable[[], None]]:
    """A bar with the time left, on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(f"{unit}, left"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _say_plan(plan: "Plan", source: "Source", *, seeds: Sequence[int], workers: int) -> None:
    """What was chosen, on stderr: stdout is for results."""
    recipe = ", ".join(f"{name}={value}" for name, value in asdict(plan.recipe).items() if name != "epochs")
    typer.echo(
        f"{source.name} ({len(source.labels)} samples): model {plan.model}, recipe {plan.recipe_name} "
        f"({recipe}), {plan.recipe.epochs} epochs, seeds {','.join(map(str, seeds))}, observed {plan.watch.observe}, "
        f"{plan.device}, {workers} {'worker' if workers == 1 else 'workers'}",
        err=True,
    )


def _report_runs(folders: Sequence[Path], *, as_json: bool) -> None:
    from noisybench.runs.reading import read_runs

    runs = {run.path.resolve(): run for run in read_runs(folders)}
    rows: list[dict[str, Any]] = []
    for folder in folders:
        run = runs[folder.resolve()]
        rows.append(
            {"path": str(folder), "seed": run.seed, **{k: None if isnan(v) else v for k, v in run.history.items()}}
        )
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        numbers = ", ".join(
            f"{name.replace('_', ' ')} {row[name]:.3f}"
            for name in ("test_accuracy", "mislabeled_fit", "clean_fit", "susceptibility")
            if row.get(name) is not None
        )
        typer.echo(f"{row['path']}: {numbers}")


def one_line(text: str) -> str:
    """One line, in which what would steer a terminal is written out: text may quote a stranger's file."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


def _warn(description: "Description") -> None:
    for sentence in description.warnings:
        typer.echo(f"warning: {one_line(sentence)}", err=True)


def _print_rows(rows: "Rows", style: str) -> None:
    from noisybench.board.rendering import to_csv, to_json, to_latex, to_markdown, to_table

    if style == "table":
        _console().print(to_table(rows))
        return
    forms = {"markdown": to_markdown, "csv": to_csv, "json": to_json, "latex": to_latex}
    if style not in forms:
        raise _no_format(style, ("table", *forms))
    typer.echo(forms[style](rows).rstrip("\n"))


def _print_lines(header: Sequence[str], lines: Sequence[Sequence[str]], style: str) -> None:
    if style == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([header, *lines])
    elif style == "markdown":
        from noisybench.board.rendering import markdown

        typer.echo(markdown(header, lines), nl=False)
    elif style == "table":
        from rich.table import Table
        from rich.text import Text

        table = Table(*header)
        for line in lines:
            table.add_row(*(Text(cell) for cell in line))
        _console().print(table)
    else:
        raise _no_format(style, ("table", "markdown", "csv", "json"))


def _console() -> Any:  # noqa: ANN401 - rich is imported where it is used
    """A console for tables; wide enough for a whole row where the output is a file or a pipe."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=200)


def _no_format(style: str, known: tuple[str, ...]) -> UnknownName:
    from noisybench.ground.checks import unknown

    return UnknownName(unknown(style, known, "format"))


def _print_json(value: Any) -> None:  # noqa: ANN401 - what JSON holds
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
