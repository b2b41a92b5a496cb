"""Another source with open-set inputs, duplicates, a long tail or damaged inputs, before any label is flipped."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noisybench.data.alteration import changed, load_base, parse_alterations
from noisybench.data.source import LoadSource, Option, Source
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadUsage
from noisybench.ground.random_streams import derive


@dataclass(frozen=True, slots=True)
class Altered:
    """A base source, after some alterations in their order.

    Attributes:
        base: Name of the base source with its options, as ``digits`` or ``cifar100(labels=coarse)``; ``--data`` is where
            its files are, and a limit keeps the first samples of what comes out.
        steps: Alterations with their options, as ``long_tail(factor=10); duplicates(rate=0.01)``.
        seed: Decides every draw of them.
        foreign: Name of the source with its options that gives the inputs of ``open_set``.
        foreign_data: Where its files are; None takes the cache.
        base_limit: First samples of the base that are altered; None are all. A limit on what comes out would tear copies
            from their twins.
    """

    base: str
    steps: str
    seed: int = 0
    foreign: str | None = None
    foreign_data: Path | None = None
    base_limit: int | None = None

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        seed = whole(self.seed, "seed", least=0)
        alterations = parse_alterations(self.steps)
        if not alterations:
            msg = "source 'altered' needs alterations, as --source-set 'steps=long_tail(factor=10)'"
            raise BadUsage(msg)
        limit = None if limit is None else whole(limit, "limit", least=1)
        first = None if self.base_limit is None else whole(self.base_limit, "base_limit", least=1)
        source = load_base(self.base, data, limit=first)
        foreign = None if self.foreign is None else load_base(self.foreign, self.foreign_data)
        for number, alter in enumerate(alterations):
            source = alter(source, seed=derive(seed, "alteration", number), foreign=foreign)
        if limit is not None and limit < len(source.labels):
            source = changed(source, kept=np.arange(limit), marks={})
        else:
            limit = None
        options: dict[str, Option] = {"base": self.base, "steps": self.steps, "seed": seed}
        if self.foreign is not None:
            options["foreign"] = self.foreign
        if first is not None:
            options["base_limit"] = first
        order = f"{source.order}, altered"
        return replace(source, name="altered", order=order, options=options, limit=limit)


SOURCE: type[LoadSource] = Altered
