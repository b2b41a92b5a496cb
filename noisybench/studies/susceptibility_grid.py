"""What the susceptibility study trains: its grid of settings, read from a preset, from Python or from a JSON file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple, get_args

import numpy as np

from noisybench.data.inputs import read_rows
from noisybench.data.source import Source
from noisybench.ground.checks import unknown, whole
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.runs.record import OF_RULES
from noisybench.runs.schemes import SCHEMES
from noisybench.studies.grid_checks import check_axis, check_fields_of, check_own_options
from noisybench.training.objective import choose_objective
from noisybench.training.plan import RECIPES, Plan, plan_run
from noisybench.training.recipe import Schedule
from noisybench.training.susceptibility import READINGS

PRIMARY = "authors.training"
"""The reading of the paper's code, and its images: what the first column of every history holds here."""


class GridSetting(NamedTuple):
    """A way to train, without its seed: the unit of the study."""

    model: str
    learning_rate: float
    schedule: str
    recipe: str
    objective: str

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.model}, lr {self.learning_rate:g}, {self.schedule}, {self.recipe}, {self.objective}"


@dataclass(frozen=True, slots=True)
class SusceptibilityGrid:
    """Settings that are trained on each variant: every combination, or a half of them.

    Attributes:
        models: Names, with a width where they have one, as ``mlp(width=64)``.
        learning_rates: Each of its own stratum.
        schedules: See ``Recipe``.
        recipes: ``standard``, ``overfit``.
        objectives: Names of objectives.
        half: Only every second combination: those of which the sum of places is even, a half fraction in which every two
            axes are still crossed.
        seeds: Trainings of each setting; their mean is what counts.
        epochs: Of each.
        rivals: Rules with trainings of their own to select by: ``noisy_validation`` and ``ratt`` take one training more of
            each setting, ``pmv`` four; with the first seed alone.
        pmv_samples: Samples of a variant up to which ``pmv`` is trained; None: always.
        tests: Test samples that are asked after each epoch, spread over the test set; None: all, which may take longer than a
            small training.
        others: Sources whose images are one of the readings: the first that is not the variant's own.
        options: Of recipe and watch, as text, for all.
    """

    models: tuple[str, ...] = ("mlp(width=32)", "mlp(width=256)", "small_cnn(width=8)")
    learning_rates: tuple[float, ...] = (0.01, 0.05)
    schedules: tuple[str, ...] = ("constant", "cosine")
    recipes: tuple[str, ...] = ("standard", "overfit")
    objectives: tuple[str, ...] = ("cross_entropy", "elr")
    half: bool = True
    seeds: tuple[int, ...] = (0, 1)
    epochs: int = 10
    rivals: tuple[str, ...] = OF_RULES
    pmv_samples: int | None = 1_500
    tests: int | None = 2_000
    others: tuple[str, ...] = ("digits",)
    options: Mapping[str, str] = field(default_factory=lambda: {"batch_size": "64", "susceptibility_samples": "128"})

    def __post_init__(self) -> None:
        check_fields_of(self)
        for name in (*AXES, "seeds"):
            check_axis(getattr(self, name), name)
        check_own_options(self.options, DECIDED)
        known = {"recipes": RECIPES, "schedules": get_args(Schedule), "rivals": OF_RULES}
        for name, choices in known.items():
            given: tuple[str, ...] = getattr(self, name)
            for one in given:
                if one not in choices:
                    raise UnknownName(unknown(one, choices, name.removesuffix("s")))
        for objective in self.objectives:
            choose_objective(objective)
        whole(self.epochs, "epochs of the grid", least=4)
        for name in ("tests", "pmv_samples"):
            if getattr(self, name) is not None:
                whole(getattr(self, name), f"{name} of the grid", least=1)
        if len(self.settings) < FEWEST_SETTINGS:
            msg = (
                f"the grid has {len(self.settings)} settings, expected at least {FEWEST_SETTINGS}: they are the units of every "
                f"correlation; name more models, learning_rates, schedules, recipes or objectives"
            )
            raise BadUsage(msg)

    @property
    def settings(self) -> tuple[GridSetting, ...]:
        """Every setting."""
        places = product(*(range(len(getattr(self, name))) for name in AXES))
        return tuple(
            GridSetting(*(getattr(self, name)[k] for name, k in zip(AXES, place, strict=True)))
            for place in places
            if not self.half or sum(place) % 2 == 0
        )

    def rivals_on(self, samples: int) -> tuple[str, ...]:
        """Rivals that are trained on a variant of so many samples."""
        few = self.pmv_samples is None or samples <= self.pmv_samples
        return tuple(rule for rule in self.rivals if rule != "pmv" or few)

    @property
    def trainings(self) -> int:
        """Trainings on one variant at most, those of rivals among them."""
        further = sum(scheme.trainings for rule, scheme in SCHEMES.items() if rule in self.rivals)
        return len(self.settings) * (len(self.seeds) + further)

    def seen(self, source: Source) -> Source:
        """The source with as many test samples as are asked for."""
        if self.tests is None or source.test_labels is None or len(source.test_labels) <= self.tests:
            return source
        rows = np.unique(np.linspace(0, len(source.test_labels) - 1, self.tests).round().astype(np.int64))
        marks = {name: values[rows] for name, values in source.test_marks.items()}
        inputs = source.test_inputs if source.test_inputs is None else read_rows(source.test_inputs, rows)
        return replace(source, test_inputs=inputs, test_labels=source.test_labels[rows], test_marks=marks)

    def readings(self, source: Source) -> tuple[str, ...]:
        """Readings beside the primary one: of those images that there are."""
        lacking = set() if source.test_inputs is not None else {"test"}
        lacking |= set() if self.other(source) else {"source"}
        return tuple(name for name in READINGS if name != PRIMARY and name.partition(".")[2] not in lacking)

    def other(self, source: Source) -> str | None:
        """The other source, none where all are the variant's own."""
        return next((name for name in self.others if name != source.name), None)

    def plan(self, source: Source, setting: GridSetting, device: str) -> Plan:
        """How a setting is trained and watched."""
        readings = self.readings(source)
        watch = {"susceptibility": "authors", "susceptibility_also": ",".join(readings)}
        other = self.other(source)
        watch |= {} if other is None else {"susceptibility_source": other}
        return plan_run(
            source,
            model=setting.model,
            recipe=setting.recipe,
            epochs=self.epochs,
            options={**watch, "lr": str(setting.learning_rate), "schedule": setting.schedule, **self.options},
            objective=setting.objective,
            device=device,
        )


