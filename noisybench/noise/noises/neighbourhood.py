"""Neighbourhood noise: a sample whose nearest neighbours are of other classes is given one of these."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from noisybench.data.extraction import features_of
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_rate, whole
from noisybench.ground.errors import BadUsage
from noisybench.statistics.neighbour_index import IndexName, as_index
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.variants.flipping import Mode, flip_by_law, select, sum_to
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise

_BLOCK = 4096  # samples whose laws are given at a time


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Give a share ``rate`` of the labels a class of their nearest neighbours, more often where these disagree.

    Let v be the shares of the clean labels among the k nearest other samples by cosine, and y the clean label. The chance
    of a wrong label is min(1, c (1 - v_y)), with the one c for which its mean is the rate; which wrong class it is,
    follows v without v_y. Where all neighbours are of class y the chance is 0. A duplicate of a sample is a neighbour of
    it; samples whose clean label is unknown are none.

    With m imaginary neighbours (``smoothing``), whose labels are spread evenly over all classes, v becomes
    (k v + m / classes) / (k + m), and no chance is 0.

    Attributes:
        rate: Share of wrong labels, in the exact modes to the nearest number.
        k: Neighbours; all others where there are no more.
        features: In which they are near: ``input``, or the name of frozen features, such as ``pca`` or
            ``torchvision:resnet18``.
        smoothing: Imaginary neighbours m. None takes 0 where enough samples have a neighbour of another class for the
            rate, else 1.
        index: ``hnsw`` finds nearly all neighbours of many samples sooner, with the extra ``index``; None compares all pairs.

    Source: none; defined here. The share of disagreeing neighbours is the hardness kDN of Smith et al. 2014, An instance
    level analysis of data complexity, Machine Learning 95.
    """

    rate: float
    k: int = 20
    features: str = "input"
    smoothing: float | None = None
    index: IndexName | None = None
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        object.__setattr__(self, "k", whole(self.k, "k", least=1))
        if self.smoothing is not None and not 0 <= self.smoothing < np.inf:
            msg = f"smoothing must be a number of imaginary neighbours, 0 or more, got {self.smoothing:g}"
            raise BadUsage(msg)
        as_index(self.index)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        inputs_of(source, "noise 'neighbourhood'", LABELS_ALONE)
        clean, known = source.clean, np.flatnonzero(source.clean != UNKNOWN)
        features = features_of(source, self.features)[known]
        k = min(self.k, len(known) - 1)
        shares = neighbour_labels(features, clean[known], source.num_classes, k, index=self.index)
        chance = np.full(len(clean), np.nan)
        chance[known], smoothing = ambiguous_chances(shares, clean[known], self.rate, k=k, smoothing=self.smoothing)
        selected = select(np.nan_to_num(chance), clean, by_class=False, seed=seed, mode=mode)
        laws = neighbour_laws(shares, clean[known], selected[known], smoothing / k)
        return Draw(
            labels=flip_by_law(source.labels, clean, ((known[part], law) for part, law in laws), seed=seed),
            flip_probability=chance,
            selected=selected,
            rate_definition="effective",
        )


def ambiguous_chances(
    shares: NDArray[np.float32], clean: Labels, rate: float, *, k: int, smoothing: float | None
) -> tuple[Floats, float]:
    """Chances min(1, c (1 - v_y)) whose mean is ``rate``, shape (n,), and the smoothing that was taken.

    Args:
        shares: v, shape (n, classes).
        clean: y, shape (n,).
        rate: Of all n.
        k: Neighbours.
        smoothing: Imaginary neighbours; None takes 0 where that reaches the rate, else 1.

    Raises:
        BadUsage: Too few samples have a neighbour of another class.
    """
    n, classes = shares.shape
    others = np.maximum(1 - shares[np.arange(n), clean].astype(np.float64), 0)
    # The shares are sums of float32: what is not zero by more than their rounding is at least part of a neighbour.
    others[others < 1e-6] = 0.0  # noqa: PLR2004
    able = int((others > 0).sum())
    short = rate * n > able + 1e-6
    if smoothing is None:
        smoothing = 1.0 if short else 0.0
    if smoothing == 0 and short:
        msg = (
            f"rate {rate:g} is out of reach: {able} of {n} samples have a neighbour of another class; lower the rate, or "
            f"say --set smoothing=1"
        )
        raise BadUsage(msg)
    weights = (k * others + smoothing * (1 - 1 / classes)) / (k + smoothing)
    return sum_to(weights, rate * n), smoothing


def neighbour_laws(
    shares: NDArray[np.float32], clean: Labels, selected: NDArray[np.bool_], pseudo: float
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Blocks of selected samples (m,) with the weights of their wrong labels (m, classes), zero for the own class."""
    chosen = np.flatnonzero(selected)
    for block in np.split(chosen, range(_BLOCK, len(chosen), _BLOCK)):
        weights = shares[block].astype(np.float64) + pseudo / shares.shape[1]
        weights[np.arange(len(block)), clean[block]] = 0.0
        yield block, weights


NOISE: type[Noise] = Neighbourhood
