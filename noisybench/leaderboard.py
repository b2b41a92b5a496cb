"""The leaderboard: rows, ranks and their uncertainty, from any number of run folders.

How runs are averaged, and how sure a mean and a rank are, is said in ``noisybench.statistics.resampling``.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_type_hints

from noisybench.agreement import Agreement, Regime, Stratum, read_agreements, read_truths
from noisybench.data.source import Option
from noisybench.detection.scoring import Kind
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, UnknownName
from noisybench.ground.files import check_fields, read_columns, read_record
from noisybench.statistics.detection_metrics import METRICS, Metric
from noisybench.statistics.memorization_metrics import MEMORIZATION_METRICS, MemorizationMetric
from noisybench.statistics.resampling import Cells, Column, Interval, estimate, mean, rank_sets, weakest

# Fields of run.json that are read here, beside those of a learner.
RECORDED: dict[str, Any] = {
    "source": str,
    "noise": str,
    "variant_id": str,
    "source_sha256": str,
    "source_options": Mapping[str, Option],
    "limit": int | None,
    "params": Mapping[str, Option],
    "mode": str,
    "seed": int,
    "n": int,
}
FITS = ("test_accuracy", "mislabeled_fit", "clean_fit", "susceptibility")


class Learner(NamedTuple):
    """What was trained, and how.

    ``setup`` is the digest of every option, ``trained`` of those that decide the training; ``features`` is what the model
    saw.
    """

    model: str
    recipe: str
    setup: str
    epochs: int
    observe: str
    features: str = "input"
    regime: Regime = "training"
    trained: str = ""


NOBODY = Learner("", "", "", 0, "", "", "given")
"""Of references, which are the same whatever was trained."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder.

    Attributes:
        path: The folder.
        column: The labels it was trained on.
        learner: The model, the recipe and their options.
        seed: Of the training.
        n: Training samples.
        finished: Whether its agreements are written; what follows is empty otherwise.
        agreements: Of every detector, control and reference.
        history: Name → value at the end of training, NaN where unknown.
        costs: Detector → (seconds, extra passes over the training set).
        truths: Name → digest of the measurements of memorization that it was held against.
    """

    path: Path
    column: Column
    learner: Learner
    seed: int
    n: int
    finished: bool
    agreements: tuple[Agreement, ...]
    history: Mapping[str, float]
    costs: Mapping[str, tuple[float, float]]
    truths: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One detector under one learner. What cannot be computed is NaN, or None where it is a rank.

    Attributes:
        detector: Name of the detector, control or reference.
        kind: Only a ``detector`` has a rank.
        truth: What the scores were held against.
        metric: A key of ``METRICS``, or of ``MEMORIZATION_METRICS``.
        stratum: Which samples were compared: all, the clean or the mislabeled ones.
        truth_learner: Whose memorization the truth is; empty for the mislabeled mask.
        matched: Whether that learner has the row's own model, recipe and epochs, or its memorization is transferred to
            another; None for the mislabeled mask.
        mean: Over families, settings, label columns and seeds, in this order.
        low: Lower end of the 95 % interval.
        high: Upper end.
        interval: What was resampled: noise draws, or, where a setting has one draw only, its training seeds; ``none``
            where a setting has a single run.
        rank: 1 is the best of the complete detectors; equal means share a rank.
        rank_low: Best rank in the 95 % confidence set.
        rank_high: Worst rank in it.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Samples of known truth, summed over the label columns.
        complete: Whether there is a value for every label column and seed of any row, and no run of the learner is
            unfinished.
        unfinished: Runs, of all that were given, that have begun and not ended.
        model: Name of the model.
        recipe: Name of the recipe.
        setup: Digest of model, recipe and options.
        observe: When the samples were observed.
        features: What the model saw: ``input``, or the name of frozen features.
        regime: Where the scores come from.
        trained: Digest of model and recipe.
        epochs: Of training.
        mislabeled_fit: Share of the mislabeled samples fitted to their given label at the end.
        clean_fit: Share of the other samples fitted at the end.
        seconds: Mean time of the detector a run.
        passes: Mean extra passes over the training set a run.
    """

    detector: str
    kind: Kind
    truth: str
    metric: str
    stratum: Stratum
    truth_learner: str
    matched: bool | None
    mean: float
    low: float
    high: float
    interval: Interval
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    seeds: int
    variants: int
    families: int
    n: int
    complete: bool
    unfinished: int
    model: str
    recipe: str
    setup: str
    observe: str
    features: str
    regime: Regime
    trained: str
    epochs: int
    mislabeled_fit: float
    clean_fit: float
    seconds: float
    passes: float


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One learner: what its runs are like at the end of training, each as mean and 95 % interval.

    Attributes:
        model: Name of the model.
        recipe: Name of the recipe.
        setup: Digest of model, recipe and options.
        observe: When the samples were observed.
        features: What the model saw.
        regime: Where the scores come from: a training.
        trained: Digest of model and recipe.
        epochs: Of training.
        test_accuracy: On the clean test set.
        test_accuracy_low: Lower end of the interval, as in each of the next.
        test_accuracy_high: Upper end.
        mislabeled_fit: Memorized share: mislabeled samples fitted to their given label.
        mislabeled_fit_low: Lower end.
        mislabeled_fit_high: Upper end.
        clean_fit: Share of the other samples fitted.
        clean_fit_low: Lower end.
        clean_fit_high: Upper end.
        susceptibility: To random labels.
        susceptibility_low: Lower end.
        susceptibility_high: Upper end.
        interval: As in ``Row``, of what could be computed.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Training samples, summed over the label columns.
        complete: Whether it was run on every label column of any row, with as many seeds.
        unfinished: Runs, of all that were given, that have begun and not ended.
    """

    model: str
    recipe: str
    setup: str
    observe: str
    features: str
    regime: Regime
    trained: str
    epochs: int
    test_accuracy: float
    test_accuracy_low: float
    test_accuracy_high: float
    mislabeled_fit: float
    mislabeled_fit_low: float
    mislabeled_fit_high: float
    clean_fit: float
    clean_fit_low: float
    clean_fit_high: float
    susceptibility: float
    susceptibility_low: float
    susceptibility_high: float
    interval: Interval
    seeds: int
    variants: int
    families: int
    n: int
    complete: bool
    unfinished: int


Paths: TypeAlias = str | Path | Iterable[str | Path]


# Reading


def read_runs(paths: Paths) -> list[Run]:
    """Every run at or below the folders, each once, those that have begun and not ended included.

    Raises:
        BadData: A folder is missing, no run below them has ended, or a file of a run is broken.
        Mismatch: A run's agreements are of other labels than its own.
    """
    folders = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    for folder in folders:
        if not folder.is_dir():
            msg = f"{folder} is no folder; give folders that hold runs, such as 'runs'"
            raise BadData(msg)
    found = sorted({path.resolve().parent for folder in folders for path in folder.rglob("run.json")})
    runs: dict[tuple[Column, Learner, int], Run] = {}
    for path in found:
        run = _read_run(path)
        key = (run.column, run.learner, run.seed)
        # A copy of a run is no second run.
        if key not in runs or run.finished > runs[key].finished:
            runs[key] = run
    if not any(run.finished for run in runs.values()):
        begun = f" ({len(runs)} begun and not ended)" if runs else ""
        msg = f"no finished run below {', '.join(map(str, folders))}{begun}; 'noisybench evaluate' makes runs"
        raise BadData(msg)
    return list(runs.values())


def _read_run(path: Path) -> Run:
    record = read_record(path / "run.json")
    finished = (path / "agreement.parquet").is_file()
    check_fields(record, get_type_hints(Learner) | RECORDED, path / "run.json")
    setting = [record[key] for key in ("source_sha256", "source_options", "limit", "params", "mode")]
    column = Column(record["source"], record["noise"], json.dumps(setting, sort_keys=True), record["variant_id"])
    learner = Learner(*(record[key] for key in Learner._fields))
    seed, n = record["seed"], record["n"]
    if not finished:
        return Run(path, column, learner, seed, n, finished, (), {}, {}, {})
    timing = read_record(path / "timing.json") if (path / "timing.json").is_file() else {}
    check_fields(timing, {"detectors": Mapping[str, Mapping[str, float | int | None]]} if timing else {}, path)
    costs = {
        name: (_number(cost.get("seconds")), _number(cost.get("passes")))
        for name, cost in timing.get("detectors", {}).items()
    }
    columns = {} if learner.regime == "given" else read_columns(path / "history.parquet")[0]
    for name, values in columns.items():
        if values.dtype.kind not in "fiu" or values.ndim != 1:
            msg = f"{path / 'history.parquet'}: '{name}' holds no numbers, one an epoch; evaluate again"
            raise BadData(msg)
    history = {name: float(columns[name][-1]) for name in FITS if name in columns and len(columns[name])}
    agreements = tuple(read_agreements(path / "agreement.parquet", column.variant_id))
    truths = read_truths(path / "agreement.parquet")
    return Run(path, column, learner, seed, n, finished, agreements, history, costs, truths)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


# Rows


def leaderboard(
    runs: Sequence[Run] | Paths, *, truth: str = "mislabeled", metric: str | None = None, stratum: str = "all"
) -> list[Row]:
    """One row per detector and learner: ranked detectors, incomplete ones, controls, references, each best first.

    Args:
        runs: Runs, or folders above them.
        truth: What the scores were held against: ``mislabeled`` or ``memorization``.
        metric: A key of ``METRICS`` or of ``MEMORIZATION_METRICS``; None takes the AUROC, or Spearman's correlation.
        stratum: For memorization: ``all`` samples, the ``clean`` or the ``mislabeled`` ones.

    Raises:
        UnknownName: No run was held against that truth, by that metric, or over that stratum.
        BadData: There is no finished run, or a file is broken.
    """
    ended, begun = finished_and_begun(runs)
    asked = [agreement for run in ended for agreement in run.agreements if agreement.truth == truth]
    if not asked:
        truths = sorted({agreement.truth for run in ended for agreement in run.agreements})
        raise UnknownName(unknown(truth, tuple(truths), "truth"))
    metric = metric or ("spearman" if truth == "memorization" else "auroc")
    for value, field, what in ((metric, "metric", "metric"), (stratum, "stratum", f"stratum of '{truth}'")):
        there = {getattr(agreement, field) for agreement in asked}
        if value not in there:
            raise UnknownName(unknown(value, tuple(sorted(there)), what))
    if truth == "memorization":
        _check_measured_once(ended)
    about = about_metric(metric)
    groups: dict[tuple[str, Kind, Learner, str], dict[tuple[Column, int], tuple[Run, Agreement]]] = {}
    for run in ended:
        for agreement in run.agreements:
            if (agreement.truth, agreement.metric, agreement.stratum) == (truth, metric, stratum):
                learner = NOBODY if agreement.kind == "reference" else run.learner
                key = (agreement.detector, agreement.kind, learner, agreement.learner)
                groups.setdefault(key, {})[run.column, run.seed] = (run, agreement)
    cells = [cells_of((run, held.value) for run, held in group.values()) for group in groups.values()]
    complete: dict[int, bool] = {}
    ranks: dict[int, tuple[int, int, int]] = {}
    # Each memorization is a truth of its own: with other label columns, and a ranking by itself.
    for one in {whose: None for _, _, _, whose in groups}:
        ours = [(i, key, group) for i, (key, group) in enumerate(groups.items()) if key[3] == one]
        reached = [
            (key[2], {at for at, (_, held) in group.items() if math.isfinite(held.value)}) for _, key, group in ours
        ]
        complete |= dict(zip((i for i, _, _ in ours), which_complete(reached, begun), strict=True))
        contenders = [i for i, key, _ in ours if key[1] == "detector" and complete[i] and len(cells[i]) > 0]
        sets = rank_sets([cells[i] for i in contenders], higher_is_better=about.higher_is_better)
        ranks |= dict(zip(contenders, sets, strict=True))
    rows = []
    for i, ((detector, kind, learner, whose), group) in enumerate(groups.items()):
        middle, low, high, interval = estimate(cells[i], about.bounds)
        rank, rank_low, rank_high = ranks.get(i, (None, None, None))
        members = [run for run, _ in group.values()]
        trained = members if learner != NOBODY else []
        costs = [run.costs.get(detector, (math.nan, math.nan)) for run in members]
        rows.append(
            Row(
                detector=detector,
                kind=kind,
                truth=truth,
                metric=metric,
                stratum=stratum,  # type: ignore[arg-type]  # one that an agreement has
                truth_learner=whose,
                matched=is_matched(learner, whose),
                mean=middle,
                low=low,
                high=high,
                interval=interval,
                rank=rank,
                rank_low=rank_low,
                rank_high=rank_high,
                **counts_of(members),
                n=sum({run.column: held.n for run, held in group.values()}.values()),
                complete=complete[i],
                unfinished=len(begun),
                **learner._asdict(),
                mislabeled_fit=mean(_history(trained, "mislabeled_fit")),
                clean_fit=mean(_history(trained, "clean_fit")),
                seconds=mean(cells_of(zip(members, (seconds for seconds, _ in costs), strict=True))),
                passes=mean(cells_of(zip(members, (passes for _, passes in costs), strict=True))),
            )
        )
    return sorted(rows, key=lambda row: _order(row, higher_is_better=about.higher_is_better))


def model_rows(runs: Sequence[Run] | Paths) -> list[ModelRow]:
    """One row per trained learner, in the order of model, recipe and setup; none for pools and given scores.

    Args:
        runs: Runs, or folders above them.

    Raises:
        BadData: There is no finished run, or a file is broken.
    """
    ended, begun = ([run for run in some if run.learner.regime == "training"] for some in finished_and_begun(runs))
    groups: dict[Learner, list[Run]] = {}
    for run in ended:
        groups.setdefault(run.learner, []).append(run)
    complete = which_complete(
        [(learner, {(run.column, run.seed) for run in members}) for learner, members in groups.items()], begun
    )
    rows = []
    for whole, (learner, members) in zip(complete, groups.items(), strict=True):
        values: dict[str, Any] = {}
        intervals: set[Interval] = set()
        for name in FITS:
            bounds = (-math.inf, math.inf) if name == "susceptibility" else (0.0, 1.0)
            values[name], values[f"{name}_low"], values[f"{name}_high"], interval = estimate(
                _history(members, name), bounds
            )
            if not math.isnan(values[name]):
                intervals.add(interval)
        rows.append(
            ModelRow(
                **learner._asdict(),
                **values,
                interval=weakest(intervals),
                **counts_of(members),
                n=sum({run.column: run.n for run in members}.values()),
                complete=whole,
                unfinished=len(begun),
            )
        )
    return sorted(rows, key=lambda row: (row.model, row.recipe, row.setup))


def _check_measured_once(runs: Sequence[Run]) -> None:
    """Raise ``BadData`` where runs of the same labels were held against one measurement before and after it changed."""
    held: dict[tuple[Path, str], tuple[str, Run]] = {}
    for run in runs:
        for name, digest in run.truths.items():
            before, other = held.setdefault((run.path.parent.parent, name), (digest, run))
            if before != digest:
                msg = (
                    f"{other.path} and {run.path} were held against different states of '{name}', which was measured again "
                    f"in between; say the commands that made them once more"
                )
                raise BadData(msg)


def about_metric(name: str) -> Metric | MemorizationMetric:
    """What there is to say of a metric, by name."""
    return METRICS.get(name) or MEMORIZATION_METRICS.get(name) or Metric(name, METRICS["auroc"].compute)


def is_matched(learner: Learner, whose: str) -> bool | None:
    """Whether a memorization is of the learner's own model, recipe, epochs and features; None where there is none."""
    if not whose or learner == NOBODY:
        return None
    own = f"{learner.model}, {learner.recipe}, {learner.epochs} epochs ({learner.trained}), "
    return whose.startswith(own) and whose.endswith(f", on {learner.features}")


