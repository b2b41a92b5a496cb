"""No noise of ours: the labels as they came, with whatever errors they hold."""

from dataclasses import dataclass
from typing import ClassVar

from noisybench.data.source import Source
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise


@dataclass(frozen=True, slots=True)
class AsFound:
    """Keep the published labels. Which of them are wrong is known where the source knows the clean label.

    Source: none; the errors are those of the people or programs that labelled the source.
    """

    found: ClassVar[bool] = True

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
        return Draw(labels=source.labels)


NOISE: type[Noise] = AsFound
