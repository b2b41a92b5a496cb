"""Part-dependent noise: each input has its own chance of a wrong label, and its own law of which."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi, sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import IMAGE_DIMENSIONS, AnyInputs
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import normals, uniforms
from noisybench.noise.class_structure import check_vectors
from noisybench.noise.moments import feature_moments
from noisybench.variants.flipping import Mode, flip_by_law, select, sum_to
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise

_DEVIATION = 0.1  # of the chances of a flip, as in the paper
_BLOCK = 4096  # samples whose laws are given at a time
_CHUNK = 128  # rows whose float64 copy stays in the cache; 64 to 256 took the same time, 512 a third more
# Multiply-adds up to which OpenBLAS multiplies without packing: half the time on AVX-512, no loss on AVX2 kernels.
_SMALL_PRODUCT = 1_000_000
_FEWEST = 16  # rows below which a small product does not pay


@dataclass(frozen=True, slots=True)
class Instance:
    """Give a share ``rate`` of the labels a class drawn from a law of their own input.

    A sample's chance q of a wrong label is drawn from a normal of deviation 0.1 truncated to [0, 1], whose centre is
    chosen so that its mean is ``rate`` (the paper's is not: 0.129 for 0.1). Which wrong class it is follows
    softmax(x W_y / temperature) over the classes other than y, with one standard normal matrix W_y for each clean class.

    Inputs are standardised, so that the law follows the input and not a mean that all inputs share, and scaled to unit
    length, so that the logits have unit variance whatever the size of the image. An image loses the mean of each of its
    own channels: nothing of its law depends on other images. A feature is standardised over the samples of the source.

    Attributes:
        rate: Expected share of wrong labels; in the exact modes the share.
        temperature: Above 1 the wrong classes become more alike, below 1 the likeliest takes more.

    Source: Xia et al. 2020, arXiv:2006.07836, algorithm 2. Deviations: the calibrated centre, the standardisation, and
    in the exact modes sampling with probability proportional to q.
    """

    rate: float
    temperature: float = 1.0
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        if not 0 < self.temperature < np.inf:
            msg = f"temperature must be a positive number, got {self.temperature:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        inputs = inputs_of(source, "noise 'instance'", LABELS_ALONE)
        clean = source.clean
        chance = flip_chances(self.rate, uniforms(seed, "chance", len(clean)))
        chance[clean == UNKNOWN] = 0.0
        if mode != "bernoulli":
            # The mean of finitely many chances is not yet the rate.
            by_class = mode == "exact_per_class"
            for k in np.unique(clean[clean != UNKNOWN]) if by_class else [None]:
                members = np.flatnonzero(clean != UNKNOWN if k is None else clean == k)
                chance[members] = sum_to(chance[members], self.rate * len(members))
        selected = select(chance, clean, by_class=False, seed=seed, mode=mode)
        laws = wrong_laws(inputs, clean, selected, source.num_classes, self.temperature, seed=seed)
        return Draw(
            labels=flip_by_law(source.labels, clean, laws, seed=seed),
            flip_probability=np.where(clean == UNKNOWN, np.nan, chance),
            selected=selected,
            rate_definition="effective",
        )


def flip_chances(rate: float, uniform: Floats) -> Floats:
    """Chances of a flip: (n,) uniforms → (n,) draws of a normal truncated to [0, 1] whose mean is ``rate``."""
    from scipy.optimize import brentq
    from scipy.special import erfcx, log_ndtr, ndtri_exp

    if rate > 0.5:  # noqa: PLR2004 - the mirror image; below one half the upper tail is the accurate one
        return 1 - flip_chances(1 - rate, 1 - uniform)
    if rate < 1e-6:  # noqa: PLR2004 - the centre lies so far out that the root is lost to rounding
        return np.full_like(uniform, rate)

    def mean(centre: float) -> float:
        low, high = -centre / _DEVIATION, (1 - centre) / _DEVIATION
        beyond = np.exp(log_ndtr(-high) - log_ndtr(-low))
        hazard_low, hazard_high = sqrt(2 / pi) / erfcx(np.array([low, high]) / sqrt(2))
        return float(centre + _DEVIATION * (hazard_low - beyond * hazard_high) / (1 - beyond))

    # Far below zero the truncated normal is an exponential of mean deviation² / |centre|.
    centre = brentq(lambda centre: mean(centre) - rate, -1 - 2 * _DEVIATION**2 / rate, 0.6, xtol=1e-12)
    low, high = -centre / _DEVIATION, (1 - centre) / _DEVIATION
    inner = np.clip(uniform, 2.0**-54, 1 - 2.0**-53)
    survival = np.logaddexp(log_ndtr(-low) + np.log1p(-inner), log_ndtr(-high) + np.log(inner))
    chances: Floats = np.clip(centre - _DEVIATION * ndtri_exp(survival), 0, 1)
    return chances


def wrong_laws(
    inputs: AnyInputs,
    clean: Labels,
    selected: NDArray[np.bool_],
    num_classes: int,
    temperature: float = 1.0,
    *,
    seed: int,
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Blocks of selected samples (m,) with the weights of their wrong labels (m, k), zero for the own class.

    Class by class, so that one matrix serves a whole block, and a block at a time, so that the (n, d) floats never exist
    and no (n, k) is held. Centring and scaling are done on the k products, not on the d inputs: with sums exact in
    float64 that is the same number and a quarter of the time.

    Args:
        inputs: Images (n, h, w, c) uint8 or features (n, d) float32.
        clean: Clean labels, shape (n,).
        selected: Who needs a law, shape (n,).
        num_classes: k.
        temperature: Divides the logits.
        seed: Of the noise.
    """
    images = inputs.ndim == IMAGE_DIMENSIONS
    d = int(np.prod(inputs.shape[1:]))
    check_vectors(num_classes, d, "instance")
    channels = np.tile(np.eye(inputs.shape[-1]), d // inputs.shape[-1]) if images else np.empty((0, d))
    pixels = d // max(len(channels), 1)
    mean, deviation = (np.zeros(1), np.ones(1)) if images else feature_moments(inputs)
    for k in np.unique(clean[selected]):
        members = np.flatnonzero(selected & (clean == k))
        parts = normals(seed, f"parts-{k}", num_classes * d).reshape(num_classes, d)
        both = np.concatenate([parts, channels])
        of_means = parts @ channels.T / pixels
        for block in np.split(members, range(_BLOCK, len(members), _BLOCK)):
            products, squares = _products(inputs, block, both, mean, deviation)
            sums = products[num_classes:]
            squares -= np.square(sums).sum(0) / pixels
            # A blank image has no direction: all wrong classes are then alike.
            length = np.sqrt(np.where(squares > 0, squares, np.inf))
            logits = ((products[:num_classes] - of_means @ sums) / length).T
            logits[:, k] = -np.inf
            # Divided last: near temperature zero only differences from the likeliest may grow beyond all bounds.
            with np.errstate(over="ignore"):
                yield block, np.exp((logits - logits.max(1, keepdims=True)) / temperature)


def _products(
    inputs: AnyInputs, members: NDArray[np.intp], matrix: Floats, mean: Floats, deviation: Floats
) -> tuple[Floats, Floats]:
    """Products of the members' standardised rows with those of ``matrix``, (r, m), and their squared lengths, (m,)."""
    products = np.empty((len(members), len(matrix)))
    squares = np.empty(len(members))
    small = _SMALL_PRODUCT // matrix.size
    size = small if small >= _FEWEST else _CHUNK
    for start in range(0, len(members), size):
        chunk = slice(start, start + size)
        rows = inputs[members[chunk]].reshape(-1, matrix.shape[1]).astype(np.float64)
        if inputs.ndim != IMAGE_DIMENSIONS:
            rows = (rows - mean) / deviation
        products[chunk] = rows @ matrix.T
        squares[chunk] = np.vecdot(rows, rows)
    return products.T, squares


NOISE: type[Noise] = Instance
