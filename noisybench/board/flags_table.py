"""Both truths at once: where each detector's flags fall among wrong and clean, memorized and other samples.

Detectors of wrong labels and detectors of memorization part where a sample is wrong and not memorized, or memorized and
clean. A leaderboard against either truth does not show which of them a detector finds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from noisybench.board.ablation import Ablation, ablations_of
from noisybench.board.admission import admit, tell_left_out
from noisybench.board.agreement import check_same_labels
from noisybench.board.averages import cells_of, counts_of, is_matched, names_shown, versions_of, which_complete
from noisybench.board.information import BLOCKS, RowBlock, made_with
from noisybench.board.references import reference_scores
from noisybench.board.subject import NO_SUBJECT, Subject, sources_of, subject_of, with_sources, wrong_shares_of
from noisybench.board.truths import Truths, is_of_own_kind
from noisybench.detection.scoring import Information, Kind, Scores
from noisybench.ground.errors import BadData, BadUsage
from noisybench.memorization.estimate import Memorization
from noisybench.memorization.learner import Learner
from noisybench.runs.reading import Paths, Run, finished_and_begun
from noisybench.runs.record import NOBODY, Pretrained, Regime, Setup
from noisybench.statistics.column_means import Interval, LabelColumn, estimate, mean
from noisybench.statistics.intervals import NOTHING, Estimate, wilson
from noisybench.statistics.memorization_metrics import chance_of_top, share_count
from noisybench.variants.variant import Variant

HIGH_MEMORIZATION = 0.25
"""From here on a sample counts as memorized: the least memorization of a high-influence pair in Feldman and Zhang 2020
(arXiv:2008.03703)."""
MOST_MEMORIZED = 5  # % of the clean samples among which false alarms are counted

T = TypeVar("T", int, float)


class Quarters(NamedTuple, Generic[T]):
    """One number for each combination of the two truths."""

    wrong_memorized: T
    wrong_not: T
    clean_memorized: T
    clean_not: T


@dataclass(frozen=True, slots=True)
class BothTruths:
    """Where one detector's flags fall when it flags as many samples as are mislabeled.

    Attributes:
        detector: Name of the detector.
        flagged: How many it flags.
        flags: Share of its flags in each quarter; they sum to one.
        caught: Share of each quarter's samples that it flags; NaN of an empty one, or where nothing is mislabeled.
        sizes: Samples in each quarter.
        false_alarms: Share flagged of the 5 % most memorized clean samples, with Wilson's 95 % interval.
        n: Samples whose clean label and memorization are known.
        threshold: The least memorization of a memorized sample.
        learner: Whose memorization it is.
    """

    detector: str
    flagged: int
    flags: Quarters[float]
    caught: Quarters[float]
    sizes: Quarters[int]
    false_alarms: Estimate
    n: int
    threshold: float
    learner: Learner


@dataclass(frozen=True, slots=True)
class BothRow:
    """One detector under one learner, against the mislabeled mask and one learner's memorization at once.

    It flags as many samples as are mislabeled. Every share is a mean over families, settings, label columns and seeds,
    in this order, of the runs where it can be computed; NaN where there is none.

    Attributes:
        detector: Name of the detector, control or reference.
        kind: References stand at the end: ``chance``, whose flags lie as the samples do, ``perfect``, which flags the
            mislabeled samples, ``given_label_only``, and ``memorization`` itself.
        truth_learner: Whose memorization it is.
        matched: Whether that learner has the row's own model, recipe, epochs and features, or its memorization is
            transferred to another.
        threshold: The least memorization of a memorized sample.
        false_alarms: Share flagged of the 5 % most memorized clean samples.
        low: Lower end of its 95 % interval.
        high: Upper end.
        interval: What was resampled for it, as in ``leaderboard.Row``.
        caught_wrong_memorized: Share flagged of the samples that are wrong and memorized.
        caught_wrong_not: The same of those that are wrong and not memorized.
        caught_clean_memorized: The same of those that are clean and memorized.
        caught_clean_not: The same of those that are clean and not memorized.
        flags_wrong_memorized: Share of its flags that fall on samples that are wrong and memorized; the four sum to one.
        flags_wrong_not: On those that are wrong and not memorized.
        flags_clean_memorized: On those that are clean and memorized.
        flags_clean_not: On those that are clean and not memorized.
        samples_wrong_memorized: Samples that are wrong and memorized, summed over the label columns; the four sum to
            ``n``.
        samples_wrong_not: Those that are wrong and not memorized.
        samples_clean_memorized: Those that are clean and memorized.
        samples_clean_not: Those that are clean and not memorized.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Samples whose clean label and memorization are known, summed over the label columns.
        complete: As in ``leaderboard.Row``.
        unfinished: Runs, of all that were given, that have begun and not ended.
        unmeasured: Finished runs, of all that were given, of labels whose memorization was not measured.
        learner: What was trained, and how; without a name for references.
        setup: Digest of model, recipe and every option.
        observe: When the samples were observed.
        regime: Where the scores come from.
        version: Versions of noisybench that trained the runs; empty for references.
        information: As in ``leaderboard.Row``, as the next two.
        pretrained: What the features had been trained on.
        block: With whom it stands together.
        declared: As in ``leaderboard.Row``, as the next two.
        aliases: Other names under which the same ranking was published.
        clustered: Label columns in which whole clusters are mislabeled.
        source: As in ``leaderboard.Row``, as the next two.
        subject: Data sets, noises, label columns and versions.
        ablation: Options by name.
    """

    detector: str
    kind: Kind
    truth_learner: Learner
    matched: bool | None
    threshold: float
    false_alarms: float
    low: float
    high: float
    interval: Interval
    caught_wrong_memorized: float
    caught_wrong_not: float
    caught_clean_memorized: float
    caught_clean_not: float
    flags_wrong_memorized: float
    flags_wrong_not: float
    flags_clean_memorized: float
    flags_clean_not: float
    samples_wrong_memorized: int
    samples_wrong_not: int
    samples_clean_memorized: int
    samples_clean_not: int
    seeds: int
    variants: int
    families: int
    n: int
    complete: bool
    unfinished: int
    unmeasured: int
    learner: Learner
    setup: str
    observe: str
    regime: Regime
    version: str
    information: tuple[Information, ...] = ()
    pretrained: Pretrained | None = None
    block: RowBlock = ""
    declared: bool = False
    aliases: tuple[str, ...] = ()
    clustered: int = 0
    source: str = ""
    subject: Subject = NO_SUBJECT
    ablation: Ablation = ()


def both_rows(
    runs: Sequence[Run] | Paths, *, threshold: float = HIGH_MEMORIZATION, pool: bool = False
) -> list[BothRow]:
    """One row per data set, detector, learner and truth's learner: detectors, controls, references, least false alarms first.

    Args:
        runs: Runs, or folders above them; those of labels whose memorization was not measured are left out.
        threshold: Memorized is who has at least this memorization.
        pool: Whether several data sets are averaged.

    Raises:
        BadData: There is no finished run, none has memorization beside it, or a file is broken.
        Mismatch: Scores or memorization are of other labels than their run.
        BadUsage: A threshold that no memorization has to reach, or none can.
    """
    ended, begun = finished_and_begun(runs)
    ended, truths = admit(ended, memorization=True)
    measured = [run for run in ended if truths[run.home].measured]
    if not measured:
        msg = (
            f"none of {len(ended)} finished runs has memorization beside it; 'noisybench memorize VARIANT --out RUNS' "
            f"measures it, with the folder that the runs were written to"
        )
        raise BadData(msg)
    sources = sources_of([*ended, *begun])
    left_out = {"unfinished": len(begun), "unmeasured": len(ended) - len(measured)}
    measured, begun = with_sources(measured, sources), with_sources(begun, sources)
    groups = _flags_of(measured, truths, threshold, pool=pool)
    complete = _complete(groups, begun)
    variants = [one.variant for one in truths.values()]
    class_names = {variant.provenance.variant_id: variant.class_names for variant in variants}
    wrong_shares, ablations = wrong_shares_of(variants), ablations_of(measured)
    rows = [
        _row(
            key,
            list(group.values()),
            class_names,
            complete=complete[key],
            threshold=threshold,
            subject=subject_of([run for run, _ in group.values()], sources, wrong_shares),
            ablation=ablations.get(key.setup, ()),
            **left_out,
        )
        for key, group in groups.items()
    ]
    return sorted(rows, key=lambda row: (row.source, *_order(row)))


class FlagsKey(NamedTuple):
    """What a row is of: detector, what it is, what made its scores, whose memorization, and which data set."""

    detector: str
    kind: Kind
    setup: Setup
    whose: Learner
    source: str


Flags: TypeAlias = "dict[FlagsKey, dict[tuple[LabelColumn, int], tuple[Run, BothTruths]]]"
"""What a row averages over: label column and seed → run and where its flags fall."""


def _complete(groups: Flags, begun: Sequence[Run]) -> dict[FlagsKey, bool]:
    """Whether each row is complete, of its data set."""
    complete: dict[FlagsKey, bool] = {}
    for source in dict.fromkeys(key.source for key in groups):
        ours = [key for key in groups if key.source == source]
        reached = [
            (key.setup, {at for at, (_, both) in groups[key].items() if math.isfinite(both.false_alarms.value)})
            for key in ours
        ]
        there = [run for run in begun if source in ("", run.column.source)]
        complete |= dict(zip(ours, which_complete(reached, there), strict=True))
    return complete


def _flags_of(runs: Sequence[Run], truths: Mapping[Path, Truths], threshold: float, *, pool: bool) -> Flags:
    """Where the flags of every detector and reference fall, against every memorization of the run's labels."""
    shown = names_shown(runs)
    groups: Flags = {}
    faults: list[BadData] = []
    for run in runs:
        variant = truths[run.home].variant
        try:
            kinds, scores = _scores(run, variant)
        except BadData as error:
            faults.append(error)
            continue
        for truth in (one.memorization for one in truths[run.home].measured):
            itself = Scores("memorization", np.nan_to_num(truth.values), truth.variant_id)  # unknown ones are left out
            found = both_truths([*scores, itself], truth, variant, threshold=threshold)
            for kind, both in zip([*kinds, "reference"], found, strict=True):
                if is_of_own_kind(run, both.detector, truth.learner):
                    continue
                name, setup = both.detector, NOBODY
                if kind != "reference":
                    name, setup = shown[run.setup, name, run.maker(name)], run.setup
                key = FlagsKey(name, kind, setup, truth.learner, "" if pool else run.column.source)
                groups.setdefault(key, {})[run.column, run.seed] = (run, both)
    tell_left_out(faults, any_left=bool(groups))
    return groups


