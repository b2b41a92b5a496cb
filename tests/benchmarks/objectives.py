"""Training that resists: every objective on digits, MNIST and CIFAR-10N, tuned with the same budget by noisy validation.

Run: ``OMP_NUM_THREADS=1 NOISYBENCH_TEST_DATA=… python tests/benchmarks/objectives.py OUT [digits] [mnist] [cifar] [--quick]
[--workers 2]``. What is finished is not repeated. All three sets take over an hour of two quiet cores, CIFAR-10N most of it; ``--quick`` looks
in two minutes whether all of it works.

Labels: digits and 5,000 images of MNIST with 40 % symmetric noise, three draws, of which draw i is trained with seed i; the
first 10,000 images of CIFAR-10 with the *worse* labels of CIFAR-10N, one label column, three seeds. Recipes are such that
cross-entropy fits wrong labels, for else there is nothing to resist.

Each objective has three settings, listed in ``ROWS``. One that has no option to choose, or none that is the user's to
choose, has three learning rates. A setting is trained on nine tenths of the given labels and judged by its accuracy on the
given, noisy labels of the other tenth; no clean label and no test set has a say. The best, of equal ones the
first, is then trained on all labels.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from noisybench import (
    BadUsage,
    Machine,
    NoisybenchError,
    Source,
    Variant,
    build_variant,
    draw_board,
    evaluate,
    find,
    load_source,
    models_board,
    read_variant,
    source_from_arrays,
)
from noisybench.ground.engine import Progress
from noisybench.ground.engines.processes import Processes
from noisybench.runs.folder import keep_variant
from noisybench.runs.reading import Run, read_runs
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.ranking import rank
from noisybench.training.checkpoint import CHECKPOINT, read_checkpoint
from noisybench.training.objective_contract import true_transition
from noisybench.training.trace import read_trace

HELD_OUT = 10
"""One in so many labels is held out where settings are chosen."""
MOVED = 0.01
"""How far a target has moved from the given label where it counts as corrected."""
SetName = Literal["digits", "mnist", "cifar"]


class Setting(NamedTuple):
    """One choice: options of the objective, and of the recipe."""

    own: Mapping[str, str] = {}
    recipe: Mapping[str, str] = {}

    @property
    def words(self) -> str:
        """As in ``elr strength=1``."""
        return ", ".join(f"{name}={value}" for name, value in {**self.own, **self.recipe}.items()) or "default"


def of(name: str, *values: object, **always: str) -> tuple[Setting, ...]:
    """A setting for each value of an option."""
    return tuple(Setting({**always, name: str(value)}) for value in values)


def rates(**always: str) -> tuple[Setting, ...]:
    """Three learning rates: that of the recipe, and a third and a tenth of it; see ``Case.lr``."""
    return tuple(Setting(always, {"lr": share}) for share in ("1", "0.3", "0.1"))


ROWS: Mapping[str, tuple[str, tuple[Setting, ...]]] = {
    "cross-entropy": ("cross_entropy", rates()),
    "label smoothing": ("label_smoothing", of("smoothing", 0.1, 0.4, -0.4)),
    "GCE": ("generalised_cross_entropy", of("q", 0.3, 0.5, 0.7)),
    "NCE+RCE": ("nce_rce", (Setting(), Setting({"alpha": "10", "beta": "0.1"}), Setting({"alpha": "10", "beta": "1"}))),
    "forward, estimated": ("forward_correction", of("transition", "anchor_points", "confident_joint", "dual_t")),
    "backward, estimated": ("backward_correction", of("transition", "anchor_points", "confident_joint", "dual_t")),
    "peer loss": ("peer_loss", of("alpha", 0.2, 0.5, 1.0)),
    "CORES": ("cores", of("strength", 0.5, 1.0, 2.0)),
    "bootstrapping": ("bootstrapping", of("beta", 0.95, 0.8, 0.6)),
    "ELR": ("elr", of("strength", 1.0, 3.0, 7.0)),
    "SELC": ("selc", of("begin", 0.15, 0.3, 0.5)),
    "CAR": ("car", of("penalty", 0.5, 10.0, 50.0)),
    "CDR": ("cdr", of("decay", 0.0, 1e-4, 1e-3)),
    "forward, true": ("forward_correction", rates(transition="true")),
}
"""Row → objective and its settings, three each."""


@dataclass(frozen=True, slots=True)
class Case:
    """A set and how it is trained on.

    Attributes:
        name: Of the set.
        limit: Training samples that are kept; None keeps all.
        model: What is trained.
        recipe: How.
        epochs: Passes.
        lr: Learning rate of the recipe here.
        options: Further fields of the recipe.
        draws: Label columns; more seeds instead where there is one column.
        tuned: Samples that settings are chosen on, the held-out tenth among them.
        tuned_draws: Label columns on which they are.
        tests: Test samples that are kept.
    """

    name: SetName
    limit: int | None
    model: str
    recipe: str
    epochs: int
    lr: float
    options: Mapping[str, str] = field(default_factory=dict)
    draws: int = 3
    tuned: int = 5_000
    tuned_draws: int = 1
    tests: int = 5_000

    def recipe_of(self, setting: Setting) -> dict[str, str]:
        """Options of ``evaluate`` for a setting, whose learning rate is a share of the set's."""
        lr = self.lr * float(setting.recipe.get("lr", 1))
        return {**self.options, "lr": f"{lr:g}"}

    def seeds(self, draw: int, seeds: int) -> tuple[int, ...]:
        """Training seeds of a label column."""
        return tuple(range(seeds)) if self.draws == 1 else (draw,)


