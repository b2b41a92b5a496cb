"""Legacy: symmetric and pair-flip noise with the random stream of the Co-teaching code."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from noisybench.data.source import Source
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.noise.legacy_generators import draw_in_order, mapped_rows, uniform_rows
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise, require_mode


@dataclass(frozen=True, slots=True)
class CoTeaching:
    """Give labels another class exactly as the Co-teaching code does, for seed 0 and the same order of labels.

    Drawn in mode ``bernoulli`` only. ``symmetric`` and ``pair_flip`` draw the same laws in every mode, in any order.

    Attributes:
        rate: Share of labels that become wrong, in every class alike.
        kind: ``symmetric`` (any other class) or ``pair_flip`` (the next class).

    Defects: the published function ignores the seed that it is given and always draws with 0, so results "over five
    seeds" share one noise. Here the seed counts: seed 0 is the published noise, others are what was meant. A label
    depends on all labels before it.

    Source: Han et al. 2018, arXiv:1804.06872, section 4 and appendix A. The stream is that of their public code.
    """

    rate: float
    kind: Literal["symmetric", "pair_flip"] = "symmetric"
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("bernoulli",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        if self.kind not in ("symmetric", "pair_flip"):
            msg = f"kind must be symmetric or pair_flip, got '{self.kind}'"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("coteaching", mode, self.modes)
        k = source.num_classes
        next_class = {j: (j + 1) % k for j in range(k)}
        rows = uniform_rows(k, self.rate) if self.kind == "symmetric" else mapped_rows(k, self.rate, next_class)
        return draw_in_order(source, rows, seed=seed, rate_definition="effective")


NOISE: type[Noise] = CoTeaching
