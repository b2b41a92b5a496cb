"""The table of trained models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisybench.board.ablation import Ablation, ablations_of
from noisybench.board.admission import admit
from noisybench.board.averages import counts_of, history_of, versions_of, which_complete
from noisybench.board.subject import NO_SUBJECT, Subject, sources_of, subject_of, with_sources, wrong_shares_of
from noisybench.memorization.learner import Learner
from noisybench.runs.fit_words import FITS
from noisybench.runs.reading import Paths, Run, finished_and_begun
from noisybench.runs.record import Regime, Setup
from noisybench.statistics.column_means import Interval, estimate, weakest


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


def model_rows(runs: Sequence[Run] | Paths, *, pool: bool = False) -> list[ModelRow]:
    """One row per data set and trained learner, in the order of model, recipe and setup; none for pools and given scores.

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
    whole = _whole(groups, begun)
    rows = [
        ModelRow(
            **setup._asdict(),
            version=versions_of(members),
            **_fits(members),
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
    return sorted(rows, key=lambda row: (row.source, row.learner.model, row.learner.recipe, row.setup))


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
