"""The class structure of a noise: how the rate is shared among the classes, and which wrong class is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import find
from noisybench.ground.options import parse_options
from noisybench.variants.flipping import Mode, flip_by_class, law_of_labels, sum_to
from noisybench.variants.noise import Noise
from noisybench.variants.transitions import AnyTransition, is_large, off_diagonal, row_sums

Structure = Literal["symmetric", "pair_flip", "asymmetric"]


@dataclass(frozen=True, slots=True, eq=False)
class ClassStructure:
    """Rates and targets of the classes.

    Attributes:
        weights: What the rates are proportional to: the chances of the matrix, shape (k,).
        rates: Chance of a wrong label of a sample of each class, shape (k,); 0 for a class without samples.
        targets: Law of the wrong label of each class, rows that sum to one, shape (k, k).
        alike: Whether all classes that have samples have one rate.
    """

    weights: Floats
    rates: Floats
    targets: AnyTransition
    alike: bool


def check_structure(structure: str, matrix: Path | None) -> None:
    """Raise ``BadUsage`` where a structure is given twice."""
    if matrix is not None and structure != "symmetric":
        msg = f"the class structure is given twice, by {matrix.name} and as '{structure}'; leave out one of the two"
        raise BadUsage(msg)


def class_structure(
    source: Source, rate: float, structure: str = "symmetric", matrix: Path | None = None
) -> ClassStructure:
    """The structure of a class-conditional noise at ``rate``, which is the share of wrong labels over all samples.

    The rates of the classes are those of its transition matrix times one number, up to 1, for which their mean over the
    samples of known class is ``rate``.

    Args:
        source: Whose clean labels are meant.
        rate: Share of wrong labels.
        structure: Name of the class-conditional noise; ``asymmetric`` takes the map of the source.
        matrix: A file as of the noise ``transition``, in place of a name.

    Raises:
        BadUsage: Two structures, one that the source has not, or a rate for which too few samples can be wrong.
        BadData: The file holds no transition matrix of as many classes.
    """
    check_structure(structure, matrix)
    name, options = ("transition", {"matrix": str(matrix)}) if matrix is not None else (structure, {"rate": "1"})
    noise: Noise = parse_options(find("noises", name), options, what=f"noise '{name}'")
    transition = noise(source, seed=0, mode="bernoulli").transition
    if transition is None:
        msg = f"noise '{name}' has no transition matrix, which a class structure is"
        raise BadUsage(msg)
    wrong = off_diagonal(transition)
    weights = row_sums(wrong)
    targets = law_of_labels(wrong)
    clean = source.clean[source.clean != UNKNOWN]
    able = int((weights[clean] > 0).sum())
    if rate * len(clean) > able + 1e-6:
        msg = (
            f"rate {rate:g} is out of reach: {able} of {len(clean)} samples are of a class that can be wrong; lower it"
        )
        raise BadUsage(msg)
    present = np.unique(clean)
    alike = bool(np.ptp(weights[present]) < 1e-12) if present.size else True  # noqa: PLR2004 - rounding of a sum
    rates = np.zeros(len(weights))
    rates[clean] = rate if alike else sum_to(weights[clean], rate * len(clean))
    return ClassStructure(weights, rates, targets, alike)


def check_vectors(num_classes: int, d: int, noise: str) -> None:
    """Raise ``BadUsage`` where a noise that draws k vectors of each class would do so for minutes; of many classes alone."""
    k = num_classes
    if is_large(k) and k * k * d > MOST_NORMALS:
        msg = (
            f"noise '{noise}' draws a vector of {d} numbers for each of {k} × {k} pairs of classes, which takes minutes; "
            f"'bounded_instance' draws one for each class"
        )
        raise BadUsage(msg)


MOST_NORMALS = 1 << 28
"""Normals that may be drawn for the vectors of many classes, some twenty seconds of it."""


def wrong_labels(
    labels: Labels, clean: Labels, selected: NDArray[np.bool_], targets: AnyTransition, *, seed: int, mode: Mode
) -> Labels:
    """New labels, shape (n,): of the selected samples from the row of their class, of the others as they were.

    In mode ``exact_per_class`` the counts of each row are next to those expected of its selected samples.

    Args:
        labels: Labels kept where the clean one is unknown, shape (n,).
        clean: Clean labels, shape (n,), ``UNKNOWN`` allowed.
        selected: Who gets a wrong label, shape (n,); nobody whose clean label is unknown.
        targets: Law of the wrong label of each class, shape (k, k).
        seed: Of the noise.
        mode: See ``noisybench.variants.flipping``.
    """
    kept = np.where(clean == UNKNOWN, labels, clean)
    chosen = np.where(selected, clean, UNKNOWN)
    # To those selected the matrix is applied with certainty; the others keep what they have, like samples of no class.
    return flip_by_class(kept, chosen, np.ones(targets.shape[0]), targets, by_class=True, seed=seed, mode=mode)[0]
