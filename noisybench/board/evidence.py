"""Evidence: how many labels the answers of runs contradict, and where these answers come from, in words."""

from collections.abc import Mapping, Sequence

import numpy as np

from noisybench.board.information import trained_on
from noisybench.detection.suggesting import suggest
from noisybench.ground.arrays import UNKNOWN, Bools, Floats, Floats32, Labels
from noisybench.ground.errors import BadData
from noisybench.runs.record import BY_SEED, Regime, RunRecord
from noisybench.runs.suggestion_files import detector_or_stand_in
from noisybench.statistics.confident_learning import find_issues
from noisybench.statistics.consensus import consensus, disagreeing
from noisybench.training.trace import Trace
from noisybench.variants.variant import Variant

HELD_OUT, RIDGE, NEIGHBOURS = "held_out.probabilities", "features.ridge_answers", "neighbours.labels"
EXCESS = "threshold.excess"
OF_TWO: Mapping[Regime, tuple[str, tuple[str, ...]]] = {
    "second_split": (" on one half and then on the other", ()),
    "threshold": (
        ", each with threshold samples of its own",
        (
            "the cut is the 99th percentile of the threshold samples' margins, below which a label lies in each training",
        ),
    ),
}
"""Regime of two trainings → what a sentence says after them, and further sentences."""


def contradicted(traces: Sequence[Trace], variant: Variant) -> Bools | None:
    """Which labels the answers of a setup's runs contradict, shape (n,): how many is no estimate of how many are wrong.

    From frozen features: what ridge regression, logistic regression and neighbours say together, see ``consensus``. From held-out
    probabilities alone: confident learning's issues, pruned by noise rate. From threshold samples: the area under the
    margin is below their 99th percentile in every training, of all seeds, in which the sample is none of them. From a
    training: more than half of the recorded epochs, of all seeds, say another class.

    Args:
        traces: Of the runs, one a seed.
        variant: The labels; who was dropped from them is contradicted nowhere, and counts for nobody else.

    Returns:
        None where there are no answers, as of scores that came alone.

    Raises:
        BadData: A column has another shape than answers have.
    """
    columns = set.intersection(*(set(trace.columns) for trace in traces)) if traces else set()
    kept, found = ~variant.dropped, np.zeros(len(variant.labels), dtype=bool)
    given = variant.labels[kept]
    if {HELD_OUT, RIDGE, NEIGHBOURS} <= columns:
        ridge, probabilities, shares = (_mean(traces, name)[kept] for name in (RIDGE, HELD_OUT, NEIGHBOURS))
        found[kept] = disagreeing(consensus(given, ridge, probabilities, shares))
    elif HELD_OUT in columns:
        answers = _mean(traces, HELD_OUT)
        found[kept] = find_issues(given, answers if kept.all() else answers[kept])
    elif EXCESS in columns:
        excess = [trace[EXCESS][-1] for trace in traces]
        _check_alike(excess, EXCESS, dimensions=1)
        found = (np.max(excess, axis=0) < 0) & kept
    elif "prediction" in columns:
        predictions = [trace["prediction"] for trace in traces]
        _check_alike([values[-1] for values in predictions], "prediction", dimensions=1)
        others = np.sum([(values[:, kept] != given).sum(0) for values in predictions], axis=0)
        found[kept] = 2 * others > sum(map(len, predictions))
    else:
        return None
    return found


def _mean(traces: Sequence[Trace], name: str) -> Floats | Floats32:
    """A column at its last epoch, mean over runs, shape (n, k)."""
    columns = [trace[name][-1] for trace in traces]
    _check_alike(columns, name, dimensions=2)
    return columns[0] if len(columns) == 1 else np.stack(columns).mean(0, dtype=np.float64)


def _check_alike(columns: Sequence[Floats32], name: str, *, dimensions: int) -> None:
    """Raise ``BadData`` unless a column has one shape in all runs, of so many dimensions: a run may be a stranger's."""
    shapes = {values.shape for values in columns}
    if len(shapes) > 1 or columns[0].ndim != dimensions:
        msg = f"'{name}' has shape {', '.join(map(str, sorted(shapes)))}, expected one of {dimensions} dimensions in all runs"
        raise BadData(msg)


def evidence_of(records: Sequence[RunRecord], traces: Sequence[Trace]) -> tuple[str, ...]:
    """Where the answers of a setup's runs come from, a sentence each."""
    first = records[0]
    if first.regime == "features":
        told = [
            f"ridge regression, logistic regression and neighbours on features '{first.features}', each sample held out"
        ]
        if first.pretrained is not None:
            told.append(f"the features were {trained_on(first.pretrained)}")
        if first.groups is not None and first.groups < first.n:
            by = "near duplicates" if first.grouped_by is None else f"'{first.grouped_by}' and near duplicates"
            told.append(f"{first.n:,} samples are {first.groups:,} groups, by {by}; each group is held out as a whole")
        return tuple(told)
    if first.regime == "answers":
        return _of_answers(first)
    on = "" if first.features == "input" else f"on {first.features}"
    learner = ", ".join(filter(None, (first.model, first.recipe, first.objective, on)))
    if first.regime == "pool":
        return (f"{first.models} models ({learner}) on random subsets, each asked of the samples that it did not see",)
    if first.regime in BY_SEED:
        return _of_trainings(first, traces, learner)
    if first.form == "scores":
        return (f"scores '{first.model}', which came without answers",)
    return (f"answers of '{first.model}', which noisybench did not make; they should be held out",)


def _of_trainings(record: RunRecord, traces: Sequence[Trace], learner: str) -> tuple[str, ...]:
    """How many trainings answered, when, and what they had seen, a sentence each."""
    many = len(traces)
    epochs = sum(len(trace["prediction"]) for trace in traces if "prediction" in trace.columns)
    at = "one epoch" if epochs == 1 else f"{epochs} epochs in all"
    if record.regime == "training":
        seeds = f"{many} trainings" if many > 1 else "one training"
        return (f"answers of {seeds} ({learner}) at {at}, of samples that it was trained on",)
    how, more = OF_TWO[record.regime]
    said = f"answers of {2 * many} trainings{how} ({learner}) at {at}, of samples that they were trained on"
    return (said, *more)


def _of_answers(record: RunRecord) -> tuple[str, ...]:
    """What the answers of several people are, a sentence each."""
    who = "people" if record.model == "answers" else "columns, which are no people"
    told = [f"{record.answers:,} answers of {record.annotators:,} {who}, to {record.n:,} samples"]
    if record.without_given:
        told.append("one answer that is the given label was left out of each sample that has one")
    elif record.given_from is not None:
        told.append(f"the given labels were made of these answers ({record.given_from}), and are among them")
    if record.folds is not None:
        told.append(
            f"beside them, logistic regression on features '{record.features}', which learnt the majority of "
            f"the answers and did not see the sample"
        )
    if record.pretrained is not None:
        told.append(f"the features were {trained_on(record.pretrained)}")
    return tuple(told)


def suggested(traces: Sequence[Trace], detector: str, given: Labels) -> Labels:
    """The class that a detector's evidence suggests for each sample, shape (n,); -1 everywhere where there are no answers.

    A detector that is none of noisybench's suggests what its traces do: its code is not imported, for a run may be a
    stranger's.
    """
    if not traces:
        return np.full(len(given), UNKNOWN)
    return suggest(traces, detector_or_stand_in(detector, detector), given).labels
