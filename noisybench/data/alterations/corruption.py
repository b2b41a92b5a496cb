"""Covariate corruption: inputs that are damaged under labels that stay right."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.data.alteration import Alter, alterable, changed, check_how, choose
from noisybench.data.alterations._images import shifted, zoomed
from noisybench.data.inputs import IMAGE_DIMENSIONS, in_memory
from noisybench.data.source import Source
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import normals

_STRENGTH = {"gaussian": 0.5, "zoom": 1.75, "shift": 10.0}
_BLOCK = 1024  # samples whose noise is in memory at a time


@dataclass(frozen=True, slots=True)
class Corruption:
    """Damage a share ``rate`` of the inputs; labels and clean labels stay. The mark is ``corrupted``.

    Attributes:
        rate: Share of the samples.
        how: ``gaussian`` adds normal noise and clips to the range of the inputs, ``zoom`` enlarges the middle of an
            image, ``shift`` moves it down and to the right over black.
        strength: Deviation as a share of the largest input, magnification, or pixels; None takes 0.5, 1.75 or 10.

    Source: the categories of Seedat, Imrie and van der Schaar 2024, arXiv:2403.04551 (H-CAT), which also uses 0.1 for
    the deviation.
    """

    rate: float
    how: Literal["gaussian", "zoom", "shift"] = "gaussian"
    strength: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        check_how(self.how, tuple(_STRENGTH))
        least = {"zoom": 1.0, "shift": 0.5}.get(self.how, 0.0)  # half a pixel is rounded to none
        if self.strength is not None and not least < self.strength < np.inf:
            msg = f"strength of '{self.how}' must be a number above {least:g}, got {self.strength:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        del foreign
        before = in_memory(alterable(source), "alteration 'corruption'")
        if self.how != "gaussian" and before.ndim != IMAGE_DIMENSIONS:
            msg = f"corruption by {self.how} is of images, source '{source.name}' has columns; say how=gaussian"
            raise BadUsage(msg)
        strength = _STRENGTH[self.how] if self.strength is None else self.strength
        chosen = np.sort(choose(source, self.rate, "corruption", seed=seed))
        inputs = before.copy()
        for number, block in enumerate(np.split(chosen, range(_BLOCK, len(chosen), _BLOCK))):
            if self.how == "gaussian":
                inputs[block] = _noisy(before, block, strength, f"corruption/{number}", seed)
            elif self.how == "zoom":
                inputs[block] = zoomed(before[block], strength)
            else:
                inputs[block] = shifted(before[block], round(strength))
        return changed(source, inputs=inputs, marks={"corrupted": np.isin(np.arange(len(inputs)), chosen)})


def _noisy(inputs: NDArray[Any], block: NDArray[np.intp], strength: float, purpose: str, seed: int) -> NDArray[Any]:
    """Inputs of a block with noise, in the range that all inputs have."""
    values = inputs[block].astype(np.float64)
    low, high = float(inputs.min()), float(inputs.max())
    values += normals(seed, purpose, values.size).reshape(values.shape) * (strength * max(abs(low), abs(high)))
    values = np.clip(values, low, high)
    return (np.rint(values) if inputs.dtype == np.uint8 else values).astype(inputs.dtype)


ALTERATION: type[Alter] = Corruption
