"""What the atlas places: label columns of people, features, twins and heads, and where each stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from noisybench.ground.checks import check_choice, number, whole
from noisybench.ground.errors import BadUsage
from noisybench.memorization.closed_form_plan import PENALTY
from noisybench.memorization.subsets import check_fraction, group_size
from noisybench.studies.grid_checks import check_fields_of

PUBLISHED, UNCONTESTED = "published", "uncontested"
"""Truths: the clean labels as they are, and the same without the contested samples, which are then nobody's errors."""
HUMAN = "human"
KINDS: Mapping[str, str] = {
    "class": "class × target", "difficulty": "class × target × difficulty"
}  # fmt: skip
"""Kind of twins → what they share with the human column."""
BLOCK = 10
"""Heads of a block: the unit of work that is kept."""


class AtlasColumn(NamedTuple):
    """One label column: people's, or a twin of theirs.

    Attributes:
        set: Name of the human column.
        truth: ``published`` or ``uncontested``.
        kind: ``human``, or a key of ``KINDS``.
        draw: Number of the twin, from 0.
        scored: Whether detectors are asked about it.
    """

    set: str
    truth: str
    kind: str
    draw: int
    scored: bool

    @property
    def key(self) -> dict[str, str | int]:
        """What records of the column begin with."""
        return {"set": self.set, "truth": self.truth, "kind": self.kind, "draw": self.draw}


