"""Long tail: classes of exponentially decreasing size, by leaving samples out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noisybench.data.alteration import Alter, changed
from noisybench.data.source import Source
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.random_streams import permutation


@dataclass(frozen=True, slots=True)
class LongTail:
    """Keep round(m · factor^(-j / (k - 1))) samples of the j-th class, m being the size of the largest class.

    A class that has fewer keeps all it has. Classes are those of the clean labels, of the given ones where these are
    unknown. The mark ``tail`` is on samples of the smaller half of the classes. The test set stays whole.

    Attributes:
        factor: Size of the largest class over that of the smallest, the imbalance factor.
        order: Which class is how large: drawn by the seed, or by ``index``.

    Source: Cui et al. 2019, arXiv:1901.05555.
    """

    factor: float
    order: Literal["drawn", "index"] = "drawn"

    def __post_init__(self) -> None:
        if not 1 <= self.factor < np.inf:
            msg = f"factor must be at least 1 (100 makes the largest class a hundred times the smallest), got {self.factor:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        del foreign
        k = source.num_classes
        if k < 2:  # noqa: PLR2004 - nothing to be larger than
            msg = f"source '{source.name}' has {k} class; a long tail needs at least two"
            raise BadData(msg)
        classes = np.where(source.clean < 0, source.labels, source.clean)
        rank = np.argsort(permutation(seed, "long-tail/classes", k)) if self.order == "drawn" else np.arange(k)
        wanted = np.rint(np.bincount(classes, minlength=k).max() * self.factor ** (-rank / (k - 1))).astype(np.int64)
        # In a random order, the rank of each sample within its class.
        shuffled = permutation(seed, "long-tail/samples", len(classes))
        grouped = shuffled[np.argsort(classes[shuffled], kind="stable")]
        starts = np.searchsorted(classes[grouped], np.arange(k))
        rank = np.arange(len(grouped)) - starts[classes[grouped]]
        kept = np.sort(grouped[rank < wanted[classes[grouped]]])
        return changed(source, kept=kept, marks={"tail": rank[classes] >= k / 2}, limit=None)


ALTERATION: type[Alter] = LongTail
