"""Labels drawn from human judgements: each as often as people gave it to that very sample, sharpened or blunted."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, Floats, Labels
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.noise.annotators import read_judgements
from noisybench.variants.flipping import Mode, flip_by_law, select
from noisybench.variants.noise import Draw, Noise

_COLDEST, _HOTTEST = 1e-6, 1e6


@dataclass(frozen=True, slots=True)
class Cifar10hSampling:
    """Draw each label from the share of judgements that its sample got, raised to 1 / temperature.

    At temperature 1 a label is one human judgement. Below 1 the majority wins more often, above 1 rare judgements become
    as likely as common ones; a class that nobody gave is never given.

    Attributes:
        judgements: How often people gave each class to each sample, shape (n, k), in a ``.npy`` or ``.npz`` file in the
            order of the source: ``cifar10h-counts.npy`` for the test images of CIFAR-10.
        temperature: A positive number; None is 1 where no rate is given.
        rate: Expected share of wrong labels; the temperature that gives it is then found by bisection. Only without
            ``temperature``, and within what the judgements reach between cold and hot.

    Source: Peterson et al. 2019, arXiv:1908.07086, section 3. The temperature is ours.
    """

    judgements: Path
    temperature: float | None = None
    rate: float | None = None
    found: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.rate is not None:
            object.__setattr__(self, "rate", check_rate(self.rate))
        if self.rate is not None and self.temperature is not None:
            msg = f"temperature={self.temperature:g} and rate={self.rate:g} exclude each other: say one of them"
            raise BadUsage(msg)
        if self.temperature is not None and not _COLDEST <= self.temperature <= _HOTTEST:
            msg = f"temperature must lie in [{_COLDEST:g}, {_HOTTEST:g}], got {self.temperature:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        counts = read_judgements(self.judgements, source)
        clean, known = source.clean, source.clean != UNKNOWN
        temperature = self.temperature or 1.0
        if self.rate is not None:
            temperature = _temperature_of(self.rate, counts[known], clean[known])
        laws = tempered(counts, temperature)
        right = laws[np.arange(len(clean)), clean]  # of the last class where unknown, and not used
        laws[np.arange(len(clean)), clean] = 0.0
        chance = np.where(known, np.clip(laws.sum(1) / (laws.sum(1) + right), 0.0, 1.0), 0.0)
        selected = select(chance, clean, by_class=self.rate is None, seed=seed, mode=mode)
        members = np.flatnonzero(selected)
        return Draw(
            labels=flip_by_law(source.labels, clean, [(members, laws[members])], seed=seed),
            flip_probability=np.where(known, chance, np.nan),
            selected=selected,
            rate_definition="none" if self.rate is None else "effective",
        )


def tempered(counts: Floats, temperature: float) -> Floats:
    """Weights of the classes, 1 for the likeliest of each row: counts raised to 1 / temperature, shape (n, k)."""
    with np.errstate(divide="ignore", under="ignore", over="ignore"):  # log 0 and 0 are meant
        logs = np.log(counts) - np.log(counts.max(1, keepdims=True))
        weights: Floats = np.exp(logs / temperature)
    return weights


def _temperature_of(rate: float, counts: Floats, clean: Labels) -> float:
    """The temperature at which the expected share of wrong labels is ``rate``."""
    from scipy.optimize import brentq

    def excess(log_temperature: float) -> float:
        laws = tempered(counts, float(np.exp(log_temperature)))
        return float(1 - (laws[np.arange(len(clean)), clean] / laws.sum(1)).mean()) - rate

    ends = np.log(_COLDEST), np.log(_HOTTEST)
    low, high = (excess(end) for end in ends)
    for end, value in zip(ends, (low, high), strict=True):
        if abs(value) < 1e-12:  # noqa: PLR2004 - rounding of a mean
            return float(np.exp(end))
    if low * high > 0:
        msg = (
            f"rate must lie in [{low + rate:.6g}, {high + rate:.6g}], which these judgements reach between cold and hot, "
            f"got {rate:g}"
        )
        raise BadUsage(msg)
    return float(np.exp(brentq(excess, *ends, xtol=1e-13)))


NOISE: type[Noise] = Cifar10hSampling
