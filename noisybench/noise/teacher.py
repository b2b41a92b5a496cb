"""Class probabilities that a noise follows: from a file, or of small models trained here on the clean labels.

This module needs no torch until it trains.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from noisybench.data.source import Source, inputs_of, untested
from noisybench.ground.arrays import Floats, Indices
from noisybench.ground.checks import check_count, check_room
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.lookup import find
from noisybench.ground.random_streams import derive, permutation, uniforms
from noisybench.variants.building import build_variant
from noisybench.variants.noise import LABELS_ALONE
from noisybench.variants.variant import Variant

if TYPE_CHECKING:
    from noisybench.training.batches import Inputs
    from noisybench.training.plan import Plan

How = Literal["clean", "cross_fitted"]

FOLDS = 5
"""Parts into which cross-fitting cuts the samples."""
DIGITS = 6
"""Decimals to which the probabilities of a model are rounded: they come of float32 sums, and a label must not hang on the
last bit of one. It makes up for another order of summation, not for another course of training."""
MOST_EPOCHS = 100
"""Epochs of training. A model that has fitted its labels for long is certain of all of them: there is no noise in it."""
MOST_RATERS = 20
LEAST_SHARE = 1 / 16
"""Share of its half that the least taught rater learns from."""
LEAST_LEARNT = 2
"""Samples that any model learns from: batch norm takes no fewer."""


def class_probabilities(
    source: Source,
    *,
    file: Path | None,
    model: str | None,
    epochs: int,
    how: How = "clean",
    average: Literal["last", "epochs"] = "last",
    seed: int,
) -> Floats:
    """Probability of each class for each sample, shape (n, k), float64: rows of a file, or softmax of a model.

    A model trained here is the same for the same source, options and seed on the same machine type with the same
    versions, as any training is. Labels that shall be the same everywhere need the probabilities in a file.

    Args:
        source: What is asked; models learn its clean labels, and nothing of samples whose clean label is unknown.
        file: As ``read_given`` takes it, a row for each sample; None trains a model.
        model: Name of a model; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        epochs: Of training, with the recipe ``standard``.
        how: ``clean``: one model learns all samples and is asked about the same ones; ``cross_fitted``: five models,
            each asked only about the fifth that it has not learnt.
        average: The answers after the ``last`` epoch, or their mean over all ``epochs``.
        seed: Of the noise.

    Raises:
        BadUsage: A number of epochs or a model that cannot be meant, or a model beside a file.
        BadData: The file is not of these samples, or too few clean labels are known to learn from.
    """
    check_count(epochs, "epochs", most=MOST_EPOCHS)
    _check_size(source)
    if file is not None and model is not None:
        msg = f"the probabilities are given, so no model '{model}' is trained; leave out one of the two"
        raise BadUsage(msg)
    if file is not None:
        from noisybench.variants.sample_files.values import read_given

        return read_given(file, clean_variant(source), "pred_probs", sample_names=source.sample_names).values.astype(
            np.float64
        )
    n, known = len(source.labels), np.flatnonzero(source.clean >= 0)
    result = np.empty((n, source.num_classes))
    splits = [(known, np.arange(n))] if how == "clean" else _splits(source, FOLDS, derive(seed, "folds"))
    with _classroom(source, model) as room:
        for number, (learnt, asked) in enumerate(splits):
            own = derive(seed, "teacher", number)
            result[asked] = room.answers(learnt, asked, epochs=epochs, average=average, seed=own)
    return result


def rater_law(
    source: Source, *, raters: int, model: str | None, epochs: int, answers: Literal["sample", "argmax"], seed: int
) -> Floats:
    """P(label) of each sample when one of a pool of weak raters is drawn and labels it, shape (n, k), float64.

    A rater is a way to train, and two models: each learns one random half and labels the other. Raters differ in their
    halves, in the share of a half that they learn from (all of it to a sixteenth, evenly in its logarithm) and in their
    epochs (drawn from 1 to ``epochs``).

    Args:
        source: What is labelled.
        raters: How many.
        model: As in ``class_probabilities``.
        epochs: The most.
        answers: A rater's label is drawn from its softmax (``sample``), or is its likeliest class (``argmax``).
        seed: Of the noise.

    Raises:
        BadUsage: A number or a model that cannot be meant.
        BadData: Too few clean labels are known to learn from.
    """
    check_count(epochs, "epochs", most=MOST_EPOCHS)
    check_count(raters, "raters", most=MOST_RATERS)
    _check_size(source)
    total = np.zeros((len(source.labels), source.num_classes))
    diligence = uniforms(seed, "rater-epochs", raters)
    with _classroom(source, model) as room:
        for rater in range(raters):
            share, most = LEAST_SHARE ** (rater / max(1, raters - 1)), 1 + int(diligence[rater] * epochs)
            for half, (learnt, asked) in enumerate(_splits(source, 2, derive(seed, "halves", rater))):
                own = derive(seed, "rater", rater, half)
                few = permutation(own, "share", len(learnt))[: max(LEAST_LEARNT, round(share * len(learnt)))]
                found = room.answers(learnt[np.sort(few)], asked, epochs=most, average="last", seed=own)
                total[asked] += found if answers == "sample" else np.eye(source.num_classes)[found.argmax(1)]
    return total / raters


def _check_size(source: Source) -> None:
    n, k = len(source.labels), source.num_classes
    check_room(n, k, "a probability of each class for each sample", "take a noise of the classes, such as symmetric")


def clean_variant(source: Source) -> Variant:
    """The clean labels as a label column, the given ones where they are unknown."""
    labels = np.where(source.clean < 0, source.labels, source.clean)
    return build_variant(replace(source, labels=labels), find("noises", "as_found")())


def _splits(source: Source, folds: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """For each fold who is learnt, outside of it and of known class, and who is asked, within it."""
    fold = np.empty(len(source.labels), dtype=np.int64)
    fold[permutation(seed, "folds", len(fold))] = np.arange(len(fold)) % folds
    for number in range(min(folds, len(fold))):
        yield np.flatnonzero((fold != number) & (source.clean >= 0)), np.flatnonzero(fold == number)


class _Classroom:
    """Inputs, labels and a way to train, for models that learn some samples and are asked about others."""

    def __init__(self, source: Source, variant: Variant, plan: "Plan", data: "Inputs") -> None:
        self.source, self.variant, self.plan, self.data = source, variant, plan, data

    def answers(
        self, learnt: Indices, asked: Indices, *, epochs: int, average: Literal["last", "epochs"], seed: int
    ) -> Floats:
        """Rounded softmax of a fresh model about ``asked``, shape (a, k), after it was trained on ``learnt``."""
        import torch

        from noisybench.training.loop import RunInProgress
        from noisybench.training.model import build_model

        if len(learnt) < LEAST_LEARNT:
            msg = (
                f"source '{self.source.name}' leaves a model {len(learnt)} samples of known class to learn from, expected "
                f"at least {LEAST_LEARNT}; give the probabilities in a file"
            )
            raise BadData(msg)
        torch.manual_seed(derive(seed, "weights"))
        model = build_model(self.plan.build, self.source, self.data)
        subset = self.data.subset(learnt)
        recipe = replace(self.plan.recipe, epochs=epochs)
        run = RunInProgress(self.source, self.variant, recipe, model, subset, seed)
        run.labels = run.labels[torch.tensor(learnt)]
        total = np.zeros((len(asked), self.source.num_classes))
        for epoch in range(1, epochs + 1):
            run.epoch(epoch, None)
            if average == "epochs" or epoch == epochs:
                total += self._ask(model, asked)
        return np.round(total / (epochs if average == "epochs" else 1), DIGITS)

    def _ask(self, model: Any, asked: Indices) -> Floats:  # noqa: ANN401 - a module, imported later
        import torch

        from noisybench.training.loop import EVALUATION_BATCH
        from noisybench.training.observing import evaluating

        with torch.no_grad(), evaluating(model, seed=0, device=self.data.device):
            parts = [model(self.data.batch(part)) for part in torch.tensor(asked).split(EVALUATION_BATCH)]
            softmax: Floats = torch.cat(parts).double().softmax(1).numpy()
        return softmax


def check_teachable(source: Source) -> None:
    """Raise ``BadUsage`` for a source of labels alone, from which no model can learn."""
    inputs_of(
        source, "a noise that trains models", f"give what they would say, --set probabilities=FILE, or {LABELS_ALONE}"
    )


@contextmanager
def _classroom(source: Source, model: str | None) -> Iterator[_Classroom]:
    """A classroom on the CPU, in one thread, that leaves torch's generators as they were."""
    import torch

    from noisybench.training.batches import Inputs
    from noisybench.training.machine import deterministic_torch
    from noisybench.training.plan import plan_run

    check_teachable(source)
    source = untested(source)
    device = torch.device("cpu")
    plan = plan_run(source, model=model, device="cpu")
    with deterministic_torch(device, 1):
        yield _Classroom(source, clean_variant(source), plan, Inputs(source.inputs, device))
