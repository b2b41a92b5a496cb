"""Averaged-softmax noise: the samples that a model takes most for another class are given that class."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_choice, check_count, check_rate
from noisybench.ground.random_streams import uniforms
from noisybench.noise.class_probabilities import known_chances, out_of_reach, strongest_wrong
from noisybench.noise.teacher import MOST_EPOCHS, How, class_probabilities
from noisybench.variants.flipping import Mode, nearest_counts
from noisybench.variants.noise import Draw, Noise, require_mode


@dataclass(frozen=True, slots=True)
class AveragedSoftmax:
    """Give the share ``rate`` of the samples with the strongest wrong class that class.

    A sample's score is the mean, over the epochs of a training on the clean labels, of the probability of its likeliest
    wrong class. The highest scores are flipped: of all samples in mode ``exact``, in each class by itself in mode
    ``exact_per_class``. Nothing is left to chance but ties, so there is no mode ``bernoulli``, and a flip probability
    is 0 or 1.

    Attributes:
        rate: Share of wrong labels, to the nearest number of samples.
        probabilities: A file of averaged class probabilities, a row for each sample; None trains a model.
        model: What is trained; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        epochs: Of training, all of which are averaged.
        how: ``clean``: the model is asked about what it has learnt, as in the paper; ``cross_fitted``: about the rest.

    Source: Chen et al. 2021, arXiv:2012.05458. Deviations: small models; ties are drawn.
    """

    rate: float
    probabilities: Path | None = None
    model: str | None = None
    epochs: int = 10
    how: How = "clean"
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("exact", "exact_per_class")

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "epochs", check_count(self.epochs, "epochs", most=MOST_EPOCHS))
        check_choice(self.how, "how", get_args(How))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("averaged_softmax", mode, self.modes)
        clean, known = source.clean, source.clean != UNKNOWN
        probabilities = class_probabilities(
            source,
            file=self.probabilities,
            model=self.model,
            epochs=self.epochs,
            how=self.how,
            average="epochs",
            seed=seed,
        )
        target, score, _ = strongest_wrong(probabilities, clean)
        score[~known] = 0.0
        group = clean if mode == "exact_per_class" else np.where(known, 0, UNKNOWN)
        sizes = np.bincount(group[known], minlength=1)
        counts = nearest_counts(sizes * np.float64(self.rate), uniforms(seed, "select-ties", len(sizes)))
        order = np.lexsort((uniforms(seed, "select-order", len(clean)), -score, group))
        order = order[group[order] != UNKNOWN]
        rank = np.arange(len(order)) - (np.cumsum(sizes) - sizes)[group[order]]
        selected = np.zeros(len(clean), dtype=bool)
        selected[order] = rank < counts[group[order]]
        if not score[selected].all():
            raise out_of_reach(self.rate, score, clean)
        return Draw(
            labels=np.where(selected, target, np.where(known, clean, source.labels)),
            flip_probability=known_chances(selected.astype(np.float64), clean),
            selected=selected,
            rate_definition="effective",
        )


NOISE: type[Noise] = AveragedSoftmax
