"""The table of detectors: rows, ranks and their uncertainty, from any number of run folders.

How runs are averaged, and how sure a mean and a rank are, is said in ``noisybench.statistics.resampling``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from noisybench.board.admission import admit, tell_left_out
from noisybench.board.agreement import Agreement, Stratum
from noisybench.board.averages import (
    cells_of,
    counts_of,
    history_of,
    is_matched,
    names_shown,
    versions_of,
    which_complete,
)
from noisybench.board.curvature_steps import curvature_step_of
from noisybench.board.information import BLOCKS, NO_NAMES, MadeWith, RowBlock, made_with
from noisybench.board.judging import judge_all
from noisybench.board.neighbourhoods import least_alike
from noisybench.board.ranking import NO_SAMPLES, Group, League, SampleEvidence, Standing, standings_of
from noisybench.board.sample_influences import sample_evidence
from noisybench.board.subject import NO_SUBJECT, Subject, subject_of
from noisybench.board.truths import MEMORIZATION, MISLABELED, Asked, check_asked
from noisybench.detection.scoring import Information, Kind
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Paths, Run, finished_and_begun
from noisybench.runs.record import NOBODY, Pretrained, Regime, Setup
from noisybench.statistics.detection_metrics import METRICS, Metric
from noisybench.statistics.memorization_metrics import MEMORIZATION_METRICS, MemorizationMetric
from noisybench.statistics.resampling import Interval, LabelColumn, mean
from noisybench.statistics.suggestion_metrics import SUGGESTION_METRICS, SuggestionMetric


class RowPart(NamedTuple):
    """A row's value among some of its label columns, or in one class.

    Attributes:
        name: Of the column of the table, as ``symmetric`` or ``class 3``.
        mean: As in ``Row``, as the others.
        low: Lower end of the 95 % interval.
        high: Upper end.
        rank: Among the same part of the other rows.
        rank_low: Best rank in the 95 % confidence set: 1 where it is not surely worse than the best.
    """

    name: str
    mean: float
    low: float
    high: float
    rank: int | None
    rank_low: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One detector under one learner. What cannot be computed is NaN, or None where it is a rank.

    Attributes:
        detector: Name of the detector, control or reference.
        kind: Only a ``detector`` has a rank.
        truth: What the scores were held against.
        metric: A key of ``METRICS``, ``SUGGESTION_METRICS`` or ``MEMORIZATION_METRICS``.
        stratum: Which samples were compared: all, the clean or the mislabeled ones.
        truth_learner: Whose memorization the truth is; None for the mislabeled mask and for marks.
        matched: Whether that learner has the row's own model, recipe and epochs, or its memorization is transferred to
            another; None for the mislabeled mask.
        mean: Over families, settings, label columns and seeds, in this order.
        low: Lower end of the 95 % interval.
        high: Upper end.
        interval: What the interval covers, see ``Interval``: ``samples, draws``, or, where a setting has one noise draw only,
            ``samples, seeds``, or ``samples`` where that has a single run; without ``samples`` where the metric has no
            influences of samples, ``none`` where nothing is covered.
        rank: 1 is the best of the complete detectors; equal means share a rank.
        rank_low: Best rank in the 95 % confidence set.
        rank_high: Worst rank in it.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Samples of known truth, summed over the label columns; for suggestions mislabeled ones of known right class.
        complete: Whether there is a value for every label column and seed of any row, and no run of the learner is
            unfinished.
        unfinished: Runs, of all that were given, that have begun and not ended.
        learner: What was trained, and how; without a name for references.
        setup: Digest of model, recipe and every option.
        observe: When the samples were observed.
        regime: Where the scores come from.
        version: Versions of noisybench that trained the runs; empty for references.
        mislabeled_fit: Share of the mislabeled samples fitted to their given label at the end.
        clean_fit: Share of the other samples fitted at the end.
        seconds: Mean time of the detector a run.
        passes: Mean extra passes over the training set a run.
        information: What the scores were made with, in the order of ``Information``.
        pretrained: What the features had been trained on; None where no other data decided them.
        block: With whom it ranks: those that saw the data set alone (empty), on features of other data, or who were told
            something of the truth.
        curvature_step: Of detectors that need curvature, the length of its steps; NaN of others, as the next.
        activation_change: Share of those steps that changed the activation pattern of a sample; NaN where nobody knows.
        declared: Whether some of the information is what the author of a user's own detector says.
        aliases: Other names under which the same ranking was published.
        clustered: Label columns in which whole clusters are mislabeled.
        source: The data set in words, as ``digits (1437 samples)``; empty where several are pooled.
        subject: Data sets, noises, label columns and versions that the row is of.
        parts: Where a table has a column for each noise, source, rate, class or variant: the row's value in each.
        ablation: Options by name, of those that differ between the rows of a table, as ``("lr", "0.02")``.
        surely_worse: Whether it is surely not the best of those it ranks among: rows of which this is false hold the best
            one in 95 % of tables. None of a row without a rank.
        equivalent: Whether it is equivalent to the best of those it ranks among: the paired 90 % interval of the
            difference lies within ± .01. None of the best itself, and of a row without a rank.
        floor: Difference to another row that can be told here with 80 % power, median over all pairs; NaN where unknown.
        neighbours_alike: Of detectors that take the two nearest others to share a sample's true class: the share of
            samples of which they do; None of others, and where no truth is known.
    """

    detector: str
    kind: Kind
    truth: str
    metric: str
    stratum: Stratum
    truth_learner: Learner | None
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
    learner: Learner
    setup: str
    observe: str
    regime: Regime
    version: str
    mislabeled_fit: float
    clean_fit: float
    seconds: float
    passes: float
    information: tuple[Information, ...] = ()
    pretrained: Pretrained | None = None
    block: RowBlock = ""
    curvature_step: float = math.nan
    activation_change: float = math.nan
    declared: bool = False
    aliases: tuple[str, ...] = ()
    clustered: int = 0
    neighbours_alike: float | None = None
    source: str = ""
    subject: Subject = NO_SUBJECT
    parts: tuple[RowPart, ...] = ()
    ablation: tuple[tuple[str, str], ...] = ()
    surely_worse: bool | None = None
    equivalent: bool | None = None
    floor: float = math.nan