def _row(
    key: FlagsKey,
    members: Sequence[tuple[Run, BothTruths]],
    class_names: Mapping[str, Sequence[str]],
    *,
    complete: bool,
    threshold: float,
    unfinished: int,
    unmeasured: int,
    subject: Subject,
    ablation: Ablation,
) -> BothRow:
    """One line of the table: means over the members, and the interval of its false alarms."""
    detector, kind, setup, whose, source = key
    runs = [run for run, _ in members]
    alarms = cells_of((run, both.false_alarms.value) for run, both in members)
    false_alarms, low, high, interval = estimate(alarms, (0.0, 1.0))
    return BothRow(
        detector=detector,
        kind=kind,
        truth_learner=whose,
        matched=is_matched(setup, whose),
        threshold=threshold,
        false_alarms=false_alarms,
        low=low,
        high=high,
        interval=interval,
        **_quarters(members),
        **counts_of(runs),
        n=sum({run.column: both.n for run, both in members}.values()),
        complete=complete,
        unfinished=unfinished,
        unmeasured=unmeasured,
        **setup._asdict(),
        version=versions_of([] if setup == NOBODY else runs),
        **made_with(detector, kind, [(run, both.detector) for run, both in members], class_names)._asdict(),
        source=source,
        subject=subject,
        ablation=ablation,
    )


