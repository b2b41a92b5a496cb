"""Open-set replacement: inputs of another source under labels of this one."""

from dataclasses import dataclass

import numpy as np

from noisybench.data.alteration import Alter, alterable, changed, check_truth, choose, parents
from noisybench.data.alterations._images import like
from noisybench.data.inputs import in_memory
from noisybench.data.source import PARENT, Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import permutation


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Replace a share ``rate`` of the inputs by inputs of a foreign source, each once while there are enough.

    The label stays, no class is right for it, and the mark is ``open_set``. Foreign images are brought to the size and
    the channels of the source.

    Attributes:
        rate: Share of the samples.

    Source: Albert et al. 2022, arXiv:2207.01573 (SNCF; its code draws who is replaced one by one, here their number is
    exact).
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        check_truth(source, "open_set")
        if foreign is None:
            msg = "alteration 'open_set' needs other inputs: say --source-set foreign=mnist, or another source"
            raise BadUsage(msg)
        chosen = choose(source, self.rate, "open-set", seed=seed)
        order = permutation(seed, "open-set/foreign", len(foreign.labels))
        inputs = in_memory(alterable(source), "alteration 'open_set'").copy()
        clean, origin = source.clean.copy(), parents(source)
        inputs[chosen] = like(alterable(foreign)[order[np.arange(len(chosen)) % len(order)]], source)
        clean[chosen], origin[chosen] = UNKNOWN, UNKNOWN
        mark = np.zeros(len(clean), dtype=bool)
        mark[chosen] = True
        return changed(source, inputs=inputs, clean=clean, marks={"open_set": mark, PARENT: origin})


ALTERATION: type[Alter] = OpenSet
