"""Rater-pool noise: each label is given by one of several weak models, which has not learnt that sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_choice, check_count, check_rate
from noisybench.ground.errors import BadUsage
from noisybench.noise.class_probabilities import known_chances, rated
from noisybench.noise.teacher import MOST_EPOCHS, MOST_RATERS, class_probabilities, rater_law
from noisybench.variants.flipping import Mode, flip_by_law, select
from noisybench.variants.noise import Draw, Noise

Answers = Literal["sample", "argmax"]
_BLOCK = 4096  # samples whose laws are given at a time


@dataclass(frozen=True, slots=True)
class RaterPool:
    """Let one rater of a pool, drawn anew for each sample, give its label.

    A rater is a weak way to train and two models: each learns one random half of the clean labels and labels the other
    half. Raters differ in their halves, in the share of a half that they learn from and in their epochs. What is drawn is
    the rater and then its label at once, from the mean of the raters' laws for that sample.

    With a ``rate``, the chance q of a wrong label becomes min(1, c q), with one c for which its mean is the rate; which
    wrong class it is stays as it was. Below the pool's own rate, that is to let the raters label a share c of the
    samples; above it, samples that are rated wrong more often come up more often than the raters would have it.

    Attributes:
        rate: Expected share of wrong labels, in the exact modes the share; None keeps the raters' own.
        answers: A rater's label is drawn from its softmax (``sample``), or is its likeliest class (``argmax``).
        raters: How many; twice as many models are trained.
        probabilities: A file of the raters' mean law, a row for each sample, such as shares of votes; None trains raters.
        model: What is trained; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        epochs: The most that a rater trains.

    Source: Gu et al. 2021, arXiv:2107.11413. Deviations: small models of one architecture, two halves for each, no
    rater features; the rate is met by c.
    """

    rate: float | None = None
    answers: Answers = "sample"
    raters: int = 5
    probabilities: Path | None = None
    model: str | None = None
    epochs: int = 10
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rate is not None:
            object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "epochs", check_count(self.epochs, "epochs", most=MOST_EPOCHS))
        object.__setattr__(self, "raters", check_count(self.raters, "raters", most=MOST_RATERS))
        check_choice(self.answers, "answers", get_args(Answers))
        if self.probabilities is not None and self.answers != "sample":
            msg = f"answers={self.answers} is of raters that are trained here; the file of probabilities is their law already"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        clean, known = source.clean, source.clean != UNKNOWN
        law = self._law(source, seed)
        own = law[np.arange(len(law)), clean]
        total = law.sum(1)
        chance = np.where(known, np.clip((total - own) / total, 0, 1), 0.0)
        if self.rate is not None:
            chance = rated(chance, clean, self.rate)
        selected = select(chance, clean, by_class=self.rate is None, seed=seed, mode=mode)
        return Draw(
            labels=flip_by_law(source.labels, clean, wrong_laws(law, clean, selected), seed=seed),
            flip_probability=known_chances(chance, clean),
            selected=selected,
            rate_definition="none" if self.rate is None else "effective",
        )

    def _law(self, source: Source, seed: int) -> Floats:
        if self.probabilities is not None:
            return class_probabilities(source, file=self.probabilities, model=self.model, epochs=self.epochs, seed=seed)
        return rater_law(
            source, raters=self.raters, model=self.model, epochs=self.epochs, answers=self.answers, seed=seed
        )


def wrong_laws(law: Floats, clean: Labels, selected: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Blocks of selected samples (m,) with the weights of their wrong labels (m, k), zero for the own class."""
    chosen = np.flatnonzero(selected)
    for block in np.split(chosen, range(_BLOCK, len(chosen), _BLOCK)):
        weights = law[block]
        weights[np.arange(len(block)), clean[block]] = 0.0
        yield block, weights


NOISE: type[Noise] = RaterPool