def _scores(run: Run, variant: Variant) -> tuple[list[Kind], list[Scores]]:
    """The scores that a run was judged by, then the references; chance stands for all that know nothing."""
    scores = [run.scores(name) for name in run.kinds]
    know = [one for one in reference_scores(variant, seed=run.seed) if one.detector in ("perfect", "given_label_only")]
    chance = Scores("chance", np.zeros(len(variant.labels)), variant.provenance.variant_id)
    references: list[Kind] = ["reference"] * (1 + len(know))
    return [*run.kinds.values(), *references], [*scores, chance, *know]


def _quarters(members: Sequence[tuple[Run, BothTruths]]) -> dict[str, Any]:
    """What a row says of each quarter."""
    said: dict[str, Any] = {}
    for i, quarter in enumerate(Quarters._fields):
        said[f"caught_{quarter}"] = mean(cells_of((run, both.caught[i]) for run, both in members))
        said[f"flags_{quarter}"] = mean(cells_of((run, both.flags[i]) for run, both in members))
        said[f"samples_{quarter}"] = sum({run.column: both.sizes[i] for run, both in members}.values())
    return said


def _order(row: BothRow) -> tuple[int, int, bool, bool, float, str, str]:
    kind = ("detector", "control", "reference").index(row.kind)
    missing = math.isnan(row.false_alarms)
    return (
        kind,
        BLOCKS.index(row.block),
        not row.complete,
        missing,
        0.0 if missing else row.false_alarms,
        row.detector,
        row.setup,
    )