CASES: Mapping[SetName, Case] = {
    "digits": Case("digits", None, "mlp", "standard", 30, 0.1, tuned_draws=3),
    "mnist": Case("mnist", 5_000, "mlp", "overfit", 20, 0.02),
    "cifar": Case("cifar", 10_000, "small_cnn", "overfit", 10, 0.05, {"batch_size": "64"}, draws=1, tuned=2_500),
}
QUICK: Mapping[SetName, Case] = {
    "digits": Case("digits", 300, "mlp", "standard", 6, 0.1, draws=2, tuned_draws=1),
    "mnist": Case("mnist", 400, "mlp", "overfit", 6, 0.02, draws=2, tests=500),
    "cifar": Case("cifar", 400, "small_cnn", "overfit", 4, 0.05, draws=1, tests=500),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One training, by a position among the variants that all processes have."""

    row: str
    setting: Setting
    case: Case
    variant: int
    seed: int
    out: Path
    final: bool


class Shared(NamedTuple):
    """What is sent to each process once: a source and a variant of it for each training set."""

    sets: tuple[tuple[Source, Variant], ...]


def carry_out(task: Task, shared: Shared, progress: Progress) -> tuple[float, str]:
    """Train once; test accuracy at the end, or NaN and what went wrong."""
    source, variant = shared.sets[task.variant]
    options = task.case.recipe_of(task.setting)
    try:
        (result,) = evaluate(
            variant,
            source,
            model=task.case.model,
            recipe=task.case.recipe,
            epochs=task.case.epochs,
            seeds=[task.seed],
            detectors="fast" if task.final else ["final_loss"],
            options=options if task.final else {**options, "susceptibility": "off"},
            objective=ROWS[task.row][0],
            objective_options=task.setting.own,
            machine=Machine("cpu"),
            out=task.out,
        )
    except NoisybenchError as error:
        return float("nan"), str(error)
    return result.history["test_accuracy"], ""


# Sets


def load(case: Case) -> tuple[Source, list[Variant]]:
    """The source of a set, and its label columns."""
    data = Path(os.environ.get("NOISYBENCH_TEST_DATA", ""))
    if case.name == "digits":
        source = load_source("digits", limit=case.limit)
    else:
        folder = {"mnist": "mnist", "cifar": "cifar10"}[case.name]
        source = load_source(folder, data / folder, limit=case.limit)
    assert source.test_inputs is not None
    assert source.test_labels is not None
    source = replace(source, test_inputs=source.test_inputs[: case.tests], test_labels=source.test_labels[: case.tests])
    if case.name == "cifar":
        noise: Any = find("noises", "cifar_n")
        return source, [build_variant(source, noise("worse", file=data / "cifar_n" / "CIFAR-10_human.pt"))]
    symmetric: Any = find("noises", "symmetric")
    return source, [build_variant(source, symmetric(0.4), seed=draw) for draw in range(case.draws)]


def held_out(case: Case, source: Source, variant: Variant) -> tuple[Source, Variant]:
    """Nine tenths of the given labels as a set of their own, tested on the given labels of the rest."""
    n = min(case.tuned, len(variant.labels))
    order = np.random.default_rng(variant.provenance.seed).permutation(n)
    tested, kept = np.sort(order[: n // HELD_OUT]), np.sort(order[n // HELD_OUT :])
    part = source_from_arrays(
        f"{source.name}-tuning",
        source.inputs[kept],
        variant.labels[kept],
        clean=variant.clean[kept],
        test_inputs=source.inputs[tested],
        test_labels=variant.labels[tested],
        class_names=source.class_names,
        augmentation=source.augmentation,
    )
    return part, build_variant(part, find("noises", "as_found")())


# Tuning and training


def tune(case: Case, shared: Shared, out: Path, workers: int) -> dict[str, Setting]:
    """Row → the setting of the best noisy validation, mean over label columns; prints all of them."""
    tasks = [
        Task(row, setting, case, at, 0, out, final=False)
        for row, (_, settings) in ROWS.items()
        for setting in settings
        for at in range(len(shared.sets))
    ]
    found = Processes(workers).run(carry_out, tasks, shared)
    values: dict[str, dict[str, list[float]]] = {}
    for task, (value, why) in zip(tasks, found, strict=True):
        values.setdefault(task.row, {}).setdefault(task.setting.words, []).append(value)
        if why:
            print(f"{task.row}, {task.setting.words}: {why}")
    print("\n| objective | settings: accuracy on held-out noisy labels | chosen |\n| --- | --- | --- |")
    chosen = {}
    for row, by in values.items():
        means = {words: float(np.mean(each)) for words, each in by.items()}
        if not np.isfinite([*means.values()]).any():
            print(f"| {row} | none of them could be trained | – |")
            continue
        best = max(means, key=lambda words, means=means: np.nan_to_num(means[words], nan=-1.0))  # type: ignore[misc]
        chosen[row] = next(setting for setting in ROWS[row][1] if setting.words == best)
        told = "; ".join(f"{words}: {value:.3f}" for words, value in means.items())
        print(f"| {row} | {told} | {best} |", flush=True)
    return chosen


def train(case: Case, shared: Shared, chosen: Mapping[str, Setting], out: Path, workers: int, seeds: int) -> None:
    """Train each row's setting on all label columns."""
    for _, variant in shared.sets:
        keep_variant(variant, out / variant.name / "variant")
    tasks = [
        Task(row, setting, case, at, seed, out, final=True)
        for at in range(len(shared.sets))
        for seed in case.seeds(at, seeds)
        for row, setting in chosen.items()
    ]
    for task, (_, why) in zip(tasks, Processes(workers).run(carry_out, tasks, shared), strict=True):
        if why:
            print(f"{task.row}, {task.setting.words}, seed {task.seed}: {why}")


# What a null must answer: had the correction begun, and does what it rests on tell wrong labels?


def examine(runs: Sequence[Run]) -> Iterator[str]:
    """Lines of a table, one for each learner whose objective keeps something of the samples or of the classes."""
    yield (
        "| objective | seed | corrects from epoch | targets moved | of wrong labels replaced (by the right class) | of right "
        "labels replaced | AUROC of target | AUROC of τ | median τ, wrong / right | matrix: mean error, diagonal |"
    )
    yield "| --- " * 10 + "|"
    for run in sorted(runs, key=lambda run: (run.record.objective or "", run.seed)):
        kept = read_checkpoint(run.path / CHECKPOINT).objective
        if kept:
            yield _line(
                run, read_variant(run.home / "variant"), {name: tensor.numpy() for name, tensor in kept.items()}
            )


def _line(run: Run, variant: Variant, kept: Mapping[str, Any]) -> str:
    """What one training's objective has come to hold."""
    wrong, right = variant.mislabeled, variant.known & ~variant.mislabeled
    cells = ["–"] * 6
    trace = read_trace(run.path / "trace")
    if "objective.target" in trace.columns:
        target = np.asarray(trace["objective.target"][-1])
        shares = target[np.arange(len(target)), variant.labels]
        moved = np.abs(target - np.eye(target.shape[1])[variant.labels]).max(1) > MOVED
        other = target.argmax(1)
        replaced = other != variant.labels
        cells[:4] = [
            f"{moved.mean():.2f}",
            f"{replaced[wrong].mean():.2f} ({(other == variant.clean)[wrong].mean():.2f})",
            f"{replaced[right].mean():.2f}",
            f"{auroc(rank(1 - shares, wrong)).value:.3f}",
        ]
    if "objective.indicator" in trace.columns:
        trust = np.asarray(trace["objective.indicator"][-1], dtype=np.float64)
        cells[4] = f"{auroc(rank(1 - trust, wrong)).value:.3f}"
        cells[5] = f"{np.median(trust[wrong]):.3f} / {np.median(trust[right]):.3f}"
    truth = true_transition(variant)
    matrix = "–"
    if "transition" in kept and truth is not None:
        found = kept["transition"]
        matrix = f"{np.abs(found - truth).mean():.3f}, {np.diag(found).mean():.2f} (truth {np.diag(truth).mean():.2f})"
    told = [run.record.objective or "", str(run.seed), _begins(run), *cells, matrix]
    return f"| {' | '.join(told)} |"


def _begins(run: Run) -> str:
    """The first epoch in which the objective is no plain cross-entropy."""
    options = run.record.objective_options or {}
    if options.get("transition", "true") != "true":
        share = float(options["warm_up"])
        return str(max(1, int(np.ceil(share * run.record.epochs - 1e-9))) + 1)
    begin = float(options.get("begin", 0))
    return str(next(e for e in range(1, run.record.epochs + 2) if (e - 1) / run.record.epochs >= begin))


def main() -> None:
    """Tune, train, print the tables and draw the pictures of each set that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of runs, tables and pictures")
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"{', '.join(CASES)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="few samples and epochs, to see that all of it works")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    given = parser.parse_args()
    cases = QUICK if given.quick else CASES
    if unknown := [name for name in given.sets if name not in cases]:
        parser.error(f"no set is called {unknown[0]}; there are {', '.join(cases)}")
    for name in given.sets or cases:
        start, case = time.perf_counter(), cases[name]
        out = given.out / (f"{name}-quick" if given.quick else name)
        source, variants = load(case)
        print(
            f"\n# {name}: {len(source.labels):,} samples, {case.model}, {case.recipe}, {case.epochs} epochs", flush=True
        )
        tuning = Shared(tuple(held_out(case, source, variant) for variant in variants[: case.tuned_draws]))
        for _, variant in tuning.sets:
            keep_variant(variant, out / "tuning" / variant.name / "variant")
        chosen = tune(case, tuning, out / "tuning", given.workers)
        print(f"tuning: {time.perf_counter() - start:.0f} s", flush=True)
        final = Shared(tuple((source, variant) for variant in variants))
        train(case, final, chosen, out / "runs", given.workers, 1 if given.quick else 3)
        print(f"tuning and training: {time.perf_counter() - start:.0f} s\n", flush=True)
        board = models_board(out / "runs")
        board.write(out / "models.md")
        board.write(out / "models.json")
        print(board.to_markdown())
        print("\n".join(examine(read_runs(out / "runs"))), flush=True)
        picture = out / f"objectives-{name}.png"
        try:
            draw_board(out / "runs", picture, picture="wrong_by_right")
        except BadUsage as error:
            print(error)
        else:
            print(f"{picture} holds the picture")


if __name__ == "__main__":
    main()
