"""Legacy: part-dependent noise as its authors published it, on raw pixels and with an uncalibrated rate."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from noisybench.data.inputs import AnyInputs
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import normals, uniforms
from noisybench.noise.class_structure import check_vectors
from noisybench.variants.flipping import Mode, flip_by_law
from noisybench.variants.noise import LABELS_ALONE, Draw, Noise, require_mode

_DEVIATION = 0.1
_BLOCK = 1024  # rows whose float64 copy is held at a time


@dataclass(frozen=True, slots=True)
class XiaRaw:
    """Give each sample its own chance of a wrong label, and a wrong class by softmax(x W_y) of the raw input.

    The chance is a normal of centre ``centre`` and deviation 0.1 truncated to [0, 1]; x is the input as it is, 0 to 255
    for images; W_y is one standard normal matrix for each clean class. Same law as published, other random numbers:
    theirs come from three global generators and a product in float32 on a GPU. Drawn in mode ``bernoulli`` only.
    ``instance`` is the noise that was meant.

    Attributes:
        centre: What the paper calls the noise rate. It is the centre of a truncated normal and not the share of wrong
            labels: 0.05 gives 0.101, 0.1 gives 0.129, 0.2 gives 0.206, 0.4 gives 0.4, 0.9 gives 0.871.

    Defects: the centre is not the rate. Raw pixels make products so large that one wrong class takes all, and share a
    mean so large that it is mostly the same for all samples of a class: the noise is almost class-conditional. Who is
    flipped does not depend on the input.

    Source: Xia et al. 2020, arXiv:2006.07836, algorithm 2. Inputs and centre as in their public code, ``tools.py``.
    """

    centre: float = 0.2
    found: ClassVar[bool] = False
    rounded: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("bernoulli",)

    def __post_init__(self) -> None:
        if not 0 <= self.centre <= 1:
            msg = f"centre must lie in [0, 1], got {self.centre:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        inputs = inputs_of(source, "noise 'xia_raw'", LABELS_ALONE)
        require_mode("xia_raw", mode, self.modes)
        known = source.clean != UNKNOWN
        chance = truncated_normals(self.centre, uniforms(seed, "chance", len(known)))
        selected = known & (uniforms(seed, "select", len(known)) < chance)
        laws = raw_laws(inputs, source.clean, selected, source.num_classes, seed=seed)
        return Draw(
            labels=flip_by_law(source.labels, source.clean, laws, seed=seed),
            flip_probability=np.where(known, chance, np.nan),
            selected=selected,
        )


def truncated_normals(centre: float, uniform: Floats) -> Floats:
    """Draws of a normal of deviation 0.1 truncated to [0, 1] by its inverse distribution function: (n,) → (n,)."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-centre / _DEVIATION), ndtr((1 - centre) / _DEVIATION)
    values: Floats = np.clip(centre + _DEVIATION * ndtri(low + uniform * (high - low)), 0, 1)
    return values


def raw_laws(
    inputs: AnyInputs, clean: Labels, selected: NDArray[np.bool_], num_classes: int, *, seed: int
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Blocks of selected samples (m,) with the weights of their wrong labels (m, k), zero for the own class."""
    d = int(np.prod(inputs.shape[1:]))
    check_vectors(num_classes, d, "xia_raw")
    for origin in np.unique(clean[selected]):
        members = np.flatnonzero(selected & (clean == origin))
        parts = normals(seed, f"parts-{origin}", num_classes * d).reshape(num_classes, d)
        for block in np.split(members, range(_BLOCK, len(members), _BLOCK)):
            logits = inputs[block].reshape(len(block), d).astype(np.float64) @ parts.T
            logits[:, origin] = -np.inf
            yield block, np.exp(logits - logits.max(1, keepdims=True))


NOISE: type[Noise] = XiaRaw