# Rows


def detector_rows(
    runs: Sequence[Run] | Paths, *, truth: str = MISLABELED, metric: str | None = None, stratum: str = "all"
) -> list[Row]:
    """One row per detector and setup: ranked detectors, incomplete ones, controls, references, each best first.

    Detectors on features of other data, and those that were told something of the truth, stand in blocks of their own, in
    which they rank among themselves.

    Args:
        runs: Runs, or folders above them.
        truth: What the scores are held against: ``mislabeled``, ``memorization`` or a mark of the source.
        metric: A key of ``METRICS``, ``SUGGESTION_METRICS`` or ``MEMORIZATION_METRICS``; None takes the AUROC, or
            Spearman's correlation.
        stratum: For memorization: ``all`` samples, the ``clean`` or the ``mislabeled`` ones.

    Raises:
        UnknownName: The labels of no run have that truth, or it has no such metric or stratum.
        BadData: There is no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    ended, begun = finished_and_begun(runs)
    ended, truths = admit(ended, memorization=truth == MEMORIZATION)
    asked = check_asked(truth, metric, stratum, list(truths.values()))
    judged, faults = judge_all(ended, truths, asked)
    tell_left_out(faults, any_left=bool(judged))
    variants = [one.variant for one in truths.values()]
    class_names = {variant.provenance.variant_id: variant.class_names for variant in variants}
    there = [run for run in ended if run.path in judged]
    return rows_of_agreements(judged, there, begun, asked, class_names, evidence=sample_evidence(truths, asked))


def rows_of_agreements(
    judged: Mapping[Path, Sequence[Agreement]],
    ended: Sequence[Run],
    begun: Sequence[Run],
    asked: Asked,
    class_names: Mapping[str, Sequence[str]] = NO_NAMES,
    *,
    evidence: SampleEvidence = NO_SAMPLES,
) -> list[Row]:
    """The rows of ``detector_rows`` from agreements that are given.

    Args:
        judged: Folder of each finished run → agreement of its detectors and references with the truth.
        ended: The finished runs, in order.
        begun: Those that have begun and not ended.
        asked: What the agreements answer.
        class_names: Id of a variant → names of its classes, for those that are known.
        evidence: How to know what samples do to rows.
    """
    about = about_metric(asked.metric)
    shown = names_shown(ended)
    groups: Groups = {}
    for run in ended:
        for agreement in judged[run.path]:
            name, setup = agreement.detector, NOBODY
            if agreement.kind != "reference":
                name, setup = shown[run.setup, name, run.maker(name)], run.setup
            key = (name, agreement.kind, setup, agreement.learner)
            groups.setdefault(key, {})[run.column, run.seed] = (run, agreement)
    made = [
        made_with(key[0], key[1], [(run, held.detector) for run, held in group.values()], class_names)
        for key, group in groups.items()
    ]
    complete = _complete(groups, begun)
    leagues = [
        League(whose, one.block) if kind == "detector" and whole else None
        for (_, kind, _, whose), one, whole in zip(groups, made, complete, strict=True)
    ]
    standings = standings_of(list(groups.values()), leagues, about, evidence)
    rows = [
        _row(
            key,
            group,
            asked,
            standings[i],
            made=made[i],
            complete=complete[i],
            unfinished=len(begun),
        )
        for i, (key, group) in enumerate(groups.items())
    ]
    return sorted(rows, key=lambda row: _order(row, higher_is_better=about.higher_is_better))


RowKey: TypeAlias = "tuple[str, Kind, Setup, Learner | None]"
"""Detector, what it is, what made its scores, and whose memorization they are held against."""
Groups: TypeAlias = "dict[RowKey, dict[tuple[LabelColumn, int], tuple[Run, Agreement]]]"
"""What each row averages over."""


def _complete(groups: Groups, begun: Sequence[Run]) -> list[bool]:
    """Whether each row is complete; each memorization is a truth of its own, with other label columns."""
    complete: dict[int, bool] = {}
    for one in {whose: None for _, _, _, whose in groups}:
        ours = [(i, key, group) for i, (key, group) in enumerate(groups.items()) if key[3] == one]
        reached = [
            (key[2], {at for at, (_, held) in group.items() if math.isfinite(held.value)}) for _, key, group in ours
        ]
        complete |= dict(zip((i for i, _, _ in ours), which_complete(reached, begun), strict=True))
    return [complete[i] for i in range(len(groups))]


def _row(
    key: RowKey,
    group: Group,
    asked: Asked,
    standing: Standing,
    *,
    made: MadeWith,
    complete: bool,
    unfinished: int,
) -> Row:
    detector, kind, setup, whose = key
    members = [run for run, _ in group.values()]
    trained = members if setup != NOBODY else []
    costs = [run.costs.get(held.detector, (math.nan, math.nan)) for run, held in group.values()]
    return Row(
        detector=detector,
        kind=kind,
        truth=asked.truth,
        metric=asked.metric,
        stratum=asked.stratum,
        truth_learner=whose,
        matched=is_matched(setup, whose),
        **standing._asdict(),
        **counts_of(members),
        n=sum({run.column: held.n for run, held in group.values()}.values()),
        complete=complete,
        unfinished=unfinished,
        **setup._asdict(),
        version=versions_of(trained),
        mislabeled_fit=mean(history_of(trained, "mislabeled_fit")),
        clean_fit=mean(history_of(trained, "clean_fit")),
        seconds=mean(cells_of(zip(members, (seconds for seconds, _ in costs), strict=True))),
        passes=mean(cells_of(zip(members, (passes for _, passes in costs), strict=True))),
        **made._asdict(),
        **curvature_step_of((run, held.detector) for run, held in group.values())._asdict(),
        neighbours_alike=least_alike((run, held.detector) for run, held in group.values()),
        subject=subject_of(members),
    )


def about_metric(name: str) -> Metric | SuggestionMetric | MemorizationMetric:
    """What there is to say of a metric, by name."""
    return METRICS.get(name) or SUGGESTION_METRICS.get(name) or MEMORIZATION_METRICS[name]


def _order(row: Row, *, higher_is_better: bool) -> tuple[int, int, bool, bool, float, str, str]:
    worse = -row.mean if higher_is_better else row.mean
    kind = ("detector", "control", "reference").index(row.kind)
    missing = math.isnan(row.mean)
    return (
        kind,
        BLOCKS.index(row.block),
        not row.complete,
        missing,
        0.0 if missing else worse,
        row.detector,
        row.setup,
    )
