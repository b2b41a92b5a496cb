"""Bounded instance noise: the chance of a wrong label is a logistic function of the input, below a bound."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.inputs import IMAGE_DIMENSIONS, AnyInputs
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import normals
from noisybench.noise.class_structure import class_structure, wrong_labels
from noisybench.noise.moments import feature_moments
from noisybench.variants.flipping import Mode, select
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise

_CHUNK = 128  # rows whose float64 copy stays in the cache


_COLDEST = 1e-6  # below it the mean of the chances can no longer be brought to the rate


@dataclass(frozen=True, slots=True)
class BoundedInstance:
    """Give a share ``rate`` of the labels a wrong class, with a chance that is a logistic function of the input.

    The chance of sample x of class y is r_y sigmoid(x w_y / temperature + b), with one standard normal vector w_y for each
    class, and the one b for which the mean chance is the rate. No chance reaches its bound r_y. Inputs are standardised
    as in ``instance``: an image loses the mean of each of its own channels, a feature is standardised over the samples of
    the source, and both are scaled to unit length, so that x w_y has unit variance over draws of w_y.

    Attributes:
        rate: Share of wrong labels, in the exact modes to the nearest number; must be less than the mean bound.
        bound: r_y, the same for all classes; with a matrix, the greatest of them. Up to 0.5, two classes never have chances that
            sum to more than one, which is what the paper asks for.
        temperature: Above 1 the chances become more alike, below 1 they near zero and the bound.
        matrix: A transition matrix: r_y is proportional to its chance of a wrong label in class y, and which one is
            drawn from its row; a file as of ``transition``. None takes all wrong classes as equally likely.

    Source: Cheng et al. 2020, arXiv:1709.03768. Deviations: more than two classes, inputs of unit length, and b, which
    meets a rate.
    """

    rate: float
    bound: float = 0.5
    temperature: float = 1.0
    matrix: Path | None = None
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        if not 0 < self.bound <= 1:
            msg = f"bound must lie in (0, 1], got {self.bound:g}"
            raise BadUsage(msg)
        if not _COLDEST <= self.temperature < np.inf:
            msg = f"temperature must be a number from {_COLDEST:g} on, got {self.temperature:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        inputs = inputs_of(source, "noise 'bounded_instance'", LABELS_ALONE)
        clean, known = source.clean, source.clean != UNKNOWN
        classes = class_structure(source, 0.0, "symmetric", self.matrix)
        chance = np.full(len(clean), np.nan)
        bounds = self.bound * classes.weights / max(classes.weights.max(), 1e-300)
        products = own_products(inputs, clean, seed=seed)[known] / self.temperature
        chance[known] = bounded_chances(products, bounds[clean[known]], self.rate)
        selected = select(np.where(known, chance, 0.0), clean, by_class=False, seed=seed, mode=mode)
        return Draw(
            labels=wrong_labels(source.labels, clean, selected, classes.targets, seed=seed, mode=mode),
            flip_probability=chance,
            selected=selected,
            rate_definition="effective",
        )


def bounded_chances(products: Floats, bounds: Floats, rate: float) -> Floats:
    """Chances bounds * sigmoid(products + b), shape (n,), with the b for which their mean is ``rate``.

    Raises:
        BadUsage: The mean bound is not above the rate.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    if rate == 0 or not len(products):
        return np.zeros_like(products)
    highest = float(bounds.mean())
    if rate >= highest:
        msg = f"rate {rate:g} is out of reach: chances stay below a bound whose mean is {highest:g}; say --set bound=…"
        raise BadUsage(msg)
    share = rate / highest
    offset = np.log(share) - np.log1p(-share)
    # The mean is too low where every product has the least sigmoid, too high where every one has the greatest.
    low, high = offset - products.max() - 1e-9, offset - products.min() + 1e-9
    b = brentq(lambda b: float((bounds * expit(products + b)).mean()) - rate, low, high, xtol=1e-13, rtol=1e-14)
    chances: Floats = bounds * expit(products + b)
    return chances


def own_products(inputs: AnyInputs, clean: Labels, *, seed: int) -> Floats:
    """Product of each standardised input with the vector of its class, shape (n,), NaN where the class is unknown.

    Class by class and a few rows at a time, so that neither the (n, d) floats nor a (k, d) matrix exist.
    """
    images = inputs.ndim == IMAGE_DIMENSIONS
    d = int(np.prod(inputs.shape[1:]))
    mean, deviation = (np.zeros(1), np.ones(1)) if images else feature_moments(inputs)
    result = np.full(len(inputs), np.nan)
    for k in np.unique(clean[clean != UNKNOWN]):
        members = np.flatnonzero(clean == k)
        vector = normals(seed, f"vector-{k}", d)
        for chunk in np.split(members, range(_CHUNK, len(members), _CHUNK)):
            rows = inputs[chunk].astype(np.float64)
            rows = (rows - rows.mean((1, 2), keepdims=True) if images else (rows - mean) / deviation).reshape(-1, d)
            length = np.sqrt(np.vecdot(rows, rows))
            # A blank image has no direction.
            result[chunk] = np.vecdot(rows, vector) / np.where(length > 0, length, np.inf)
    return result


NOISE: type[Noise] = BoundedInstance
