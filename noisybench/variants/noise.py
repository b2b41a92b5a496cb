"""What a noise is: the protocol of ``noises/``, and the draw that it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from noisybench.data.crowd.answers import Answers
from noisybench.data.source import Source
from noisybench.ground.arrays import Labels
from noisybench.ground.errors import BadUsage
from noisybench.variants.flipping import Mode, check_mode
from noisybench.variants.transitions import AnyTransition

LABELS_ALONE = "choose a noise of labels alone, such as symmetric, pair_flip or transition"
"""What is advised where a noise needs inputs and there are none."""

RateDefinition = Literal["effective", "inclusive", "per_source_class", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What a noise returns.

    Attributes:
        labels: Given labels, shape (n,).
        flip_probability: P(label wrong | input, clean label), shape (n,); None for a noise without a law.
        transition: Nominal T[i, j] = P(given j | clean i), shape (k, k); None where there is none.
        selected: Who was chosen for noising, which is not who was flipped, shape (n,); None where nobody was chosen.
        rate_definition: What the noise's ``rate`` is a rate of: all labels (``effective``), redraws that may give the
            own class back (``inclusive``), or the labels of the mapped classes (``per_source_class``).
        doubted: Whose clean label is not to be trusted and becomes ``UNKNOWN``, shape (n,); None leaves all as they are.
        marks: What the noise has to say of samples beside their label, by name, each of shape (n,): see ``Source``.
        answers: What several people said of the samples, where the noise knows it; None leaves those of the source.
    """

    labels: Labels
    flip_probability: NDArray[np.float64] | None = None
    transition: AnyTransition | None = None
    selected: NDArray[np.bool_] | None = None
    rate_definition: RateDefinition = "none"
    doubted: NDArray[np.bool_] | None = None
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    answers: Answers | None = None

    def __repr__(self) -> str:
        columns = ("flip_probability", "transition", "selected", "doubted")
        there = [name for name in columns if getattr(self, name) is not None]
        return f"Draw({', '.join([f'{len(self.labels)} labels', *there, *self.marks])})"


class Noise(Protocol):
    """What a file of ``noises/`` gives: a frozen dataclass whose fields are the noise's parameters.

    One that cannot be drawn in every mode says in a class variable ``modes`` in which it can. One whose draws depend on the
    inputs says ``rounded = True``: they rest on last digits, which another processor, number of threads or version computes
    otherwise, and the variant records where it was drawn.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    found: ClassVar[bool]  # errors that people made (True) need no clean label to start from, injected ones do

    def __init__(self, **options: Any) -> None: ...  # noqa: ANN401 - the noise's parameters

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        """Draw the labels once, from ``seed`` alone; ``source`` is left as it was.

        Its clean labels are classes or ``UNKNOWN``: what is ``WRONG`` is shown to no noise, and keeps its label.
        """


def require_mode(noise: str, mode: Mode, modes: tuple[Mode, ...]) -> None:
    """Raise ``BadUsage`` unless ``mode`` is one of ``modes``, in a sentence that names them."""
    check_mode(mode)
    if mode not in modes:
        has = " or ".join(modes)
        msg = f"noise '{noise}' is drawn in mode {has} only, got '{mode}': say --mode {modes[0]}"
        raise BadUsage(msg)


def noise_name(noise: Noise) -> str:
    """Name of a noise: of its file, or of its class where it is a user's own."""
    module = type(noise).__module__
    return (
        module.removeprefix("noisybench.noise.noises.")
        if module.startswith("noisybench.noise.noises.")
        else type(noise).__name__
    )
