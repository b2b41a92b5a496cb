"""Runs of several trainings: what one such regime is, their flow being one."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from noisybench.ground.arrays import Bools, Floats, Indices, Labels
from noisybench.ground.errors import BadData
from noisybench.ground.files import file_name
from noisybench.runs.record import Regime, RunRecord
from noisybench.training.trace import Observation, Trace
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from torch import Tensor

    from noisybench.training.phases import PhasedTraining

LEAST_OF_RULES = 10
"""Samples of the smallest set of which a rule of stopping can hold out, or change, a tenth."""


@dataclass(frozen=True, slots=True, eq=False)
class Scheme:
    """A regime whose runs are several trainings by one recipe. It brings no torch before it plans them.

    Attributes:
        regime: Its name.
        words: What its records say of how samples were observed, and tables after the recipe.
        rules: What decides the columns besides labels, seed and recipe.
        lengths: Epochs of all trainings together, as multiples of those of the recipe.
        trainings: Passes over all samples that they train for, as multiples of those of one training; as many are spent
            on asking.
        columns: Column → the lengths of the recipe at whose epochs it stands, as ``(0, 1)`` for its first one, None for
            the last epoch of all alone; and how many values each sample has, None for one without a dimension of its own.
        plan: Labels and seed → the trainings.
        join: What each training answered, labels and seed → the epochs of the run's trace.
        fitted: A trace and the labels → share of the trainings in which each label is fitted, shape (e, n).
        faults: A trace, whose columns have their shapes, labels and seed → what does not follow.
        curve: A trace and the labels → further columns of the history, shape (e,): by what a rule of stopping chooses.
            None of a regime that feeds detectors. Where there is one, the test set is asked after each epoch of the first
            training, and its accuracy is in the history.
    """

    regime: Regime
    words: str
    rules: tuple[object, ...]
    lengths: int
    trainings: int
    columns: Mapping[str, tuple[tuple[int, int] | None, int | None]]
    plan: "Callable[[Variant, int], tuple[PhasedTraining, ...]]"
    join: Callable[[Sequence[Trace], Variant, int], Iterator[Observation]]
    fitted: Callable[[Trace, Variant], Floats]
    faults: Callable[[Trace, Variant, int], Iterator[str]]
    curve: Callable[[Trace, Variant], Mapping[str, Floats]] | None = None

    def setup(self, trained: str) -> str:
        """Digest of everything that decides a run but labels and seed, from that of the training."""
        return hashlib.sha256(json.dumps([self.regime, *self.rules, trained]).encode()).hexdigest()

    def folder(self, model: str, recipe: str, trained: str) -> str:
        """Name of a run's folder, safe on every file system and alike for all seeds."""
        return f"{file_name(model)}-{recipe}-{self.regime}-{self.setup(trained)[:8]}"

    def epochs_of(self, column: str, epochs: int) -> range:
        """The epochs at which a column stands, of trainings of so many epochs."""
        lengths = self.columns[column][0]
        if lengths is None:
            return range(self.last(epochs), self.last(epochs) + 1)
        return range(lengths[0] * epochs + 1, lengths[1] * epochs + 1)

    def last(self, epochs: int) -> int:
        """The last epoch of a trace, of trainings of so many epochs."""
        return epochs * max(lengths[1] for lengths, _ in self.columns.values() if lengths is not None)

    def history(self, trace: Trace, variant: Variant) -> dict[str, Floats]:
        """Epochs of the trainings, the shares of wrong and of right labels that they have fitted by then, and the curve."""
        fitted = self.fitted(trace, variant)
        wrong, counted = variant.mislabeled, np.isfinite(fitted).all(0)
        return {
            "epoch": np.arange(1.0, len(fitted) + 1),
            "mislabeled_fit": _shares(fitted, wrong & counted),
            "clean_fit": _shares(fitted, variant.known & ~wrong & counted),
            **({} if self.curve is None else self.curve(trace, variant)),
        }

    def faults_of_trace(self, trace: Trace, variant: Variant, record: RunRecord) -> Iterator[str]:
        """What is wrong with the trace of a run: columns, epochs and shapes, and what follows from what."""
        odd = {*trace.columns} ^ {*self.columns}
        if odd:
            yield f"has other columns than such a run leaves, such as '{min(odd)[:60]}'"
            return
        for name, (_, width) in self.columns.items():
            column, due = trace.column(name), self.epochs_of(name, record.epochs)
            shape = (record.n,) if width is None else (record.n, width)
            if len(column.epochs) != len(due) or column.epochs.tolist() != [*due] or column.values.shape[1:] != shape:
                yield f"has '{name}' of shape {column.values.shape}, expected {(len(due), *shape)} at its epochs"
                return
            if not np.isfinite(column.values).all():
                yield f"has '{name}' with values that are no numbers"
                return
        if not np.array_equal(trace["given"][-1], variant.labels):
            yield "has other given labels than the variant"
        classes = trace["prediction"]
        if ((classes < 0) | (classes >= record.classes) | (classes % 1 != 0)).any():
            yield f"has a 'prediction' that is no class of 0..{record.classes - 1}"
            return
        yield from self.faults(trace, variant, record.seed)


def _shares(fitted: Floats, chosen: Bools) -> Floats:
    """Mean over the chosen samples, at each epoch; NaN of none: (e, n) → (e,)."""
    shares: Floats = fitted[:, chosen].mean(1) if chosen.any() else np.full(len(fitted), np.nan)
    return shares


def kept_for_rule(variant: Variant, rule: str, purpose: str) -> Indices:
    """Samples that are not dropped, ascending, of which a rule of stopping holds out or changes a part, shape (m,).

    Raises:
        BadData: There are too few; the message says for what ``purpose``.
    """
    kept = np.flatnonzero(~variant.dropped)
    if len(kept) < LEAST_OF_RULES:
        msg = f"{len(kept)} samples are too few to {purpose}; leave {rule} out of the rules"
        raise BadData(msg)
    return kept


def observed_training(
    name: str, variant: Variant, rows: Indices, labels: Labels, *, tested: bool = True
) -> "PhasedTraining":
    """One training on some samples (m,) with some labels (n,), in which each sample's prediction is asked every epoch."""
    from noisybench.training.phases import PhasedTraining  # brings torch

    return PhasedTraining(
        name=name,
        classes=variant.num_classes,
        phases=(rows,),
        labels=labels,
        asked=np.arange(len(variant.labels)),
        columns=("prediction",),
        ask=asking_prediction,
        tested=tested,
    )


def fitted_by_others(trace: Trace, variant: Variant, members: str) -> Floats:
    """Whether each label is predicted, NaN of the samples that the column ``members`` marks, shape (e, n)."""
    right: Floats = (trace["prediction"] == variant.labels).astype(np.float64)
    right[:, trace[members][-1] > 0] = np.nan
    return right


def asking_prediction(logits: "Tensor", labels: "Tensor") -> "Mapping[str, Tensor]":  # noqa: ARG001 - what the label is follows
    """The predicted class, as a ``Question``."""
    return {"prediction": logits.argmax(1)}


def as_column(values: Labels | Bools | Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Values as a trace holds them."""
    return values.astype(np.float32)
