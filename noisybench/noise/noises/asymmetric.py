"""Asymmetric noise: classes become a class they are mistaken for, by a fixed map."""

from collections.abc import Mapping
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from noisybench.data.cifar100_superclasses import SUPERCLASS_OF
from noisybench.data.source import Source
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.checks import check_rate, unknown
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.files import read_json
from noisybench.variants.flipping import Mode, flip_by_class, transition_of
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.transitions import mapped_law


def _next_in(groups: tuple[int, ...]) -> dict[int, int]:
    """Each class becomes the next class of its group, the last one the first."""
    members: dict[int, list[int]] = {}
    for k, group in enumerate(groups):
        members.setdefault(group, []).append(k)
    return {k: ring[(at + 1) % len(ring)] for ring in members.values() for at, k in enumerate(ring)}


# Number of classes and clean class → given class. Classes that are not named keep their labels.
MAPS: Mapping[str, tuple[int, dict[int, int]]] = {
    # truck → automobile, bird → airplane, deer → horse, cat ↔ dog
    "cifar10": (10, {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}),
    "cifar100_superclass": (100, _next_in(SUPERCLASS_OF)),
    # What much published code calls superclass noise: blocks of five indices, of which only 6 in 100 flips stay in the
    # superclass, since the indices are alphabetical.
    "cifar100_block5": (100, _next_in(tuple(k // 5 for k in range(100)))),
    # 7 → 1, 2 → 7, 5 ↔ 6, 3 → 8
    "mnist": (10, {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}),
    # shirt → T-shirt, pullover ↔ coat, sandal ↔ sneaker; no canonical map exists
    "fashion_mnist": (10, {6: 0, 2: 4, 4: 2, 5: 7, 7: 5}),
}

_MAP_OF_SOURCE = {
    "cifar10": "cifar10",
    "cifar100": "cifar100_superclass",
    "mnist": "mnist",
    "digits": "mnist",
    "fashion_mnist": "fashion_mnist",
}


@dataclass(frozen=True, slots=True)
class Asymmetric:
    """Give a share ``rate`` of the labels of each mapped class the class it is mapped to.

    Attributes:
        rate: Share of wrong labels in each class that the map names, as in every paper. Over all labels the share is
            lower where the map leaves classes alone: half of it for ``cifar10``, 0.4949 of it for ``mnist``.
        map: One of ``MAPS``, or a JSON file ``{"clean class": given class, …}`` of class indices; None takes that of the
            source, where it has one.

    Source: Patrini et al. 2017, arXiv:1609.03683, section 5 (CIFAR, MNIST). The map of Fashion-MNIST is ours.
    """

    rate: float
    map: str | Path | None = None
    found: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", check_rate(self.rate))
        if self.map is None or self.map in MAPS:
            return
        path = Path(self.map)
        if not isfile(path):  # noqa: PTH113 - False for a text that can be no path, where Path.is_file raises
            msg = f"{unknown(str(self.map), tuple(MAPS), 'map')}; or give a JSON file {{clean class: given class}}"
            raise UnknownName(msg)
        # A path, not a text: provenance names a file by its name and digest, never by its place.
        object.__setattr__(self, "map", path)

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:
        k = source.num_classes
        flips = self._flips(source)
        origins, goals = np.array(list(flips)), np.array(list(flips.values()))
        chance, mapped = np.zeros(k), np.arange(k)
        chance[origins], mapped[origins] = self.rate, goals
        targets = mapped_law(mapped)
        labels, selected = flip_by_class(
            source.labels, source.clean, chance, targets, by_class=True, seed=seed, mode=mode
        )
        return Draw(
            labels=labels,
            flip_probability=np.where(source.clean == UNKNOWN, np.nan, chance[source.clean]),
            transition=transition_of(chance, targets),
            selected=selected,
            rate_definition="per_source_class",
        )

    def _flips(self, source: Source) -> dict[int, int]:
        """Clean class → given class, checked against the classes of the source."""
        if isinstance(self.map, Path):
            return _read_map(self.map, source.num_classes)
        name = self.map or _MAP_OF_SOURCE.get(source.name)
        if name is None:
            msg = (
                f"source '{source.name}' has no map of its own: say --set map=…, one of {', '.join(MAPS)} "
                f"or a JSON file {{clean class: given class}}"
            )
            raise BadUsage(msg)
        classes, flips = MAPS[name]
        if classes != source.num_classes:
            msg = f"map '{name}' is for {classes} classes, source '{source.name}' has {source.num_classes}"
            raise BadUsage(msg)
        return flips


def _read_map(path: Path, num_classes: int) -> dict[int, int]:
    record = read_json(path)
    if not isinstance(record, dict) or not record:
        msg = f'{path} must hold {{"clean class": given class, …}}, got {type(record).__name__}'
        raise BadData(msg)
    flips = {}
    for key, goal in record.items():
        if not key.isdecimal() or type(goal) is not int or not (int(key) < num_classes and 0 <= goal < num_classes):
            msg = f"{path} maps '{key}' to {goal!r}; both must be class indices 0..{num_classes - 1}"
            raise BadData(msg)
        if int(key) == goal:
            msg = f"{path} maps class {key} to itself; leave it out"
            raise BadData(msg)
        flips[int(key)] = goal
    return flips


NOISE: type[Noise] = Asymmetric
