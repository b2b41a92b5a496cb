"""Confusion noise: classes become those that a trained model takes them for, as often as it does."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_choice, check_count, check_rate
from noisybench.noise.class_probabilities import known_chances, rated
from noisybench.noise.teacher import MOST_EPOCHS, How, class_probabilities
from noisybench.variants.flipping import Mode, flip_by_class, law_of_labels, transition_of
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import (
    AnyTransition,
    count_pairs,
    count_transitions,
    is_large,
    off_diagonal,
    row_sums,
)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Draw each label from the row of its clean class in the confusion matrix of a model.

    T[i, j] is the share of the samples of clean class i whose likeliest class is j. With a ``rate``, the chance of a
    wrong label of each class is multiplied by one number, up to chance 1, so that its mean over all samples is the rate;
    which wrong class it is stays as it was.

    Attributes:
        rate: Expected share of wrong labels, in the exact modes the share; None keeps the model's own.
        probabilities: A file of class probabilities, a row for each sample; None trains models on the clean labels.
        model: What is trained; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        epochs: Of training.
        how: ``cross_fitted``: five models, each asked about the fifth that it has not learnt; ``clean``: one model is
            asked about what it has learnt, and is wrong much less often.

    Source: Goswami et al. 2023, arXiv:2306.09467. Deviations: cross-fitting and the rate; the published code
    draws from the transpose.
    """

    rate: float | None = None
    probabilities: Path | None = None
    model: str | None = None
    epochs: int = 10
    how: How = "cross_fitted"
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rate is not None:
            object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "epochs", check_count(self.epochs, "epochs", most=MOST_EPOCHS))
        check_choice(self.how, "how", get_args(How))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        clean = source.clean
        probabilities = class_probabilities(
            source, file=self.probabilities, model=self.model, epochs=self.epochs, how=self.how, seed=seed
        )
        wrong = mistakes(probabilities, clean)
        chance = row_sums(wrong)
        targets = law_of_labels(wrong)
        if self.rate is not None:
            known = clean != UNKNOWN
            chance[clean[known]] = rated(chance[clean], clean, self.rate)[known]
        labels, selected = flip_by_class(
            source.labels, clean, chance, targets, by_class=self.rate is None, seed=seed, mode=mode
        )
        return Draw(
            labels=labels,
            flip_probability=known_chances(chance[clean], clean),
            transition=transition_of(chance, targets),
            selected=selected,
            rate_definition="none" if self.rate is None else "effective",
        )


def mistakes(probabilities: Floats, clean: Labels) -> AnyTransition:
    """Share of the samples of class i whose likeliest class is j, shape (k, k), zero where j is i or i is empty."""
    known = clean != UNKNOWN
    answers, k = probabilities[known].argmax(1), probabilities.shape[1]
    if is_large(k):
        pairs = count_pairs(answers, clean[known], k)
        return off_diagonal(pairs.divided(np.maximum(pairs.row_sums(), 1)))
    counts = count_transitions(answers, clean[known], k)
    shares: Floats = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    return shares


NOISE: type[Noise] = Confusion
