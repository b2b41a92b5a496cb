"""Open classes: the last classes leave the label set, and their samples stay under labels of the others."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from noisybench.data.alteration import Alter, changed, check_truth
from noisybench.data.inputs import rows_of
from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN, read_only
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.random_streams import uniforms


@dataclass(frozen=True, slots=True)
class OpenClasses:
    """Give samples of the last ``share`` of the classes a label drawn uniformly from the other classes.

    Their classes are no classes any more, in the training set or in the test set, which loses them; none of the labels
    left is right for them, and the mark is ``open_set``. With 0.2 of CIFAR-100 this is the open set of CIFAR80N-O.

    Attributes:
        share: Of the classes, rounded up.

    Source: Yao et al. 2021, arXiv:2103.13029 (Jo-SRC).
    """

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            msg = f"share must lie strictly between 0 and 1 (0.2 is the last fifth of the classes), got {self.share:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        del foreign
        check_truth(source, "open_classes")
        left = source.num_classes - ceil(self.share * source.num_classes - 1e-9)
        if left < 2:  # noqa: PLR2004 - a right class and a wrong one
            msg = f"a share of {self.share:g} of {source.num_classes} classes leaves {left}; expected at least 2"
            raise BadUsage(msg)
        # What is of an open class, and, in a source with errors, what was given one.
        opened = (source.clean >= left) | ((source.clean < 0) & (source.labels >= left))
        drawn = (uniforms(seed, "open-classes", len(opened)) * left).astype(np.int64)
        voided = opened | (source.labels >= left)
        tested = None if source.test_labels is None else source.test_labels < left
        if tested is not None and not tested.any():
            msg = f"source '{source.name}' has no test sample of the first {left} classes"
            raise BadData(msg)
        return changed(
            source,
            labels=np.where(voided, drawn, source.labels),
            clean=np.where(opened, UNKNOWN, source.clean),
            marks={"open_set": opened},
            class_names=source.class_names[:left],
            test_inputs=None if tested is None or source.test_inputs is None else rows_of(source.test_inputs, tested),
            test_labels=None if source.test_labels is None else read_only(source.test_labels[tested]),
            test_marks={name: read_only(mark[tested]) for name, mark in source.test_marks.items()},
        )


ALTERATION: type[Alter] = OpenClasses
