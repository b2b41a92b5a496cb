"""Legacy: the "superclass" noise of CIFAR-100 in published code, which is none: blocks of five class numbers."""

from dataclasses import dataclass
from typing import ClassVar

from noisybench.data.source import Source
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.noise.legacy_generators import draw_in_order, mapped_rows
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise, require_mode

_BLOCK = 5


@dataclass(frozen=True, slots=True)
class BlockOfFive:
    """Give a share ``rate`` of the labels the next class of their block of five numbers; the last becomes the first.

    For the same seed and order of labels these are the labels of the loss-correction code, and of the many that copied
    it. Drawn in mode ``bernoulli`` only; ``asymmetric`` with ``map=cifar100_block5`` draws the law in every mode.

    Attributes:
        rate: Share of labels that become wrong, in every class alike.

    Defects: it is told as noise within the superclasses of CIFAR-100. Their numbers are alphabetical, so only 6 of the
    100 flips stay in the superclass; ``asymmetric`` with ``map=cifar100_superclass`` is what was meant. A label depends
    on all labels before it.

    Source: Patrini et al. 2017, arXiv:1609.03683, section 5. The paper says superclasses; the blocks are of its code.
    """

    rate: float
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("bernoulli",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("block_of_five", mode, self.modes)
        k = source.num_classes
        if k % _BLOCK:
            msg = (
                f"noise 'block_of_five' needs blocks of five classes, as CIFAR-100 has; source '{source.name}' has {k}"
            )
            raise BadUsage(msg)
        flips = {j: j // _BLOCK * _BLOCK + (j + 1) % _BLOCK for j in range(k)}
        return draw_in_order(source, mapped_rows(k, self.rate, flips), seed=seed, rate_definition="effective")


NOISE: type[Noise] = BlockOfFive
