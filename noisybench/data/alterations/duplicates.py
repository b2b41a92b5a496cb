"""Duplicates: inputs that stand twice, exactly or nearly, under conflicting labels or under one."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noisybench.data.alteration import Alter, alterable, changed, check_how, check_truth, choose, parents
from noisybench.data.alterations._images import jpeg, mirrored, shifted
from noisybench.data.inputs import IMAGE_DIMENSIONS, in_memory
from noisybench.data.source import PARENT, Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.random_streams import pick, uniforms


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Replace a share ``rate`` of the inputs by copies of other samples, in disjoint pairs.

    With ``conflict`` the copy's label is drawn uniformly from the classes that its twin neither is of nor is given; the mark
    ``conflicting`` is on the copy, whose clean label becomes unknown, so that it is no flip. Without, it has its twin's
    label and clean label. The mark ``duplicate`` is on both of a pair.

    Attributes:
        rate: Share of the samples that become copies; at most one half.
        how: ``exact``, or a near duplicate of an image: mirrored, shifted by one pixel, or compressed (``jpeg``).
        conflict: Whether the two labels differ.

    Source: Garg, Ravikumar and Roy 2024, arXiv:2307.05831 (250 exact pairs of CIFAR-100, which with this rate are 0.005).
    """

    rate: float
    how: Literal["exact", "mirrored", "shifted", "jpeg"] = "exact"
    conflict: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate, highest=0.5))
        check_how(self.how, ("exact", "mirrored", "shifted", "jpeg"))

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        del foreign
        check_truth(source, "duplicates")
        before = alterable(source)
        if self.how != "exact" and before.ndim != IMAGE_DIMENSIONS:
            msg = f"near duplicates ({self.how}) are of images, source '{source.name}' has columns; say how=exact"
            raise BadUsage(msg)
        known = np.flatnonzero(source.clean >= 0)
        order = choose(source, 1.0, "duplicates", seed=seed)
        order = order[np.isin(order, known)]
        count = min(round(self.rate * len(source.labels)), len(source.labels) // 2)
        if 2 * count > len(order):
            msg = (
                f"{count} duplicates need {2 * count} samples of known class, source '{source.name}' has {len(order)}; "
                f"lower the rate"
            )
            raise BadData(msg)
        copies, twins = order[:count], order[count : 2 * count]
        inputs = in_memory(before, "alteration 'duplicates'").copy()
        labels, clean = source.labels.copy(), source.clean.copy()
        change = {"exact": lambda images: images, "mirrored": mirrored, "shifted": shifted, "jpeg": jpeg}[self.how]
        inputs[copies] = change(before[twins])
        marks = {"duplicate": np.isin(np.arange(len(labels)), [*copies, *twins])}
        if self.conflict:
            # Neither the class of the twin nor, where that is wrong and there is a third, the label that it has.
            taken = np.eye(source.num_classes, dtype=bool)[source.clean[twins]]
            if source.num_classes > 2:  # noqa: PLR2004
                taken |= np.eye(source.num_classes, dtype=bool)[source.labels[twins]]
            labels[copies] = pick(~taken, uniforms(seed, "duplicates/label", count))
            clean[copies] = UNKNOWN
            marks["conflicting"] = np.isin(np.arange(len(labels)), copies)
        else:
            labels[copies], clean[copies] = source.labels[twins], source.clean[twins]
        origin = parents(source)
        origin[copies] = origin[twins]
        return changed(source, inputs=inputs, labels=labels, clean=clean, marks={**marks, PARENT: origin})


ALTERATION: type[Alter] = Duplicates
