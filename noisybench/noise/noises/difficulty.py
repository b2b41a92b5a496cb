"""Difficulty noise: class-conditional noise whose wrong labels fall on hard samples as closely as is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_choice, check_count, check_rate
from noisybench.noise.class_structure import Structure, check_structure, class_structure, wrong_labels
from noisybench.noise.difficulty_law import Within, check_auroc, check_one_origin, difficulty_of, follow, rank_samples
from noisybench.noise.teacher import MOST_EPOCHS
from noisybench.variants.flipping import Mode, select
from noisybench.variants.noise import Draw, Noise


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Give a share ``rate`` of the labels a wrong class, such that the wrong ones are the harder ones with a given AUROC.

    The chance of a wrong label is sigmoid(b + s t), where t is the rank of a sample's difficulty, b the number for which
    the mean chance is the rate, and s the number for which the expected AUROC of wrong labels against difficulty is
    ``auroc``: of a wrong and a right sample, how often the wrong one is the harder. With 0.5 it is plain class-conditional
    noise, above it the hard samples are wrong more often, below it the easy ones. Which wrong class it is, is drawn from
    the class structure alone.

    Within ``class`` (default), each class has the rate of the class structure, ranks are those in a class, and the AUROC
    is over pairs of one class. Within ``all``, ranks and pairs are over all samples; where the classes of the structure
    have one rate, a class then has a higher rate the harder it is.

    Attributes:
        rate: Share of wrong labels over all samples, in the exact modes to the nearest number.
        auroc: Expected AUROC of the wrong labels against difficulty. Published label sets have 0.50 to 0.92, those of
            people 0.60 to 0.70.
        structure: ``symmetric``, ``pair_flip``, or ``asymmetric`` with the map of the source.
        matrix: A transition matrix in place of it, whose rates are multiplied by one number; a file as of ``transition``.
        within: Where ranks and pairs are taken: in each ``class``, or over ``all`` samples.
        difficulty: A file of one number a sample, such as C-scores, or a ``memorization.parquet`` measured on the clean
            labels.
        lower_is_harder: The numbers of the file have the other sign, as C-scores do.
        probabilities: A file of class probabilities in place of it, a row for each sample: difficult is what has a low one
            for its clean class. None, and no other file, takes those of models trained here, each asked about the fifth
            that it has not learnt.
        model: What is trained; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        epochs: Of training.

    Source: none; defined here. C-scores: Jiang et al. 2021, arXiv:2002.03206.
    """

    rate: float
    auroc: float = 0.65
    structure: Structure = "symmetric"
    matrix: Path | None = None
    within: Within = "class"
    difficulty: Path | None = None
    lower_is_harder: bool = False
    probabilities: Path | None = None
    model: str | None = None
    epochs: int = 10
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "auroc", check_auroc(self.auroc))
        object.__setattr__(self, "epochs", check_count(self.epochs, "epochs", most=MOST_EPOCHS))
        check_choice(self.structure, "structure", get_args(Structure))
        check_choice(self.within, "within", get_args(Within))
        check_structure(self.structure, self.matrix)
        check_one_origin(self.difficulty, self.probabilities, self.model, lower_is_harder=self.lower_is_harder)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        clean, known = source.clean, source.clean != UNKNOWN
        classes = class_structure(source, self.rate, self.structure, self.matrix)
        difficulty = difficulty_of(
            source,
            file=self.difficulty,
            lower_is_harder=self.lower_is_harder,
            probabilities=self.probabilities,
            model=self.model,
            epochs=self.epochs,
        )
        ranking = rank_samples(difficulty[known], clean[known], classes.rates, within=self.within, alike=classes.alike)
        chance = np.full(len(clean), np.nan)
        (chance[known],) = follow(ranking, self.auroc, [(1.0, ranking.positions)])
        by_class = self.within == "class" or not classes.alike
        selected = select(np.where(known, chance, 0.0), clean, by_class=by_class, seed=seed, mode=mode)
        return Draw(
            labels=wrong_labels(source.labels, clean, selected, classes.targets, seed=seed, mode=mode),
            flip_probability=chance,
            selected=selected,
            rate_definition="effective",
        )


NOISE: type[Noise] = Difficulty