@dataclass(frozen=True, slots=True)
class AtlasGrid:
    """What the atlas places.

    Attributes:
        source: Name of the source.
        sets: Name of each human column → the noise that gives it, as ``cifar_n(labels=aggre)``.
        variants: Folders of variants in place of source and sets: label columns of one source.
        data: Where the files of the source are; None takes the cache, or where the variants found them.
        labels: File of CIFAR-N; None downloads it.
        limit: First samples; None are all. Of ``source`` alone.
        tests: First test samples, on which accuracy is measured; None are all, 0 measures none.
        verdicts: File of people's verdicts on the test set (``cifar10_mturk.json``): accuracy is measured again with the
            errors that they confirmed left out, and put right. None leaves that out.
        contested: ``again`` measures everything a second time without the samples that are marked as contested; ``keep``
            does not.
        difficulty: File of a difficulty of each sample, as ``read_difficulty`` reads it; None takes ridge regression of
            the clean labels on the coordinate features, each sample answered by the others.
        lower_is_harder: That file has the other sign. Released C-scores, a .npz file with ``cscores`` in its name, are read
            with their own sign in any case.
        features: That detectors and heads see; see ``choose_features``.
        coordinate_features: In which neighbours are near; no detector uses them.
        neighbours: Of coherence.
        bins: Of difficulty, within each clean class.
        twins: Of each kind, for each human column.
        scored: Of these, the first ones that detectors are asked about.
        again: Further twins of each kind, without the contested samples; what detectors say of the others is judged again.
        detectors: As ``score --features`` takes them.
        models: Heads on subsets: a multiple of 10 at a fraction of 0.7, so that each sample is left out equally often.
        fraction: Of the samples in each subset.
        penalty: λ of the heads.
        components: Leading principal components of the features that heads see; None are all.
        seed: Decides twins, subsets and what detectors draw.
        shown: Images of each estimand on the contact sheet, for each human column.
    """

    source: str = "cifar10"
    sets: Mapping[str, str] = field(
        default_factory=lambda: {name: f"cifar_n(labels={name})" for name in ("aggre", "random1", "worse")}
    )
    variants: tuple[str, ...] = ()
    data: str | None = None
    labels: str | None = None
    limit: int | None = 10_000
    tests: int | None = 5_000
    verdicts: str | None = None
    contested: str = "again"
    difficulty: str | None = None
    lower_is_harder: bool = False
    features: str = "lite0"
    coordinate_features: str = "patches"
    neighbours: int = 10
    bins: int = 10
    twins: int = 119
    scored: int = 20
    again: int = 20
    detectors: str = "all"
    models: int = 100
    fraction: float = 0.7
    penalty: float = PENALTY
    components: int | None = 256
    seed: int = 0
    shown: int = 8

    def __post_init__(self) -> None:
        check_fields_of(self)
        check_choice(self.contested, "contested", ("again", "keep"))
        for name in ("neighbours", "bins", "twins", "scored", "models"):
            whole(getattr(self, name), f"{name} of the grid", least=1)
        for name in ("again", "seed", "shown"):
            whole(getattr(self, name), f"{name} of the grid", least=0)
        for name, least in (("limit", 1), ("components", 1), ("tests", 0)):
            if getattr(self, name) is not None:
                whole(getattr(self, name), f"{name} of the grid", least=least)
        number(self.penalty, "penalty of the grid", least=0, without=0)
        self._check_columns()
        if self.scored > self.twins:
            msg = f"scored of the grid is {self.scored}, and there are {self.twins} twins; expected no more than these"
            raise BadUsage(msg)
        if self.lower_is_harder and self.difficulty is None:
            msg = "lower_is_harder says how a file of difficulties is read; give difficulty, or leave it out"
            raise BadUsage(msg)
        if self.features == self.coordinate_features:
            msg = f"detectors use the features '{self.features}', so coordinates must be in others; name other coordinate_features"
            raise BadUsage(msg)
        check_fraction(self.fraction, 1_000)
        if self.models % group_size(self.fraction):
            msg = (
                f"models of the grid is {self.models}, expected a multiple of {group_size(self.fraction)}: at a fraction of "
                f"{self.fraction:g} each sample is then left out equally often"
            )
            raise BadUsage(msg)

    def _check_columns(self) -> None:
        """Raise ``BadUsage`` unless there are label columns, and a file of CIFAR-N is of one of them."""
        if not self.sets and not self.variants:
            msg = "the grid names no label column; give sets, as {'aggre': 'cifar_n(labels=aggre)'}, or variants"
            raise BadUsage(msg)
        if self.labels is not None and (self.variants or not any("cifar_n" in call for call in self.sets.values())):
            msg = "labels is the file of noise 'cifar_n', and no set of the grid is of that; leave it out"
            raise BadUsage(msg)

    def columns_of(self, sets: Mapping[str, bool]) -> tuple[AtlasColumn, ...]:
        """Every column, by the name of each set and whether it has contested samples; human ones before their twins."""
        found: list[AtlasColumn] = []
        for name, contested in sets.items():
            truths = {PUBLISHED: (self.twins, self.scored)}
            if contested and self.contested == "again":
                truths[UNCONTESTED] = (self.again, 0)  # scored with the others, and judged again
            for truth, (twins, scored) in truths.items():
                found.append(AtlasColumn(name, truth, HUMAN, 0, scored=truth == PUBLISHED))
                found += [
                    AtlasColumn(name, truth, kind, draw, draw < scored) for kind in KINDS for draw in range(twins)
                ]
        return tuple(found)

    @property
    def blocks(self) -> int:
        """Blocks of heads."""
        return -(-self.models // BLOCK)


PRESETS: Mapping[str, AtlasGrid] = {
    "quick": AtlasGrid(
        source="digits",
        sets={
            "ambiguous": "neighbourhood(rate=0.1)",
            "instance": "instance(rate=0.2)",
            "random": "symmetric(rate=0.2)",
        },
        limit=700,
        features="pca",
        coordinate_features="input",
        twins=20,
        scored=5,
        again=5,
        detectors="ridge,knn",
        models=20,
        components=None,
    ),
    "standard": AtlasGrid(),
    "full": AtlasGrid(limit=None, tests=None, twins=239, scored=39, again=39, detectors="standard", models=200),
}
"""Name → what is placed. ``quick`` needs no download: three noises stand there as if people had made them.

In ``full``, ``knn_shapley`` is left out, see the presets of ``phase_grid``.
"""


def most_tasks(grid: AtlasGrid) -> int:
    """Blocks of heads and columns in all, if every set has contested samples."""
    count = len(grid.variants) or len(grid.sets)
    return grid.blocks + len(grid.columns_of({str(number): True for number in range(count)}))
