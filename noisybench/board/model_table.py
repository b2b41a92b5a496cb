"""The table of trained models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from noisybench.board.averages import _history, counts_of, which_complete
from noisybench.runs.reading import FITS, Paths, Run, finished_and_begun
from noisybench.runs.record import Learner, Regime
from noisybench.statistics.resampling import Interval, estimate, weakest


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
