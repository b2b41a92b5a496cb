"""The table of detectors: rows, ranks and their uncertainty, from any number of run folders.

How runs are averaged, and how sure a mean and a rank are, is said in ``noisybench.statistics.column_means``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from noisybench.board.ablation import Ablation, ablations_of
from noisybench.board.admission import admit, tell_left_out
from noisybench.board.agreement import Agreement, Stratum
from noisybench.board.averages import (
    cells_of,
    counts_of,
    history_of,
    is_matched,
    names_shown,
    versions_of,
)
from noisybench.board.curvature_steps import curvature_step_of
from noisybench.board.further_figures import NO_FURTHER, AskFurther, FurtherFigures, ask_further
from noisybench.board.information import BLOCKS, NO_NAMES, MadeWith, RowBlock, made_with
from noisybench.board.judging import judge_all, judge_all_by_class
from noisybench.board.neighbourhoods import least_alike
from noisybench.board.parts import (
    MEAN_OF_CLASSES,
    UNDIVIDED,
    Division,
    RowPart,
    check_by,
    groups_by,
    mean_of_classes,
    named_classes,
    parts_of,
)
from noisybench.board.ranking import (
    NO_SAMPLES,
    Group,
    League,
    SampleEvidence,
    Standing,
    check_moderated,
    standings_of,
)
from noisybench.board.row_groups import RowKey, complete_rows, groups_of
from noisybench.board.sample_influences import sample_evidence
from noisybench.board.subject import (
    NO_SUBJECT,
    NOTHING_KNOWN,
    Subject,
    WrongShares,
    sources_of,
    subject_of,
    with_sources,
    wrong_shares_of,
)
from noisybench.board.truths import MEMORIZATION, MISLABELED, Asked, check_asked
from noisybench.detection.scoring import Information, Kind
from noisybench.ground.lookup import find
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Paths, Run, finished_and_begun
from noisybench.runs.record import NOBODY, Pretrained, Regime
from noisybench.statistics.column_means import Interval, mean
from noisybench.statistics.metric import Metric


@dataclass(frozen=True, slots=True)
class Row:
    """One detector under one learner. What cannot be computed is NaN, or None where it is a rank.

    Attributes:
        detector: Name of the detector, control or reference.
        kind: Only a ``detector`` has a rank.
        truth: What the scores were held against.
        metric: Name of a metric, see ``noisybench list metrics``.
        stratum: Which samples were compared: all, the clean or the mislabeled ones.
        truth_learner: Whose memorization the truth is; None for the mislabeled mask and for marks.
        matched: Whether that learner has the row's own model, recipe and epochs, or its memorization is transferred to
            another; None for the mislabeled mask.
        mean: Over families, settings, label columns and seeds, in this order.
        low: Lower end of the 95 % interval.
        high: Upper end.
        interval: What the interval covers, see ``Interval``: ``draws`` of noise with their seeds, or only seeds of one draw.
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
        mislabeled_fit: Wrong labels fitted: share of the mislabeled samples whose given label the model predicts at the end.
        clean_fit: Right labels fitted: the same share of the samples that are known to be right.
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
        ablation: Options by name, of those that tell apart rows whose words are alike, as ``("lr", 0.02)``.
        surely_worse: Whether it is surely not the best of those ranked: the others hold the best one in 95 % of tables.
        equivalent: Whether the paired 90 % interval of its difference to the best lies within ± .01; None of the best.
        floor: Difference to another row that can be told here with 80 % power, median over all pairs; NaN where unknown.
        moderated: Whether ranks are by moderated t over draws or seeds, which was asked for; they have no floor.
        neighbours_alike: Of detectors that take the two nearest others to share a sample's true class: the share of
            samples of which they do; None of others, and where no truth is known.
        worst_class: Where they were asked for, see ``further_figures.FurtherFigures``, as the next three.
        worst_class_value: Its value in the given class where it is worst.
        top_overlap: Of the most suspicious samples of two seeds.
        false_flags: Share of the labels of clean sets that it flags.
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
    ablation: Ablation = ()
    worst_class: str = ""
    worst_class_value: float = math.nan
    top_overlap: float = math.nan
    false_flags: float = math.nan
    surely_worse: bool | None = None
    equivalent: bool | None = None
    floor: float = math.nan
    moderated: bool = False


# Rows


