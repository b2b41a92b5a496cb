"""What the trainings of the susceptibility study left, as arrays: settings by seeds, and the pools that models are chosen from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from noisybench.ground.arrays import Floats, Indices
from noisybench.ground.random_streams import permutation
from noisybench.statistics.association import resampled
from noisybench.statistics.intervals import wilson
from noisybench.statistics.regions import ModelPool, mean_where
from noisybench.studies.grids import grid_of_results
from noisybench.studies.results import StudyResults
from noisybench.studies.susceptibility_grid import PRIMARY, GridSetting, SusceptibilityGrid
from noisybench.training.susceptibility import READINGS

MEMORIZING = 2
"""Settings that must fit more of the wrong labels than chance would, or a variant was not memorized."""


def known_mean(values: Floats) -> Floats:
    """Mean along the last axis of what is known, NaN where nothing is: (…, m) → (…)."""
    return mean_where(values, np.isfinite(values))


class Trained(NamedTuple):
    """What the trainings on one variant left.

    Attributes:
        variant: What it is called.
        about: Its record.
        settings: Those of the grid, in its order.
        seeds: Of the grid.
        values: Field of a run → its value for each setting and seed, shape (s, r); NaN where there is none.
        epochs: Field → the same at each epoch, shape (s, r, e).
    """

    variant: str
    about: Mapping[str, Any]
    settings: tuple[GridSetting, ...]
    seeds: tuple[int, ...]
    values: Mapping[str, Floats]
    epochs: Mapping[str, Floats]

    def mean(self, field: str) -> Floats:
        """Mean over the seeds that are known, shape (s,)."""
        return known_mean(self.values.get(field, np.full((len(self.settings), len(self.seeds)), np.nan)))

    @property
    def readings(self) -> tuple[str, ...]:
        """Readings that were taken, the primary one first."""
        taken = [name for name in READINGS if f"zeta.{name}" in self.values and name != PRIMARY]
        return (PRIMARY, *taken)

    @property
    def chance(self) -> float:
        """Share of the wrong labels that random answers would fit."""
        return 1 / int(self.about["classes"])

    @property
    def memorizing(self) -> int:
        """Settings that fit more of the wrong labels than random answers would: Wilson's 95 % interval lies above that."""
        wrong, fits = int(self.about["wrong"]), self.mean("mislabeled_fit")
        if not wrong:
            return 0
        return sum(bool(wilson(float(fit), wrong).low > self.chance) for fit in fits if np.isfinite(fit))

    @property
    def nothing(self) -> str:
        """Why nothing is correlated, in a sentence; empty where something was memorized."""
        if not self.about["wrong"]:
            return f"{self.variant}: no label is known to be wrong, so none can be seen to be fitted."
        if self.memorizing < MEMORIZING:
            most = np.nanmax(self.mean("mislabeled_fit"), initial=0.0)
            return (
                f"{self.variant}: memorized nothing. At most {most:.1%} of the wrong labels are fitted, and random answers "
                f"would fit {self.chance:.1%}; no susceptibility is correlated with that."
            )
        return ""

    @property
    def resisted(self) -> bool:
        """Whether there is something to resist: wrong labels that are memorized, or nobody knows which are wrong."""
        return not self.nothing or self.about.get("wrong_share") is None

    @property
    def parts(self) -> tuple[Indices, ...]:
        """Places of the settings that are redrawn together: all, or, where there is one seed, each of two random halves."""
        if len(self.seeds) > 1:
            return (np.arange(len(self.settings)),)
        first = permutation(0, "halves of settings", len(self.settings)) < len(self.settings) // 2
        return np.flatnonzero(first), np.flatnonzero(~first)

    def redrawn(self, random: np.random.Generator, count: int) -> tuple[Indices, ...]:
        """Resamples of each of the parts, shape (count, m) each."""
        return tuple(part[resampled(len(part), random, count)] for part in self.parts)

    def judged(self, parts: Sequence[Indices]) -> list[Indices]:
        """Places of the settings of each pool, in the order of ``pools``."""
        return [parts[0]] * len(self.seeds) if len(self.seeds) > 1 else [*parts]

    def pools(self, reading: str, parts: Sequence[Indices] | None = None) -> list[ModelPool]:
        """Pools of which one is judged by thresholds of another.

        With several seeds, the trainings of one seed are judged by the means of the others. With one, each random half of
        the settings is judged by the other.

        Args:
            reading: Of susceptibility.
            parts: Places of settings as of ``redrawn``; None: each once.
        """
        taken = self.parts if parts is None else parts
        fields = ("train_accuracy", f"zeta.{reading}", "test_accuracy")
        unknown = np.full((len(self.settings), len(self.seeds)), np.nan)
        accuracy, zeta, test = (self.values.get(field, unknown) for field in fields)
        if len(self.seeds) == 1:
            return [
                ModelPool(accuracy[own, 0], zeta[own, 0], test[own, 0], accuracy[other, 0], zeta[other, 0])
                for own, other in (taken, taken[::-1])
            ]
        found, own = [], taken[0]
        for place in range(len(self.seeds)):
            others = [other for other in range(len(self.seeds)) if other != place]
            told = (accuracy[own, place], zeta[own, place], test[own, place])
            found.append(ModelPool(*told, *(known_mean(values[own][..., others]) for values in (accuracy, zeta))))
        return found

    def own(self, field: str, parts: Sequence[Indices]) -> list[Floats]:
        """A field of the very trainings that each pool judges, in the order of ``pools``."""
        values = self.values.get(field, np.full((len(self.settings), len(self.seeds)), np.nan))
        seeds = range(len(self.seeds)) if len(self.seeds) > 1 else [0] * len(parts)
        return [values[places, seed] for places, seed in zip(self.judged(parts), seeds, strict=True)]


def trained_of(results: StudyResults) -> list[Trained]:
    """The trainings of some results, a variant each."""
    grid = grid_of_results(results, "susceptibility", SusceptibilityGrid)
    places = {setting.name: k for k, setting in enumerate(grid.settings)}
    seeds = {seed: k for k, seed in enumerate(grid.seeds)}
    found = []
    for about in results.of("variant"):
        own = about["variant"]
        values: dict[str, Floats] = {}
        epochs: dict[str, Floats] = {}
        shape = (len(places), len(seeds))
        for kind, into, full in (("run", values, shape), ("epoch", epochs, (*shape, grid.epochs))):
            for record in results.of(kind):
                if record["variant"] != own:
                    continue
                place: tuple[int, ...] = (places[record["setting"]], seeds[record["seed"]])
                place = place if kind == "run" else (*place, record["epoch"] - 1)
                for field, value in record.items():
                    if isinstance(value, float):
                        into.setdefault(field, np.full(full, np.nan))[place] = value
        found.append(Trained(own, about, grid.settings, grid.seeds, values, epochs))
    return found
