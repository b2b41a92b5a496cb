"""Noises in a stated order, each on the labels that the one before left."""

from dataclasses import dataclass
from typing import ClassVar

from noisybench.data.source import Source
from noisybench.noise.composition import compose, parse_steps, steps_text
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise, require_mode


@dataclass(frozen=True, slots=True)
class Composed:
    """Draw several noises one after another; a later one takes the labels before it as clean, right or wrong.

    A later step may flip a wrong label back, so the shares do not add up: 0.35 and then 0.3 of symmetric noise on ten
    classes leave 0.53 of the labels wrong. Drawn in mode ``bernoulli`` only, as the counts of several exact draws are no
    exact count of the whole. What is clean stays the source's clean label.

    Attributes:
        steps: ``"polynomial_margin(rate=0.35, kind=I); symmetric(rate=0.3)"``: names of noisybench's noises with their
            options, in the order of drawing. A file is named without its folder, and must lie in the working directory.

    Source: Zhang et al. 2021, arXiv:2103.07756, section 4. Their hybrids are a margin noise and then symmetric or
    asymmetric noise on the noisy labels.
    """

    steps: str
    found: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("bernoulli",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", steps_text(parse_steps(self.steps)))

    @property
    def rounded(self) -> bool:
        """Whether one of the steps rests on last digits."""
        return any(getattr(noise, "rounded", False) for noise in parse_steps(self.steps))

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        require_mode("composed", mode, self.modes)
        return compose(parse_steps(self.steps), source, seed=seed, mode=mode)


NOISE: type[Noise] = Composed
