"""The leaderboard: rows, ranks and their uncertainty, from any number of run folders.

How runs are averaged, and how sure a mean and a rank are, is said in ``noisybench.statistics.resampling``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noisybench.board.agreement import Agreement, Stratum
from noisybench.board.averages import _history, cells_of, counts_of, is_matched, which_complete
from noisybench.detection.scoring import Kind
from noisybench.ground.checks import unknown
from noisybench.ground.errors import BadData, UnknownName
from noisybench.runs.reading import Paths, Run, finished_and_begun
from noisybench.runs.record import NOBODY, Learner, Regime
from noisybench.statistics.detection_metrics import METRICS, Metric
from noisybench.statistics.memorization_metrics import MEMORIZATION_METRICS, MemorizationMetric
from noisybench.statistics.resampling import Interval, LabelColumn, estimate, mean, rank_sets


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
    groups: dict[tuple[str, Kind, Learner, str], dict[tuple[LabelColumn, int], tuple[Run, Agreement]]] = {}
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


def _order(row: Row, *, higher_is_better: bool) -> tuple[int, bool, bool, float, str, str]:
    worse = -row.mean if higher_is_better else row.mean
    kind = ("detector", "control", "reference").index(row.kind)
    missing = math.isnan(row.mean)
    return (kind, not row.complete, missing, 0.0 if missing else worse, row.detector, row.setup)
