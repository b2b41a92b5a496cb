"""The command about scores of others: score; and how a run's agreement is told."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import Json, print_json, say, tell
from noisybench.ground.text import one_line

if TYPE_CHECKING:
    from noisybench.board.results import Result

UPSIDE_DOWN = 0.4
"""AUROC below which scores are said to have, perhaps, the other sign."""


def score(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    name: Annotated[str, typer.Option(help="What to call the scores, or the model of the probabilities.")],
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
    """Bring scores, or probabilities, of your own code into the leaderboard; by sample id. Prints the run's folder last."""
    from noisybench.board.results import score_given
    from noisybench.runs.reading import read_run
    from noisybench.variants.sample_names import read_names
    from noisybench.variants.variant import read_variant

    found = read_variant(variant)
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


def told_of(result: "Result") -> dict[str, dict[str, dict[str, float | None]]]:
    """Detector → metric → value and interval, None for NaN, of a run: against the mask, and each memorization."""
    from noisybench.statistics.detection_metrics import METRICS

    rows = [(metric, row) for metric in METRICS for row in result.agreement(metric)]
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
    for detector, metrics in told.items():
        words = [f"{title} {_interval(metrics[key])}" for key, title in shown.items() if key in metrics]
        say(f"{one_line(detector):<22} {'  '.join(words)}")
    for name in learners:
        say(one_line(f"{shown[name]}: Spearman's, of {name.removeprefix('spearman with ')}"))


def _interval(estimate: Mapping[str, float | None]) -> str:
    value, low, high = (estimate[end] for end in ("value", "low", "high"))
    if value is None:
        return "unknown"
    return f"{value:.4f}" if low is None or high is None else f"{value:.4f} ({low:.4f} to {high:.4f})"
