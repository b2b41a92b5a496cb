"""The command that scores without training: given scores, frozen features, or people's answers; how agreement is told."""

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import Data, Json, OwnSource, print_json, say, status, tell, tell_suspects, whole_number
from noisybench.ground.errors import BadUsage
from noisybench.ground.text import one_line

if TYPE_CHECKING:
    from noisybench.board.finished import Result
    from noisybench.variants.variant import Variant

UPSIDE_DOWN = 0.4
"""AUROC below which scores are said to have, perhaps, the other sign."""


def score(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="What to call given scores, or the model of the probabilities.")
    ] = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Score by what several people answered; the variant holds it.")
    ] = False,
    without_given: Annotated[
        bool,
        typer.Option(
            "--answers-without-given",
            help="With --answers: leave out an answer of each sample that is its given label.",
        ),
    ] = False,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Score from frozen features without training: a name of 'list features', auto, or a .npy file. With "
            "--answers, those of CROWDLAB's classifier, or none.",
        ),
    ] = None,
    features_set: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An option of the features.")] = None,
    detectors: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="With --features: fast, standard (the default), all, or names with commas."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE", help="Samples that belong together are left out together, such as a patient's."
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            metavar="hnsw",
            help="With --features: find neighbours by an index: nearly all, and sooner where samples are many.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of the folds, with --features.")] = 0,
    device: Annotated[str, typer.Option(help="For --features: auto, cpu, cuda or cuda:1.")] = "auto",
    threads: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="For --features.")] = 1,
    data: Data = None,
    own_source: OwnSource = None,
    pred_probs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Out-of-sample class probabilities: npz, npy, csv, tsv, jsonl, parquet."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ready-made scores, also as AUM, cleanlab and cartography write them."),
    ] = None,
    dynamics: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Logits of every epoch, dynamics_epoch_*.jsonl: every detector scores them."
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the scores, where the file has several.")
    ] = None,
    lower_is_suspicious: Annotated[
        bool | None,
        typer.Option(
            "--lower-is-suspicious/--higher-is-suspicious",
            help="Sign of the scores; default: that of the tool, else higher. Label quality is lower.",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Given labels, in the order of the file's rows: to check by.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Score labels without training: by your own code's scores or probabilities, by sample id, from frozen features, or by answers."""
    from noisybench.board.finished import score_given
    from noisybench.runs.reading import read_run
    from noisybench.variants.sample_names import read_names
    from noisybench.variants.variant import read_variant

    given = {
        "--name": name, "--pred-probs": pred_probs, "--scores": scores, "--dynamics": dynamics, "--column": column,
        "--labels": labels, "--lower-is-suspicious": lower_is_suspicious,
    }  # fmt: skip
    of_features = {
        "--features-set": features_set,
        "--detectors": detectors,
        "--groups": groups,
        "--index": index,
        "--data": data,
        "--source": own_source,
    }
    _check_one_road(features, given, of_features, answers=answers, without_given=without_given)
    found = read_variant(variant)
    if answers:
        results = _by_answers(
            found, variant, features, features_set, without_given=without_given, seed=seed, device=device,
            threads=threads, data=data, own_source=own_source, out=out,
        )  # fmt: skip
        _report_answers(results, as_json=as_json)
        return
    if features is not None:
        result = _from_features(
            found, variant, features, features_set, groups, detectors="standard" if detectors is None else detectors, index=index, seed=seed, device=device, threads=threads, data=data,
            own_source=own_source, out=out,
        )  # fmt: skip
        _report_features(result, as_json=as_json)
        return
    assert name is not None  # noqa: S101 - checked
    named = read_names(variant, len(found.labels))
    result = score_given(
        found,
        out,
        name=name,
        pred_probs=pred_probs,
        scores=scores,
        dynamics=dynamics,
        column=column,
        lower_is_suspicious=lower_is_suspicious,
        labels=labels,
        sample_names=named,
        tell=tell,
    )
    told = told_of(result)
    area = told[name]["auroc"]["value"] if scores is not None else None
    if area is not None and area < UPSIDE_DOWN:
        flag = "--higher-is-suspicious" if read_run(result.path).record.lower_is_suspicious else "--lower-is-suspicious"
        typer.echo(
            f"warning: '{one_line(name)}' ranks mislabeled samples below clean ones (AUROC {area:.3f}); the sign may be "
            f"wrong: score again with {flag}",
            err=True,
        )
    if as_json:
        print_json({"path": str(result.path), "name": name, "detectors": told})
        return
    say_told(told)
    say(str(result.path))
    tell_suspects([result.path])


def _check_one_road(
    features: str | None,
    given: Mapping[str, object],
    of_features: Mapping[str, object],
    *,
    answers: bool,
    without_given: bool,
) -> None:
    """Raise ``BadUsage`` unless options are all of given scores, all of frozen features, or all of answers."""
    if without_given and not answers:
        msg = "--answers-without-given is for --answers, which scores by what several people answered"
        raise BadUsage(msg)
    if answers:
        of_features = {
            flag: of_features[flag] for flag in ("--detectors", "--groups", "--index")
        }  # the others are for CROWDLAB
        odd = [flag for flag, value in {**given, **of_features}.items() if value is not None]
        if odd:
            msg = f"{odd[0]} is not for --answers, which scores by what several people answered: leave it out"
            raise BadUsage(msg)
        return
    said = [flag for flag, value in (of_features if features is None else given).items() if value is not None]
    if features is None and given["--name"] is None:
        msg = (
            "say --name of the scores or probabilities that you give, or --features NAME to score from frozen features, or "
            "--answers to score by what several people answered"
        )
        raise BadUsage(msg)
    if said and features is None:
        msg = f"{said[0]} is for --features NAME, which scores from frozen features"
        raise BadUsage(msg)
    if said:
        msg = f"{said[0]} is for scores that are given; with --features they are computed: leave it out"
        raise BadUsage(msg)


def _from_features(
    variant: "Variant",
    folder: Path,
    features: str,
    options: list[str] | None,
    groups: str | None,
    *,
    detectors: str,
    index: str | None,
    seed: int,
    device: str,
    threads: int,
    data: Path | None,
    own_source: str | None,
    out: Path,
) -> "Result":
    """A run from frozen features, by name or in a file."""
    from noisybench.board.results import score_features
    from noisybench.data.extraction import default_features
    from noisybench.ground.npy import read_array
    from noisybench.ground.options import split_pairs
    from noisybench.statistics.neighbour_index import as_index
    from noisybench.training.machine import Machine
    from noisybench.variants.location import read_location, source_of
    from noisybench.variants.sample_files.groups import read_groups

    machine, chosen = Machine(device, threads), split_pairs(options or [], flag="--features-set")
    brought = features.endswith(".npy")
    if brought and chosen:
        msg = f"--features-set is for features by name; {features} holds features that are computed"
        raise BadUsage(msg)
    with status(f"reading {variant.provenance.source}"):
        source = source_of(variant, folder, data, own_source)
    members = None
    if groups is not None:
        location = read_location(folder)
        table = data or (Path(location.data) if location is not None and location.data is not None else None)
        members = read_groups(groups, variant, source, table)
    if features == "auto":
        default = default_features(source)
        typer.echo(default.sentence, err=True)
        features = default.name
    with status(f"features {features}"):
        return score_features(
            source,
            variant,
            read_array(Path(features)) if brought else features,
            out,
            options=chosen,
            detectors=[name.strip() for name in detectors.split(",")],
            groups=members,
            grouped_by=None if groups is None else Path(groups).name,
            index=as_index(index),
            seed=seed,
            machine=machine,
        )


def _by_answers(
    variant: "Variant",
    folder: Path,
    features: str | None,
    options: list[str] | None,
    *,
    without_given: bool,
    seed: int,
    device: str,
    threads: int,
    data: Path | None,
    own_source: str | None,
    out: Path,
) -> "list[Result]":
    """Runs from the answers of a variant; its source is read for CROWDLAB alone."""
    from noisybench.board.results import score_answers
    from noisybench.ground.npy import read_array
    from noisybench.ground.options import split_pairs
    from noisybench.runs.answers_columns import looked_at
    from noisybench.runs.answers_run import NO_CLASSIFIER
    from noisybench.training.machine import Machine
    from noisybench.variants.location import source_of

    chosen = split_pairs(options or [], flag="--features-set")
    people = looked_at(variant, without_given=without_given, seed=seed).who == "answers"
    source = None
    if people and features != NO_CLASSIFIER:
        with status(f"reading {variant.provenance.source}"):
            source = source_of(variant, folder, data, own_source)
    with status("answers"):
        return score_answers(
            source,
            variant,
            out,
            features=read_array(Path(features)) if features and features.endswith(".npy") else features,
            options=chosen,
            without_given=without_given,
            seed=seed,
            machine=Machine(device, threads),
            tell=tell,
        )


def _report_answers(results: "Sequence[Result]", *, as_json: bool) -> None:
    """What runs of answers found, and what they were made of."""
    from noisybench.board.evidence import evidence_of
    from noisybench.runs.reading import read_run

    evidence = dict.fromkeys(
        sentence for result in results for sentence in evidence_of([read_run(result.path).record], [])
    )
    told = {name: metrics for result in results for name, metrics in told_of(result).items()}
    for sentence in evidence:
        tell(sentence)
    if as_json:
        paths = [str(result.path) for result in results]
        print_json({"paths": paths, "evidence": list(evidence), "detectors": told})
        return
    say_told(told)
    for result in results:
        say(str(result.path))
    tell_suspects([result.path for result in results])


def _report_features(result: "Result", *, as_json: bool) -> None:
    """What a run from frozen features found, and how many groups it left out together."""
    from noisybench.board.information import trained_on
    from noisybench.board.neighbourhoods import ENOUGH_ALIKE, share_of_true_neighbours
    from noisybench.runs.reading import read_run

    record, told = read_run(result.path).record, told_of(result)
    alone = record.groups == record.n
    many = (
        f"{record.n} samples, none left out with another" if alone else f"{record.n} samples in {record.groups} groups"
    )
    learnt = "" if record.pretrained is None else f" ({trained_on(record.pretrained)})"
    typer.echo(f"features {record.features}{learnt}: {many}", err=True)
    share = share_of_true_neighbours(read_run(result.path))
    if share is not None:
        low = "; SimiFeat and its estimate of right labels take that to be nearly all" if share < ENOUGH_ALIKE else ""
        sentence = f"the two nearest others share the true class of {share:.1%} of the samples{low}"
        typer.echo(f"{'warning: ' * bool(low)}{sentence}", err=True)
    if as_json:
        shown = {"path": str(result.path), "features": record.features, "groups": record.groups}
        print_json({**shown, "two_nearest_share_class": share, "detectors": told})
        return
    say_told(told)
    say(str(result.path))
    tell_suspects([result.path])


def told_of(result: "Result") -> dict[str, dict[str, dict[str, float | None]]]:
    """Detector → metric → value and interval, None for NaN, of a run: against the mask, and each memorization."""
    from noisybench.statistics.metric import metrics_of

    rows = [(metric, row) for metric in metrics_of("mislabeled") for row in result.agreement(metric)]
    if "memorization" in result.truths():
        found = result.agreement("spearman", truth="memorization")
        rows += [(f"spearman with memorization by {row.learner.name}", row) for row in found if row.learner]
    told: dict[str, dict[str, dict[str, float | None]]] = {}
    order = list(result.scores)
    for metric, row in sorted(rows, key=lambda pair: order.index(pair[1].detector)):
        values = {"value": row.value, "low": row.low, "high": row.high}
        told.setdefault(row.detector, {})[metric] = {k: None if isnan(v) else v for k, v in values.items()}
    return told


def say_told(told: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> None:
    """Print a line for each detector, as ``told_of`` found it."""
    shown = {"auroc": "AUROC", "average_precision": "AP"}
    learners = sorted({name for metrics in told.values() for name in metrics if name.startswith("spearman with")})
    for number, name in enumerate(learners, start=1):
        shown[name] = "ρ with memorization" + (f" {number}" if len(learners) > 1 else "")
    width = max([22, *(len(one_line(name)) for name in told)])
    for detector, metrics in told.items():
        words = [f"{title} {_interval(metrics[key])}" for key, title in shown.items() if key in metrics]
        say(f"{one_line(detector):<{width}} {'  '.join(words)}")
    for name in learners:
        say(one_line(f"{shown[name]}: Spearman's, of {name.removeprefix('spearman with ')}"))


def _interval(estimate: Mapping[str, float | None]) -> str:
    value, low, high = (estimate[end] for end in ("value", "low", "high"))
    if value is None:
        return "unknown"
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ({low:.4f} to {high:.4f})"
