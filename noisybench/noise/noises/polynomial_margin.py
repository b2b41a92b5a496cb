"""Polynomial-margin noise: the smaller the margin of the right class, the likelier its strongest rival is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats
from noisybench.ground.checks import check_choice, check_count, check_rate
from noisybench.noise.class_probabilities import known_chances, rated, strongest_wrong
from noisybench.noise.teacher import MOST_EPOCHS, How, class_probabilities
from noisybench.variants.flipping import Mode, select
from noisybench.variants.noise import Draw, Noise

Kind = Literal["I", "II", "III"]
# Margin d in [0, 1] → flip function. Products, not powers, whose last bit differs between machines.
FUNCTIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "I": lambda d: 0.5 - 0.5 * (d * d),
    "II": lambda d: 1 - d * d * d,
    "III": lambda d: 1 - (d * d * d + d * d + d) / 3,
}


@dataclass(frozen=True, slots=True)
class PolynomialMargin:
    """Give a share ``rate`` of the labels the strongest wrong class, more often where the margin is small.

    Let p be the class probabilities of a sample, y its clean class, s its likeliest other class and d = p_y − p_s, or 0
    where s is the likelier. The label becomes s with chance min(1, c f(d)), with one c for which the mean chance is the
    rate, and f(d) = ½ − ½ d² (type I), 1 − d³ (II) or 1 − (d³ + d² + d) / 3 (III).

    Attributes:
        rate: Expected share of wrong labels; in the exact modes the share.
        kind: I, II or III.
        probabilities: A file of class probabilities, a row for each sample; None trains a model on the clean labels.
        model: What is trained; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        epochs: Of training. More epochs make probabilities sharper, and the noise keep to fewer samples.
        how: ``clean``: the model is asked about what it has learnt, as in the paper; ``cross_fitted``: about the rest.

    Source: Zhang et al. 2021, arXiv:2103.07756. Deviations: the two classes are the clean one and its
    strongest rival, where the paper takes the model's two likeliest; the rate is met by c.
    """

    rate: float
    kind: Kind = "I"
    probabilities: Path | None = None
    model: str | None = None
    epochs: int = 10
    how: How = "clean"
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "epochs", check_count(self.epochs, "epochs", most=MOST_EPOCHS))
        check_choice(self.how, "how", get_args(How))
        check_choice(self.kind, "kind", get_args(Kind))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        clean = source.clean
        probabilities = class_probabilities(
            source, file=self.probabilities, model=self.model, epochs=self.epochs, how=self.how, seed=seed
        )
        target, rival, own = strongest_wrong(probabilities, clean)
        chance = rated(FUNCTIONS[self.kind](np.clip(own - rival, 0, 1)), clean, self.rate)
        selected = select(chance, clean, by_class=False, seed=seed, mode=mode)
        return Draw(
            labels=np.where(selected, target, np.where(clean == UNKNOWN, source.labels, clean)),
            flip_probability=known_chances(chance, clean),
            selected=selected,
            rate_definition="effective",
        )


NOISE: type[Noise] = PolynomialMargin
