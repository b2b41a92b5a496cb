"""The table of trained models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from noisybench.board.ablation import Ablation, ablations_of
from noisybench.board.admission import admit
from noisybench.board.agreement import Agreement
from noisybench.board.averages import cells_of, counts_of, history_of, versions_of, which_complete
from noisybench.board.information import RowBlock
from noisybench.board.judging import judge_all
from noisybench.board.subject import NO_SUBJECT, Subject, sources_of, subject_of, with_sources, wrong_shares_of
from noisybench.board.truths import Asked, Truths
from noisybench.memorization.learner import Learner
from noisybench.runs.fit_words import FITS, RIGHT_SHARES
from noisybench.runs.reading import Paths, Run, finished_and_begun, leave_out_all
from noisybench.runs.record import Regime, Setup
from noisybench.statistics.column_means import Interval, estimate, mean, weakest

OWN_DETECTORS = ("objective_indicator", "objective_target")
"""Detectors that read what an objective leaves of each sample; the first that a run has is the objective's own."""
TARGET = OWN_DETECTORS[1]
NOTHING = "nothing"
"""What an objective knows of the truth unless its record says otherwise."""


class AtRight(NamedTuple):
    """Wrong labels fitted at equal right labels fitted.

    Attributes:
        right: Share of the right labels fitted, for the first time.
        wrong: Share of the wrong labels fitted there, see ``wrong_at_right``; NaN where a run is never there.
        low: Lower end of its interval.
        high: Upper end.
    """

    right: float
    wrong: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One learner: what its runs are like at the end of training, each as mean and 95 % interval.

    Attributes:
        learner: What was trained, and how.
        setup: Digest of model, recipe and every option.
        observe: When the samples were observed.
        regime: Where the scores come from: a training.
        version: Versions of noisybench that trained the runs.
        test_accuracy: On the clean test set.
        test_accuracy_low: Lower end of the interval, as in each of the next.
        test_accuracy_high: Upper end.
        mislabeled_fit: Wrong labels fitted: share of the mislabeled samples whose given label the model predicts.
        mislabeled_fit_low: Lower end.
        mislabeled_fit_high: Upper end.
        clean_fit: Right labels fitted: the same share of the samples that are known to be right.
        clean_fit_low: Lower end.
        clean_fit_high: Upper end.
        susceptibility: By how many nats one step on randomly labelled inputs lowers their mean loss, mean over the epochs.
        susceptibility_low: Lower end.
        susceptibility_high: Upper end.
        interval: As in ``Row``, of what could be computed.
        seeds: Training seeds.
        variants: Label columns.
        families: Pairs of source and noise.
        n: Training samples, summed over the label columns.
        complete: Whether it was run on every label column of any row, with as many seeds.
        unfinished: Runs, of all that were given, that have begun and not ended.
        source: As in ``Row``, as the next two.
        subject: Data sets, noises, label columns and versions.
        ablation: Options by name.
        at_right: Wrong labels fitted at each of ``RIGHT_SHARES`` of the right labels.
        own_detector: Name of the detector that reads what the objective leaves of each sample; empty without one.
        own_detection: Its AUROC against the wrong labels.
        own_detection_low: Lower end.
        own_detection_high: Upper end.
        corrected: Share of wrong labels whose right class the objective's target gives, as ``suggestion_accuracy``.
        corrected_low: Lower end.
        corrected_high: Upper end.
        seconds: Of the training alone, mean a run.
        knows: What the objective was told of the truth: ``nothing``, ``rate`` or ``transition``.
    """

    learner: Learner
    setup: str
    observe: str
    regime: Regime
    version: str
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
    source: str = ""
    subject: Subject = NO_SUBJECT
    ablation: Ablation = ()
    at_right: tuple[AtRight, ...] = ()
    own_detector: str = ""
    own_detection: float = math.nan
    own_detection_low: float = math.nan
    own_detection_high: float = math.nan
    corrected: float = math.nan
    corrected_low: float = math.nan
    corrected_high: float = math.nan
    seconds: float = math.nan
    knows: str = NOTHING

    @property
    def block(self) -> RowBlock:
        """Those that were told something of the truth stand apart."""
        return "" if self.knows == NOTHING else "knows_truth"


def model_rows(runs: Sequence[Run] | Paths, *, pool: bool = False) -> list[ModelRow]:
    """One row per data set and trained learner, by model, recipe, objective and setup; none for pools and given scores.

    Learners whose objective knows something of the truth come last.

    Args:
        runs: Runs, or folders above them.
        pool: Whether several data sets are averaged.

    Raises:
        BadData: There is no finished run, or a file is broken.
    """
    ended, begun = ([run for run in some if run.setup.regime == "training"] for some in finished_and_begun(runs))
    ended, truths = admit(ended, bare=True)
    sources = sources_of([*ended, *begun])
    ended, begun = with_sources(ended, sources), with_sources(begun, sources)
    wrong_shares, ablations = wrong_shares_of(one.variant for one in truths.values()), ablations_of(ended)
    groups: dict[tuple[str, Setup], list[Run]] = {}
    for run in ended:
        groups.setdefault(("" if pool else run.column.source, run.setup), []).append(run)
    whole, judged = _whole(groups, begun), _judge_own(ended, truths)
    rows = [
        ModelRow(
            **setup._asdict(),
            version=versions_of(members),
            **_fits(members),
            at_right=_at_right(members),
            **_own(members, judged),
            knows=members[0].record.objective_knows or NOTHING,
            seconds=mean(cells_of((run, run.training_seconds) for run in members)),
            **counts_of(members),
            n=sum({run.column: run.record.n for run in members}.values()),
            complete=whole[source, setup],
            unfinished=len(begun),
            source=source,
            subject=subject_of(members, sources, wrong_shares),
            ablation=ablations[setup],
        )
        for (source, setup), members in groups.items()
    ]
    return sorted(rows, key=_order)


def _order(row: ModelRow) -> tuple[str, ...]:
    return row.source, row.block, row.learner.model, row.learner.recipe, row.learner.objective, row.setup


def _whole(groups: Mapping[tuple[str, Setup], Sequence[Run]], begun: Sequence[Run]) -> dict[tuple[str, Setup], bool]:
    """Whether each learner has every label column and seed that another has of the same data set."""
    whole: dict[tuple[str, Setup], bool] = {}
    for source in dict.fromkeys(source for source, _ in groups):
        ours = [(key, {(run.column, run.seed) for run in runs}) for key, runs in groups.items() if key[0] == source]
        there = [run for run in begun if source in ("", run.column.source)]
        found = which_complete([(setup, reached) for (_, setup), reached in ours], there)
        whole |= dict(zip((key for key, _ in ours), found, strict=True))
    return whole


def _fits(members: Sequence[Run]) -> dict[str, Any]:
    """What the runs of a learner are like at the end of training, each with its interval."""
    values: dict[str, Any] = {}
    intervals: set[Interval] = set()
    for name in FITS:
        bounds = (-math.inf, math.inf) if name == "susceptibility" else (0.0, 1.0)
        values[name], values[f"{name}_low"], values[f"{name}_high"], interval = estimate(
            history_of(members, name), bounds
        )
        if not math.isnan(values[name]):
            intervals.add(interval)
    return {**values, "interval": weakest(intervals)}


def _at_right(members: Sequence[Run]) -> tuple[AtRight, ...]:
    """Wrong labels fitted at equal right labels fitted: of a learner all of whose runs get there, since others would be chosen."""
    found = []
    for place, share in enumerate(RIGHT_SHARES):
        values = [(run, run.at_right[place]) for run in members]
        there = values if all(math.isfinite(value) for _, value in values) else []
        found.append(AtRight(share, *estimate(cells_of(there), (0.0, 1.0))[:3]))
    return tuple(found)


def _own(members: Sequence[Run], judged: Mapping[str, Mapping[Path, Sequence[Agreement]]]) -> dict[str, Any]:
    """What is made of what the objective leaves of each sample: a suspicion, and other labels."""
    name = next((name for name in OWN_DETECTORS if any(name in run.kinds for run in members)), "")
    values: dict[str, Any] = {"own_detector": name}
    for field, detector in (("own_detection", name), ("corrected", TARGET)):
        of_runs = [(run, one) for run in members for one in judged[field].get(run.path, ())]
        cells = cells_of((run, one.value) for run, one in of_runs if one.detector == detector)
        values[field], values[f"{field}_low"], values[f"{field}_high"], _ = estimate(cells, (0.0, 1.0))
    return values


def _judge_own(runs: Sequence[Run], truths: Mapping[Path, Truths]) -> dict[str, dict[Path, list[Agreement]]]:
    """Field of a row → folder of each run whose objective leaves something of each sample → its agreement with the truth."""
    there = [run for run in runs if run.home in truths and not run.kinds.keys().isdisjoint(OWN_DETECTORS)]
    judged = {}
    for field, asked in (("own_detection", Asked()), ("corrected", Asked(metric="suggestion_accuracy"))):
        judged[field], faults = judge_all(there, truths, asked)
        leave_out_all(map(str, faults))
    return judged
