"""How flips depend on the input: against a difficulty of each sample, and against what a model takes it for."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats
from noisybench.ground.errors import BadData
from noisybench.statistics.detection_metrics import auroc, auroc_within_class
from noisybench.statistics.intervals import NOTHING, Estimate, wilson
from noisybench.statistics.ranking import rank
from noisybench.variants.variant import Variant

BINS = 20
SMALLEST_BIN = 10  # samples; fewer make no share


class Bin(NamedTuple):
    """Samples of neighbouring difficulty.

    Attributes:
        low: Least difficulty among them.
        high: Greatest.
        n: How many.
        rate: Share of wrong labels with its interval by Wilson; samples of equal difficulty count alike.
        expected: Mean flip probability; NaN for a noise without a law.
    """

    low: float
    high: float
    n: int
    rate: Estimate
    expected: float


@dataclass(frozen=True, slots=True)
class Dependence:
    """How the wrong labels of a variant are spread over a difficulty.

    Attributes:
        n: Samples of which it is known whether they are wrong, and how difficult; the others are left out.
        auroc: Of the difficulty as a score for "wrong": 0.5 where flips do not care for it.
        auroc_within_class: Its mean over the clean classes: what is left when some classes are harder and noisier.
        bins: Equally many samples each, from the easiest to the hardest.
    """

    n: int
    auroc: Estimate
    auroc_within_class: Estimate
    bins: tuple[Bin, ...]


def against_difficulty(variant: Variant, difficulty: Floats) -> Dependence:
    """How the wrong labels are spread over ``difficulty``, shape (n,), higher is harder; NaN where it is unknown.

    Raises:
        BadData: It is not one number a sample.
    """
    if difficulty.shape != variant.labels.shape:
        msg = f"difficulties have shape {difficulty.shape}, the variant has {len(variant.labels)} samples"
        raise BadData(msg)
    used = np.flatnonzero(variant.known & ~np.isnan(difficulty))
    values, wrong, clean = difficulty[used], variant.mislabeled[used], variant.clean[used]
    both = bool(wrong.any()) and not wrong.all()
    law = np.full(len(used), np.nan)
    if variant.flip_probability is not None:  # the noise has left alone what was wrong before
        law = np.where(variant.class_known, variant.flip_probability, 1.0)[used]
    _, ties = np.unique(values, return_inverse=True)
    sizes = np.bincount(ties)
    rates, laws = (np.bincount(ties, column)[ties] / sizes[ties] for column in (wrong, law))
    parts = np.array_split(np.argsort(values, kind="stable"), max(1, min(BINS, len(used) // SMALLEST_BIN)))
    bins = [
        Bin(
            low=float(values[part[0]]),
            high=float(values[part[-1]]),
            n=len(part),
            rate=wilson(float(rates[part].mean()), len(part)),
            expected=float(laws[part].mean()),
        )
        for part in parts
        if len(part)
    ]
    ranking = rank(values, wrong, clean) if both else None
    return Dependence(
        n=len(used),
        auroc=auroc(ranking) if ranking else NOTHING,
        auroc_within_class=auroc_within_class(ranking) if ranking else NOTHING,
        bins=tuple(bins),
    )


def second_choice_share(variant: Variant, probabilities: Floats) -> Estimate:
    """Share of the wrong labels that name the second most likely class of ``probabilities`` (n, k), by Wilson.

    Raises:
        BadData: They are not one number a sample and class.
    """
    n, k = len(variant.labels), variant.num_classes
    if probabilities.shape != (n, k):
        msg = f"probabilities have shape {probabilities.shape}, the variant needs ({n}, {k})"
        raise BadData(msg)
    wrong = np.flatnonzero(variant.mislabeled)
    if not wrong.size:
        return NOTHING
    second = np.argpartition(probabilities[wrong], -2, axis=1)[:, -2]
    return wilson(float((second == variant.labels[wrong]).mean()), len(wrong))