def finished_and_begun(runs: Sequence[Run] | Paths) -> tuple[list[Run], list[Run]]:
    """The finished runs in order, and those that have begun and not ended."""
    given: list[Any] = [runs] if isinstance(runs, str | Path) else list(runs)
    known = given if given and all(isinstance(run, Run) for run in given) else read_runs(given)
    ended = sorted((run for run in known if run.finished), key=lambda run: (run.learner, run.column, run.seed))
    return ended, [run for run in known if not run.finished]


def counts_of(runs: Sequence[Run]) -> dict[str, Any]:
    """How many seeds, label columns and families there are in runs."""
    return {
        "seeds": len({run.seed for run in runs}),
        "variants": len({run.column.variant_id for run in runs}),
        "families": len({run.column[:2] for run in runs}),
    }


def _order(row: Row, *, higher_is_better: bool) -> tuple[int, bool, bool, float, str, str]:
    worse = -row.mean if higher_is_better else row.mean
    kind = ("detector", "control", "reference").index(row.kind)
    missing = math.isnan(row.mean)
    return (kind, not row.complete, missing, 0.0 if missing else worse, row.detector, row.setup)


def cells_of(values: Iterable[tuple[Run, float]]) -> Cells:
    """The finite values, by label column."""
    cells: dict[Column, list[float]] = {}
    for run, value in values:
        if math.isfinite(value):
            cells.setdefault(run.column, []).append(value)
    return cells


def _history(runs: Iterable[Run], name: str) -> Cells:
    return cells_of((run, run.history.get(name, math.nan)) for run in runs)


def which_complete(rows: Sequence[tuple[Learner, set[tuple[Column, int]]]], begun: Sequence[Run]) -> list[bool]:
    """Whether a row has all that any row of its regime has, and no run of its learner is unfinished.

    A training must have every label column with every seed that any training has. A pool has averaged over many models
    and given scores are as they are, so that these need every label column, whatever the seeds.
    """
    columns = {column for _, cells in rows for column, _ in cells}
    seeds = set().union(*(cells for learner, cells in rows if learner.regime == "training"))
    broken = {run.learner for run in begun}
    return [
        {column for column, _ in cells} == columns
        and (learner.regime != "training" or cells == seeds)
        and learner not in broken
        for learner, cells in rows
    ]