DECIDED: Mapping[str, str] = {
    "lr": "learning_rates",
    "schedule": "schedules",
    "epochs": "epochs",
    **dict.fromkeys(
        ("susceptibility", "susceptibility_also", "susceptibility_source"), "the study, which takes all readings"
    ),
}
"""Option → what decides it."""
AXES = ("models", "learning_rates", "schedules", "recipes", "objectives")
"""Fields of a grid whose combinations are settings, in the order of a setting's own fields."""
FEWEST_SETTINGS = 6
PRESETS: Mapping[str, SusceptibilityGrid] = {
    "quick": SusceptibilityGrid(
        models=("mlp(width=16)", "mlp(width=512)"), learning_rates=(0.02, 0.05, 0.1), schedules=("one_cycle",),
        recipes=("overfit",), objectives=("cross_entropy",), half=False, seeds=(0,), epochs=10, rivals=("noisy_validation",), options={},
    ),
    "standard": SusceptibilityGrid(),
    "full": SusceptibilityGrid(
        models=("resnet18", "resnet18(width=16)", "small_cnn(width=64)"), learning_rates=(0.01, 0.1),
        seeds=(0, 1, 2), epochs=200, tests=None, pmv_samples=None, options={"batch_size": "128"},
    ),
}  # fmt: skip
"""Name → grid. ``quick`` is for a look; ``standard`` is CPU-sized; ``full`` has the paper's network, batch and epochs."""
