"""What a row, and a table, is of: data sets and their sizes, noises with rates and draws, label columns, versions."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from noisybench.board.averages import versions_of
from noisybench.data.source import Option
from noisybench.runs.reading import Run
from noisybench.runs.record import RunRecord
from noisybench.variants.clustered import in_copies
from noisybench.variants.variant import Variant

WrongShares: TypeAlias = Mapping[str, float]
"""Id of a label column → realised share of wrong labels among those whose truth is known."""
NOTHING_KNOWN: WrongShares = MappingProxyType({})
SHOWN_OF_AN_ID = 8
_DIGEST = re.compile(r"(sha256:[0-9a-f]{8})[0-9a-f]{56}")


class SourceUsed(NamedTuple):
    """A data set.

    Attributes:
        name: With its options, or its digest, where another data set of the table has the same name.
        samples: Training samples.
        copies: Whether some are copies of one, as units of ``frequency_spectrum`` are.
    """

    name: str
    samples: int
    copies: bool = False

    @property
    def words(self) -> str:
        """As tables name it: ``digits (1437 samples)``."""
        return f"{self.name} ({self.samples} samples)"


class NoiseUsed(NamedTuple):
    """A noise at one setting.

    Attributes:
        words: Name and parameters, as ``symmetric(rate=0.2)``.
        draws: Label columns of it.
        rate: The expected share of wrong labels; NaN of a noise that is not given one.
        wrong_share: The realised one, as a mean over its label columns; NaN where no truth is known.
        variants: Ids of these, in order.
    """

    words: str
    draws: int
    rate: float = math.nan
    wrong_share: float = math.nan
    variants: tuple[str, ...] = ()


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


class _SourceId(NamedTuple):
    """What tells two data sets apart: of two limits, options or digests, the same name is two of them."""

    name: str
    sha256: str
    options: str
    limit: int | None


Sources: TypeAlias = Mapping[_SourceId, SourceUsed]
"""The data sets of a table, each in words that no other has."""


def sources_of(runs: Iterable[Run]) -> Sources:
    """The data sets of some runs: those of one name are told apart by their options, or else by their digest."""
    found: dict[_SourceId, RunRecord] = {}
    for run in runs:
        found.setdefault(_source_id(run.record), run.record)
    named: dict[_SourceId, SourceUsed] = {}
    for one, record in found.items():
        others = [other.source_options for other in found.values() if other.source == record.source]
        told = {
            option: value
            for option, value in record.source_options.items()
            if any(other.get(option) != value for other in others)
        }
        named[one] = SourceUsed(f"{record.source}{_in_words(told)}", record.n, in_copies(record.source_options))
    words = list(named.values())
    return {
        one: used if words.count(used) == 1 else used._replace(name=f"{used.name} {_told_apart(one, found)}")
        for one, used in named.items()
    }


def _told_apart(one: _SourceId, others: Iterable[_SourceId]) -> str:
    """What is left to tell a data set from the others of its name and size: its digest, or that it was cut off there."""
    same = [other for other in others if other.name == one.name and other.sha256 == one.sha256]
    digest = one.sha256[:SHOWN_OF_AN_ID]
    return digest if len(same) == 1 else f"{digest} limit={one.limit} {one.options}"


def _source_id(record: RunRecord) -> _SourceId:
    options = json.dumps(dict(record.source_options), sort_keys=True)
    return _SourceId(record.source, record.source_sha256, options, record.limit)


def with_sources(runs: Sequence[Run], sources: Sources) -> list[Run]:
    """The runs with their data sets in words, so that two of one name are no settings of one noise of one data set."""
    return [
        replace(run, column=run.column._replace(source=sources[_source_id(run.record)].words))
        if _source_id(run.record) in sources
        else run
        for run in runs
    ]


def wrong_shares_of(variants: Iterable[Variant]) -> WrongShares:
    """Realised share of wrong labels in each label column whose truth is known of some sample."""
    return {
        variant.provenance.variant_id: float(variant.mislabeled.sum()) / int(variant.known.sum())
        for variant in variants
        if variant.known.any()
    }


def subject_of(
    runs: Iterable[Run], sources: Sources | None = None, wrong_shares: WrongShares = NOTHING_KNOWN
) -> Subject:
    """What the figures of some runs are of.

    Args:
        runs: Of a row, or of a table.
        sources: The data sets of the whole table; None takes those of the runs.
        wrong_shares: Of each label column whose truth is known.
    """
    runs = list(runs)
    sources = sources_of(runs) if sources is None else sources
    records = {run.record.variant_id: run.record for run in runs}
    noises: dict[str, list[RunRecord]] = {}
    for record in records.values():
        noises.setdefault(noise_words(record), []).append(record)
    return Subject(
        sources=tuple(sorted({sources[_source_id(record)] for record in records.values()})),
        noises=tuple(
            NoiseUsed(
                words,
                len(drawn),
                nominal_rate(drawn[0]),
                _mean(wrong_shares.get(one.variant_id) for one in drawn),
                tuple(sorted(one.variant_id for one in drawn)),
            )
            for words, drawn in sorted(noises.items())
        ),
        variants=tuple(sorted(records)),
        versions=versions_of(runs),
    )


def joined(subjects: Iterable[Subject]) -> Subject:
    """What several rows are of together; a realised share is that of the row with most draws."""
    subjects = list(subjects)
    noises: dict[str, NoiseUsed] = {}
    for noise in sorted((noise for subject in subjects for noise in subject.noises), key=lambda noise: -noise.draws):
        kept = noises.setdefault(noise.words, noise)
        drawn = tuple(sorted({*kept.variants, *noise.variants}))
        noises[noise.words] = kept._replace(draws=len(drawn) or kept.draws, variants=drawn)
    versions = {one for subject in subjects for one in subject.versions.split(", ")} - {""}
    return Subject(
        sources=tuple(sorted({source for subject in subjects for source in subject.sources})),
        noises=tuple(noise for _, noise in sorted(noises.items())),
        variants=tuple(sorted({variant for subject in subjects for variant in subject.variants})),
        versions=", ".join(sorted(versions)),
    )


def noise_words(record: RunRecord) -> str:
    """A noise and its parameters, as ``symmetric(rate=0.2)``; how it was drawn where not to the exact count."""
    drawn = {} if record.mode == "exact" else {"mode": record.mode}
    corrected = "" if record.corrections is None else ", corrected"
    return f"{record.noise}{_in_words({**record.params, **drawn})}{corrected}"


def nominal_rate(record: RunRecord) -> float:
    """The expected share of wrong labels; NaN of a noise that is not given one."""
    rate = record.params.get("rate")
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) else math.nan


def _in_words(options: Mapping[str, Option]) -> str:
    """Options as ``(rate=0.2, inclusive=False)``, digests shortened; empty of none."""
    told = ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()
    )
    short = _DIGEST.sub(r"\1", told)
    return f"({short})" if told else ""


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan
