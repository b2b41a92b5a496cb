"""Legacy: symmetric and asymmetric noise with the random stream of the loss-correction code."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from noisybench.data.source import Source
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.noise.legacy_generators import draw_in_order, mapped_rows, uniform_rows
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise, require_mode

# Clean class → given class, in ten classes: cifar10 and mnist as published.
_MAPS = {"cifar10": {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}, "mnist": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}}


@dataclass(frozen=True, slots=True)
class LossCorrection:
    """Give labels another class exactly as the loss-correction code does for the same seed and the same order of labels.

    Drawn in mode ``bernoulli`` only. ``symmetric`` and ``asymmetric`` draw the same laws in every mode, in any order.

    Attributes:
        rate: Share of wrong labels: of all labels for ``symmetric``, of the mapped classes for the two maps.
        kind: ``symmetric`` (any other class), or the map of ``cifar10`` or ``mnist``.

    Defects: a label depends on all labels before it, so the noise must be drawn on the whole training set in its
    published order, before any split; the realised rate is not the rate. The map of CIFAR-100 is ``block_of_five``.

    Source: Patrini et al. 2017, arXiv:1609.03683, section 5. The stream is that of their public code, ``noise.py``.
    """

    rate: float
    kind: Literal["symmetric", "cifar10", "mnist"] = "symmetric"
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("bernoulli",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        if self.kind not in ("symmetric", *_MAPS):
            msg = f"kind must be one of symmetric, {', '.join(_MAPS)}, got '{self.kind}'"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("loss_correction", mode, self.modes)
        k = source.num_classes
        if self.kind == "symmetric":
            return draw_in_order(source, uniform_rows(k, self.rate), seed=seed, rate_definition="effective")
        if k != 10:  # noqa: PLR2004 - of both maps
            msg = f"kind={self.kind} is for 10 classes, source '{source.name}' has {k}"
            raise BadUsage(msg)
        rows = mapped_rows(k, self.rate, _MAPS[self.kind])
        return draw_in_order(source, rows, seed=seed, rate_definition="per_source_class")


NOISE: type[Noise] = LossCorrection
