"""What a row, and a table, is of: data sets and their sizes, noises with rates and draws, label columns, versions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from noisybench.board.averages import versions_of
from noisybench.runs.reading import Run


class SourceUsed(NamedTuple):
    """A data set.

    Attributes:
        name: With its options where it has any.
        samples: Training samples.
    """

    name: str
    samples: int


class NoiseUsed(NamedTuple):
    """A noise at one setting.

    Attributes:
        words: Name and parameters, as ``symmetric(rate=0.2)``.
        draws: Label columns of it.
    """

    words: str
    draws: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What figures are of.

    Attributes:
        sources: Data sets, in order of name.
        noises: Noises, in order of name and parameters.
        variants: Ids of the label columns, in order.
        versions: Versions of noisybench that trained, as in ``Row.version``.
    """

    sources: tuple[SourceUsed, ...] = ()
    noises: tuple[NoiseUsed, ...] = ()
    variants: tuple[str, ...] = ()
    versions: str = ""


NO_SUBJECT = Subject()


def subject_of(runs: Iterable[Run]) -> Subject:
    """What the figures of some runs are of."""
    runs = list(runs)
    records = {run.record.variant_id: run.record for run in runs}
    noises: dict[str, int] = {}
    for record in records.values():
        words = f"{record.noise}({', '.join(f'{name}={value}' for name, value in record.params.items())})"
        noises[words] = noises.get(words, 0) + 1
    return Subject(
        sources=tuple(sorted({SourceUsed(record.source, record.n) for record in records.values()})),
        noises=tuple(NoiseUsed(words, draws) for words, draws in sorted(noises.items())),
        variants=tuple(sorted(records)),
        versions=versions_of(runs),
    )
