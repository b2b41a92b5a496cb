"""What the phase study makes: its grid of targets, read from a preset, from Python or from a JSON file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from noisybench.data.alteration import load_base
from noisybench.data.source import Source, untested
from noisybench.ground.checks import check_choice, check_rate, whole
from noisybench.ground.errors import BadUsage
from noisybench.noise.class_structure import Structure, check_structure
from noisybench.runs.features_columns import columns_asked
from noisybench.studies.grid_checks import check_axis, check_fields_of


@dataclass(frozen=True, slots=True)
class PhaseGrid:
    """What the phase study makes.

    The main map has one rate and one class structure: all its points have the same number of labels in each cell of clean
    and given class. The map of a named variant has that variant's.

    Attributes:
        source: Name of a source whose clean labels are known.
        limit: Its first samples; None are all.
        rate: Share of wrong labels of the main map.
        structure: Class structure of the main map: ``symmetric``, ``pair_flip``, or ``asymmetric``.
        matrix: A file of a transition matrix, as of the noise ``difficulty``, in place of the default structure.
        features: From which detectors score; see ``choose_features``.
        coordinates: Other features, in which coherence is measured and which no detector uses.
        neighbours: Of coherence.
        bins: Of difficulty within a class, in which coherence is held against its expectation.
        difficulty: Targets of the main map, ascending: AUROC of difficulty for the flips within clean class.
        coherence: Targets of the main map, ascending: above expectation.
        draws: Of the labels at each target of the main map, at its origin, and of each counterpart.
        detectors: Names, and sets as ``score --features`` takes them.
        named_difficulty: Targets of the map of each named variant, of which one draw is made.
        named_coherence: Likewise.
        networks: Points of the main map at which networks are trained too, chosen evenly over what was reached; 0: none.
        model: Of those trainings; None takes one that suits the source.
        recipe: Of those trainings.
        epochs: Of those trainings.
        options: Further options of that recipe, as text.
        pool_models: Subset models at each of these points, of which memorization is measured.
        pool_model: What they are, on the features of detectors.
        pool_epochs: Of each of them.
        seed: Of all draws.
    """

    source: str = "cifar10"
    limit: int | None = 10_000
    rate: float = 0.35
    structure: str = "pair_flip"
    matrix: str | None = None
    features: str = "lite0"
    coordinates: str = "patches"
    neighbours: int = 10
    bins: int = 10
    difficulty: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    coherence: tuple[float, ...] = (0.0, 0.07, 0.14, 0.21, 0.28, 0.35, 0.42)
    draws: tuple[int, ...] = (0, 1, 2)
    detectors: tuple[str, ...] = ("all",)
    named_difficulty: tuple[float, ...] = (0.4, 0.5, 0.65)
    named_coherence: tuple[float, ...] = (0.0, 0.2)
    networks: int = 12
    model: str | None = None
    recipe: str = "standard"
    epochs: int = 4
    options: Mapping[str, str] = field(default_factory=dict)
    pool_models: int = 30
    pool_model: str = "mlp(width=32)"
    pool_epochs: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields_of(self)
        for name in ("difficulty", "coherence", "named_difficulty", "named_coherence"):
            check_axis(getattr(self, name), name, ascending=True)
        for name in ("draws", "detectors"):
            check_axis(getattr(self, name), name)
        check_rate(self.rate)
        check_choice(self.structure, "structure of the grid", get_args(Structure))
        if self.matrix is not None and self.structure == "pair_flip":
            object.__setattr__(self, "structure", "symmetric")  # the default, which a matrix stands in place of
        check_structure(self.structure, None if self.matrix is None else Path(self.matrix))
        self._check_targets()
        self._check_amounts()
        columns_asked(self.detectors)
        if self.coordinates.partition("(")[0] == self.features.partition("(")[0]:
            msg = (
                f"coordinates are '{self.coordinates}' and detectors score from '{self.features}': a detector must not see "
                f"what coherence is measured in; name other features for one of the two"
            )
            raise BadUsage(msg)

    def _check_targets(self) -> None:
        for name, low, high in (("difficulty", 0, 1), ("coherence", -1, 1)):
            for field_name in (name, f"named_{name}"):
                for value in getattr(self, field_name):
                    if not low <= value <= high:
                        msg = f"{field_name} of the grid must lie between {low} and {high}, got {value:g}"
                        raise BadUsage(msg)
                words = [f"{value:g}" for value in getattr(self, field_name)]
                if len({*words}) < len(words):  # of which folders are named
                    msg = f"{field_name} of the grid must differ in six digits, got {', '.join(words)}"
                    raise BadUsage(msg)
        if not 0 < self.rate < 1:
            msg = f"rate of the grid must lie between 0 and 1, got {self.rate:g}: wrong labels are held against right ones"
            raise BadUsage(msg)

    def _check_amounts(self) -> None:
        for name in ("neighbours", "bins", "epochs", "pool_epochs"):
            whole(getattr(self, name), f"{name} of the grid", least=1)
        for name in ("networks", "pool_models", "seed"):
            whole(getattr(self, name), f"{name} of the grid", least=0)
        for draw in self.draws:
            if whole(draw, "each of the draws", least=0) >= 2**31:
                msg = f"each of the draws must be below {2**31}, got {draw}"
                raise BadUsage(msg)
        if self.limit is not None:
            whole(self.limit, "limit of the grid", least=1)
        if self.pool_models == 1:
            msg = "pool_models of the grid must be 0 or at least 2: memorization is of a sample that some models have not seen"
            raise BadUsage(msg)

    def points(self, named: int) -> int:
        """Points of all maps, of so many named variants."""
        main = (len(self.difficulty) * len(self.coherence) + 1) * len(self.draws)
        own = 1 + len(self.draws) + len(self.named_difficulty) * len(self.named_coherence)
        return main + named * own

    def load(self, data: Path | None) -> Source:
        """The source, without its test set.

        Raises:
            UnknownName: There is none of that name.
            BadData: Its files are missing, or not all of its right labels are known.
            BadUsage: It has no more samples than the grid has neighbours.
        """
        source = untested(load_base(self.source, data, limit=self.limit))
        if self.neighbours >= len(source.labels):
            msg = f"neighbours of the grid must be fewer than its {len(source.labels)} samples, got {self.neighbours}"
            raise BadUsage(msg)
        return source


PRESETS: Mapping[str, PhaseGrid] = {
    "quick": PhaseGrid(
        source="digits", limit=400, features="pca", coordinates="patches", difficulty=(0.4, 0.5, 0.6),
        coherence=(0.0, 0.07, 0.14), draws=(0,), named_difficulty=(0.5,), named_coherence=(0.0, 0.1), networks=0,
    ),
    "standard": PhaseGrid(),
    "full": PhaseGrid(
        limit=50_000, difficulty=(0.25, 0.35, 0.45, 0.5, 0.55, 0.65, 0.75, 0.85),
        coherence=(0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5), draws=(0, 1, 2, 3, 4), detectors=("standard",),
        model="resnet18", epochs=100, pool_models=200,
    ),
}  # fmt: skip
"""Name → grid. ``quick`` is for a look; ``standard`` is CPU-sized; ``full`` has all of CIFAR-10, and ResNet-18.

There ``knn_shapley`` is left out: the order of 50,000 samples to each is too large to be kept for further columns.
"""
