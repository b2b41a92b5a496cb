"""Frequency spectrum: sub-populations of 1, 2, 4, … samples, with siblings that are held out to be tested on."""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisybench.data.alteration import Alter, alterable, changed, check_how
from noisybench.data.alterations._members import class_clusters, cluster_features, coarsened, dealt, near_copies
from noisybench.data.inputs import in_memory, read_rows
from noisybench.data.source import FREQUENCY, UNIT, Source
from noisybench.ground.arrays import UNKNOWN, Bools, Indices, Labels, read_only
from noisybench.ground.checks import unknown, whole
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.random_streams import permutation

_CLUSTERS = (1.0, 1.25, 1.5, 2.0)
"""Clusters per unit, as many as it takes: k-means makes some too small for any."""
_UNITS, _SIBLINGS, _STRENGTH = 10, 10, 0.05
_OF = {
    "units": ("exact", "near", "clusters"),
    "siblings": ("near", "fine", "clusters"),
    "strength": ("near",),
    "others": ("exact", "near", "clusters"),
    "coarse": ("fine",),
}  # option → the ways that it is for


@dataclass(frozen=True, slots=True)
class FrequencySpectrum:
    """Make sub-populations ("units") of the given frequencies, and test on held-out siblings of them.

    A unit of frequency l has l samples in the training set. Marks: ``unit`` is its number, from 0 for the rarest, and -1 of
    a sample of none; ``frequency`` is l, and 0 of a sample of none. The test marks ``unit`` and ``frequency`` say the same
    of test samples: which unit each is a sibling of. Classes take turns, so that each frequency has about as many units of
    each. Noise comes later and takes each copy for a sample of its own; copies are together in all that is held out. It is
    the last step, and takes no limit.

    Units of ``exact`` are l copies of one sample, with its label. Its one sibling is the sample itself: what is measured on
    it is which label was memorized, and nothing of inputs not seen.

    Units of ``near`` are l near copies of one sample, which is itself in neither set; its siblings are further ones. Images
    are moved by up to ``strength`` of a side over their edge, brightened or darkened by up to ``strength``, and have normal
    noise whose deviation is ``strength`` of the range of all inputs; columns have noise of ``strength`` of their deviation.

    With ``fine``, classes become coarse ones, and each class is a unit, of which l members are drawn; within a coarse class
    they take turns at the frequencies, the largest first, in a drawn order. Siblings are members of the test set, or,
    without one, further members. With ``frequencies=500,250,125,62,31`` of CIFAR-100 these are the rare groups of SSFT.

    With ``clusters``, each class is cut into as many clusters as there are units, or up to twice as many where some are too
    small, by k-means on its inputs (of columns brought to one scale, in at most 32 principal components); those large
    enough become units, of which l members are drawn, and siblings are further members. A cluster of a large frequency has
    at least so many members, one of a small frequency may have fewer.

    Attributes:
        how: What a unit is.
        frequencies: Training samples of a unit, different numbers.
        units: Units of each frequency; None takes 10. With ``fine``, each class is one.
        siblings: Test samples of each unit; None takes 10. With ``exact``, there is one.
        strength: Of near copies; None takes 0.05.
        others: Training samples of no unit that stay, drawn at random; None keeps all. With ``fine``, there are none.
        coarse: Classes that those of the source are put into, neighbours together; None takes the 20 superclasses of
            CIFAR-100.
        tested: What the test set holds: ``siblings`` alone, or ``all``: those of the base come first, as of no unit.

    Source: Liu 2021, arXiv:2102.05336, whose frequencies are drawn and here are equally many; Feldman 2020,
    arXiv:1906.05271; Maini et al. 2022, arXiv:2210.15031 (SSFT), its code for ``fine``.
    """

    how: Literal["exact", "near", "fine", "clusters"] = "exact"
    frequencies: str = "1,2,4,8,16,32"
    units: int | None = None
    siblings: int | None = None
    strength: float | None = None
    others: int | None = None
    coarse: int | None = None
    tested: Literal["siblings", "all"] = "siblings"

    def __post_init__(self) -> None:
        check_how(self.how, ("exact", "near", "fine", "clusters"))
        if self.tested not in ("siblings", "all"):
            raise UnknownName(unknown(self.tested, ("siblings", "all"), "test set"))
        _parsed(self.frequencies)
        for option, ways in _OF.items():
            if getattr(self, option) is not None and self.how not in ways:
                msg = f"{option} is for how={' or '.join(ways)}, got how={self.how}; leave it out"
                raise BadUsage(msg)
        for option, least in (("units", 1), ("siblings", 1), ("others", 0), ("coarse", 2)):
            if getattr(self, option) is not None:
                whole(getattr(self, option), option, least=least)
        if self.strength is not None and not 0 < self.strength <= 1:
            msg = f"strength of near copies must be a number above 0, up to 1, got {self.strength:g}"
            raise BadUsage(msg)

    def __call__(self, source: Source, *, seed: int, foreign: Source | None) -> Source:
        del foreign
        alterable(source)
        fine, fine_tests = _known_classes(source), source.test_labels
        if self.how == "fine":
            source = coarsened(source, self.coarse)
        classes = _known_classes(source)
        if self.how == "fine":
            units, free = self._fine_classes(fine, fine_tests, source, seed)
        elif self.how == "clusters":
            units, free = self._clusters(source, classes, seed)
        else:
            units, free = self._instances(classes, seed)
        others = permutation(seed, "frequency/others", len(free))
        others = others[free[others]][: self.others]
        kept = np.sort(np.concatenate([*(unit.members for unit in units), others]))
        unit, frequency = _marks(units, len(classes))
        trained = _Rows(kept, unit[kept], frequency[kept])
        held_out = _Rows(
            np.concatenate([one.siblings for one in units]),
            np.repeat(np.arange(len(units)), [len(one.siblings) for one in units]),
            np.repeat([one.frequency for one in units], [len(one.siblings) for one in units]),
        )
        if self.how == "near":
            once = changed(source, kept=kept, marks={})
            inputs, siblings = self._near(source, trained, held_out, seed)
            result = changed(once, inputs=inputs, marks={UNIT: trained.unit, FREQUENCY: trained.frequency})
        else:
            result = changed(source, kept=kept, marks={UNIT: unit, FREQUENCY: frequency})
            siblings = read_rows(source.test_inputs if self._tests_of_base(source) else source.inputs, held_out.rows)
        tested = self._tested(result, source, siblings, held_out)
        return replace(tested, limit=None, notes=(*result.notes, _words(trained, held_out)))

    def _needed(self) -> list[int]:
        """Frequency of every unit, the largest first; of ``fine``, of those that take a turn."""
        each = 1 if self.how == "fine" else _UNITS if self.units is None else self.units
        return [size for size in sorted(_parsed(self.frequencies), reverse=True) for _ in range(each)]

    @property
    def _held_out(self) -> int:
        return 1 if self.how == "exact" else _SIBLINGS if self.siblings is None else self.siblings

    def _tests_of_base(self, source: Source) -> bool:
        """Whether siblings are of the test set that there is."""
        return self.how == "fine" and source.test_labels is not None

    def _instances(self, classes: Labels, seed: int) -> "tuple[list[_Unit], Bools]":
        """Units of one sample each, the rarest first, and which samples are of none."""
        candidates, needed = np.flatnonzero(classes >= 0), self._needed()
        ones = np.ones(len(candidates), dtype=np.int64)
        dealing = dealt(classes[candidates], ones, [1] * len(needed), seed=seed)
        if dealing is None:
            msg = f"{len(needed)} units need as many samples of known class, and there are {len(candidates)}; lower the units"
            raise BadData(msg)
        chosen = candidates[dealing]
        units = [
            _Unit(size, np.full(size, row), np.full(self._held_out, row))
            for size, row in zip(needed, chosen, strict=True)
        ]
        free = np.ones(len(classes), dtype=np.bool_)
        free[chosen] = False
        return units[::-1], free

    def _clusters(self, source: Source, classes: Labels, seed: int) -> "tuple[list[_Unit], Bools]":
        """Units of a cluster each, the rarest first, and which samples are of none."""
        needed = self._needed()
        features = cluster_features(in_memory(source.inputs, "frequency_spectrum by clusters"), seed=seed)
        least = [size + self._held_out for size in needed]
        for share in _CLUSTERS:
            cluster = class_clusters(features, classes, round(share * len(needed)), seed=seed)
            numbers, first, sizes = np.unique(cluster, return_index=True, return_counts=True)
            first, sizes = first[numbers >= 0], sizes[numbers >= 0]
            chosen = dealt(classes[first], sizes, least, seed=seed)
            if chosen is not None:
                break
        else:
            msg = (
                f"{len(needed)} units of {min(least)} to {max(least)} members, siblings included, are more than clusters of "
                f"the {len(classes)} samples of source '{source.name}' give; lower the frequencies, the units or the siblings"
            )
            raise BadData(msg)
        shuffled = permutation(seed, "frequency/members", len(classes))
        units = []
        for size, number in zip(needed, chosen, strict=True):
            members = shuffled[cluster[shuffled] == number]
            units.append(_Unit(size, members[:size], members[size : size + self._held_out]))
        return units[::-1], ~np.isin(cluster, chosen)

    def _fine_classes(
        self, fine: Labels, tests: Labels | None, source: Source, seed: int
    ) -> "tuple[list[_Unit], Bools]":
        """Units of a fine class each, the rarest first; no sample is of none."""
        needed, order = self._needed(), permutation(seed, "frequency/classes", int(fine.max()) + 1)
        shuffled = permutation(seed, "frequency/members", len(fine))
        shuffled_tests = permutation(seed, "frequency/tests", 0 if tests is None else len(tests))
        classes = _known_classes(source)
        units: list[_Unit] = []
        for group, name in enumerate(source.class_names):
            for k in order[np.isin(order, fine[classes == group])].tolist():
                size = needed[len(units) % len(needed)]
                members = shuffled[fine[shuffled] == k]
                held_out = members[size:] if tests is None else shuffled_tests[tests[shuffled_tests] == k]
                if len(members) < size or len(held_out) < self._held_out:
                    where = "left over" if tests is None else "of the test set"
                    msg = (
                        f"class {k}, within '{name}', has {len(members)} training samples and {len(held_out)} {where}; "
                        f"expected {size} and {self._held_out}: lower the frequencies or the siblings"
                    )
                    raise BadData(msg)
                units.append(_Unit(size, members[:size], held_out[: self._held_out]))
        return sorted(units, key=lambda unit: unit.frequency), np.zeros(len(fine), dtype=np.bool_)

    def _near(
        self, source: Source, trained: "_Rows", held_out: "_Rows", seed: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Inputs of the training set, of which those of units are near copies; and of siblings."""
        inputs = in_memory(source.inputs, "frequency_spectrum by near copies")
        within = trained.unit >= 0
        rows = np.concatenate([trained.rows[within], held_out.rows])
        whose = np.concatenate([trained.unit[within], held_out.unit]).tolist()
        copies = near_copies(inputs, rows, _STRENGTH if self.strength is None else self.strength, seed=seed)
        if len({(unit, copy.tobytes()) for unit, copy in zip(whose, copies, strict=True)}) < len(copies):
            msg = f"near copies of one sample of source '{source.name}' came out equal; raise the strength"
            raise BadData(msg)
        mixed = inputs[trained.rows]
        mixed[within] = copies[: within.sum()]
        return mixed, copies[within.sum() :]

    def _tested(self, result: Source, base: Source, siblings: NDArray[Any], held_out: "_Rows") -> Source:
        """The source with siblings as test set, behind what is left of the one before where all is tested."""
        rows, unit, frequency = held_out
        of_base = base.test_labels if self._tests_of_base(base) else None
        labels = _known_classes(base)[rows] if of_base is None else of_base[rows]
        if self.tested == "all":
            if base.test_inputs is None or base.test_labels is None:
                msg = f"source '{base.name}' has no test set to keep; say tested=siblings"
                raise BadUsage(msg)
            rest = np.setdiff1d(np.arange(len(base.test_labels)), rows[:0] if of_base is None else rows)
            before = in_memory(base.test_inputs, "a test set of siblings and others")[rest]
            siblings = np.concatenate([before, siblings])
            labels = np.concatenate([base.test_labels[rest], labels])
            unit = np.concatenate([np.full(len(rest), UNKNOWN), unit])
            frequency = np.concatenate([np.zeros(len(rest), dtype=np.int64), frequency])
        marks = {UNIT: read_only(unit), FREQUENCY: read_only(frequency)}
        return replace(result, test_inputs=read_only(siblings), test_labels=read_only(labels), test_marks=marks)


class _Unit(NamedTuple):
    """A sub-population.

    Attributes:
        frequency: Training samples, l.
        members: Which sample of the base each is, or is a copy of, shape (l,).
        siblings: Likewise those that are held out, shape (s,); of the base's test set where each class is a unit.
    """

    frequency: int
    members: Indices
    siblings: Indices


class _Rows(NamedTuple):
    """Samples of the base, and the unit and frequency that each is taken for, shape (m,) each."""

    rows: Indices
    unit: Labels
    frequency: Labels


def _known_classes(source: Source) -> Labels:
    """Right class of each sample, -1 where it is unknown; the labels of a source that knows none, shape (n,)."""
    return np.maximum(source.clean, UNKNOWN) if (source.clean >= 0).any() else source.labels


def _marks(units: list[_Unit], n: int) -> tuple[Labels, Labels]:
    """Unit and frequency of each sample of the base, shape (n,) each."""
    unit, frequency = np.full(n, UNKNOWN, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for number, one in enumerate(units):
        unit[one.members], frequency[one.members] = number, one.frequency
    return unit, frequency


def _words(trained: _Rows, held_out: _Rows) -> str:
    """What a spectrum holds, as ``build`` tells it."""
    sizes = trained.frequency[trained.unit >= 0]
    each = ", ".join(f"{np.sum(sizes == size) // size} of {size}" for size in np.unique(sizes))
    return (
        f"frequency spectrum: {len(sizes)} training samples in units ({each}), {len(trained.rows) - len(sizes)} in none; "
        f"the test set has {len(held_out.rows)} siblings of them, so that its accuracy is not that on the base"
    )


def _parsed(frequencies: str) -> list[int]:
    """The numbers of a text such as ``1,2,4``.

    Raises:
        BadUsage: They are no different whole numbers above 0.
    """
    parts = [part for part in re.split(r"[,\s]+", frequencies) if part]
    if (
        not parts
        or not all(part.isascii() and part.isdecimal() and int(part) for part in parts)
        or len({*map(int, parts)}) < len(parts)
    ):
        msg = f"frequencies must be different whole numbers above 0, as 1,2,4,8, got '{frequencies[:60]}'"
        raise BadUsage(msg)
    return [int(part) for part in parts]


ALTERATION: type[Alter] = FrequencySpectrum