def both_truths(
    scores: Sequence[Scores], truth: Memorization, variant: Variant, *, threshold: float = HIGH_MEMORIZATION
) -> list[BothTruths]:
    """One row per detector, in the order given: its flags in the 2×2 of wrong × memorized.

    Args:
        scores: Of several detectors, of the same labels.
        truth: Of the same labels.
        variant: Samples without a clean label are left out.
        threshold: Memorized is who has at least this memorization.

    Raises:
        Mismatch: Scores, memorization and variant are not of the same labels.
        BadData: They are not of as many samples.
        BadUsage: A threshold that no memorization has to reach, or none can.
    """
    if not 0 < threshold <= 1:
        msg = f"threshold must be a memorization above 0 and at most 1, got {threshold}"
        raise BadUsage(msg)
    rows = []
    for one in scores:
        check_same_labels(one, truth, variant)
        counted = variant.known & ~np.isnan(truth.values)
        values, memorization, wrong = one.values[counted], truth.values[counted], variant.mislabeled[counted]
        memorized = memorization >= threshold
        quarters = (wrong & memorized, wrong & ~memorized, ~wrong & memorized, ~wrong & ~memorized)
        flagged, clean = int(wrong.sum()), int((~wrong).sum())
        flags = chance_of_top(values, flagged)
        alarms = NOTHING
        if flagged and clean:
            most = share_count(clean, MOST_MEMORIZED)
            alarms = wilson(float(flags[~wrong] @ chance_of_top(memorization[~wrong], most)) / most, most)
        rows.append(
            BothTruths(
                one.detector,
                flagged,
                Quarters(*(float(flags[q].sum()) / flagged if flagged else float("nan") for q in quarters)),
                Quarters(*(float(flags[q].mean()) if flagged and q.any() else float("nan") for q in quarters)),
                Quarters(*(int(q.sum()) for q in quarters)),
                alarms,
                len(values),
                threshold,
                truth.learner,
            )
        )
    return rows