def detector_rows(
    runs: Sequence[Run] | Paths,
    *,
    truth: str = MISLABELED,
    metric: str | None = None,
    stratum: str = "all",
    by: str | None = None,
    pool: bool = False,
    more: bool = False,
    moderated: bool = False,
) -> list[Row]:
    """One row per detector, setup and data set: ranked detectors, incomplete ones, controls, references, each best first.

    Each data set is a block of its own, in which rows rank among themselves. So are, within it, detectors on features of
    other data, and those that were told something of the truth.

    Args:
        runs: Runs, or folders above them.
        truth: What the scores are held against: ``mislabeled``, ``memorization`` or a mark of the source.
        metric: Name of a metric of that truth, see ``noisybench list metrics``, or ``package.module:attribute`` of your own;
            None takes the AUROC, or Spearman's correlation.
        stratum: For memorization: ``all`` samples, the ``clean`` or the ``mislabeled`` ones.
        by: ``noise``, ``source``, ``rate``, ``class`` or ``variant``: each row has a value for each of them too. A class
            is a given one, whose samples alone are compared, and beside the classes stands their mean.
        pool: Whether several data sets are averaged, as they are by ``source``.
        more: Whether further figures are computed: worst class, overlap of the top between seeds, flags on clean sets.
        moderated: Whether ranks are by moderated t over draws or seeds of one setting, see ``moderated_rank_sets``.

    Raises:
        BadUsage: There are no moderated ranks of that metric, of several settings, or of one run.
        UnknownName: The labels of no run have that truth, it has no such metric or stratum, or there is no such ``by``.
        BadData: There is no finished run, or a file is broken.
        Mismatch: Scores or a memorization are of other labels than their run.
    """
    division = Division(check_by(by), pool=pool or by == "source")
    ended, begun = finished_and_begun(runs)
    ended, truths = admit(ended, memorization=truth == MEMORIZATION)
    asked = check_asked(truth, metric, stratum, list(truths.values()))
    if moderated:
        check_moderated(asked.metric, division.by)
    judged, faults = judge_all(ended, truths, asked)
    tell_left_out(faults, any_left=bool(judged))
    variants = [one.variant for one in truths.values()]
    class_names = {variant.provenance.variant_id: variant.class_names for variant in variants}
    left = [run for run in ended if run.path in judged]
    by_class = judge_all_by_class(left, truths, asked)[0] if by == "class" else {}
    labels = KnownOfLabels(class_names, wrong_shares_of(variants), named_classes(by_class, left, class_names))
    further: AskFurther = ask_further(left, truths, asked) if more else lambda _: NO_FURTHER
    return rows_of_agreements(
        judged,
        left,
        begun,
        asked,
        labels=labels,
        division=division,
        more=further,
        evidence=sample_evidence(truths, asked),
        moderated=moderated,
    )


class KnownOfLabels(NamedTuple):
    """What is known of label columns beside their runs, by the id of their variant.

    Attributes:
        class_names: Names of the classes.
        wrong_shares: Realised share of wrong labels.
        by_class: Name of a given class → folder of each run → agreements among its samples.
    """

    class_names: Mapping[str, Sequence[str]] = NO_NAMES
    wrong_shares: WrongShares = NOTHING_KNOWN
    by_class: Mapping[str, Mapping[Path, Sequence[Agreement]]] = MappingProxyType({})


NOTHING_MORE = KnownOfLabels()


def rows_of_agreements(
    judged: Mapping[Path, Sequence[Agreement]],
    ended: Sequence[Run],
    begun: Sequence[Run],
    asked: Asked,
    *,
    labels: KnownOfLabels = NOTHING_MORE,
    division: Division = UNDIVIDED,
    more: AskFurther = lambda _: NO_FURTHER,
    evidence: SampleEvidence = NO_SAMPLES,
    moderated: bool = False,
) -> list[Row]:
    """The rows of ``detector_rows`` from agreements that are given.

    Args:
        judged: Folder of each finished run → agreement of its detectors and references with the truth.
        ended: The finished runs, in order.
        begun: Those that have begun and not ended.
        asked: What the agreements answer.
        labels: What is known of the label columns.
        division: What the table is divided into.
        more: Gives further figures of what a row averages over.
        evidence: How to know what samples do to rows.
        moderated: Whether ranks are by moderated t.
    """
    about, sources = about_metric(asked.metric), sources_of([*ended, *begun])
    ended, begun = with_sources(ended, sources), with_sources(begun, sources)
    shown = names_shown(ended)
    groups = groups_of(judged, ended, shown, pool=division.pool)
    averaged = list(groups.values())
    complete = complete_rows(groups, begun)
    made = [
        made_with(key.detector, key.kind, [(run, held.detector) for run, held in group.values()], labels.class_names)
        for key, group in groups.items()
    ]
    leagues = [
        League(key.whose, one.block, key.source) if key.kind == "detector" and whole else None
        for key, one, whole in zip(groups, made, complete, strict=True)
    ]
    standings = standings_of(averaged, leagues, about, evidence, moderated=moderated)
    named = {} if division.by in (None, "class") else groups_by(averaged, division.by)
    for name, found in labels.by_class.items():
        of_class = groups_of(found, ended, shown, pool=division.pool)
        named[name] = [of_class.get(key, {}) for key in groups]
    if labels.by_class:
        named = {MEAN_OF_CLASSES: mean_of_classes(named), **named}
    members = [[run for run, _ in group.values()] for group in averaged]
    same = {tuple(map(id, runs)): runs for runs in members}  # most rows are of the same runs
    subjects = {ids: subject_of(runs, sources, labels.wrong_shares) for ids, runs in same.items()}
    parts, ablations = parts_of(named, leagues, about, evidence), ablations_of(ended)
    rows = [
        _row(
            key,
            group,
            asked,
            standings[i],
            made=made[i],
            complete=complete[i],
            unfinished=len(begun),
            subject=subjects[tuple(map(id, members[i]))],
            parts=parts[i],
            ablation=ablations.get(key.setup, ()),
            further=more(group),
        )
        for i, (key, group) in enumerate(groups.items())
    ]
    return sorted(rows, key=lambda row: (row.source, *_order(row, higher_is_better=about.higher_is_better)))


def _row(
    key: RowKey,
    group: Group,
    asked: Asked,
    standing: Standing,
    *,
    made: MadeWith,
    complete: bool,
    unfinished: int,
    subject: Subject,
    parts: tuple[RowPart, ...],
    ablation: Ablation,
    further: FurtherFigures,
) -> Row:
    detector, kind, setup, whose, source = key
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
        **further._asdict(),
        source=source,
        subject=subject,
        parts=parts,
        ablation=ablation,
    )


def about_metric(name: str) -> Metric:
    """What there is to say of a metric, by name."""
    found: Metric = find("metrics", name)
    return found


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
