"""What decides a run but its labels and seed: model, recipe, objective and how it is watched, chosen to suit the source."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal

import torch

from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Source, inputs_of
from noisybench.ground.checks import unknown, whole
from noisybench.ground.digests import code_of, named_options
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.files import file_name
from noisybench.ground.lookup import find
from noisybench.ground.options import parse_options
from noisybench.training.machine import choose_device
from noisybench.training.model import BuildModel, find_model
from noisybench.training.objective import (
    BY_PRODUCTS,
    CROSS_ENTROPY,
    NamedObjective,
    Objective,
    by_product,
    choose_objective,
)
from noisybench.training.probe import MOST_EPOCHS, Probe, When
from noisybench.training.recipe import Observe, Optimizer, Recipe, digest_of_training, recorded
from noisybench.training.susceptibility import Susceptibility

RecipeName = Literal["standard", "overfit"]
RECIPES: tuple[RecipeName, ...] = ("standard", "overfit")
SMALL = 5_000
"""Samples of a small set at most: it gets smaller batches and more epochs, because else there are too few steps to fit anything."""
SMALL_SIDE = 16
"""Side that images need for a convolutional network: smaller ones, such as digits, leave it nothing to pool."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a run is looked at. Nothing here changes the training.

    Attributes:
        observe: After each epoch, un-augmented and in eval mode; or during training, from the batches' own logits.
        curvature_every: Epochs between two curvature passes; the last epoch is always observed.
        curvature_draws: Random directions a pass (n). For this, the step and the period ``CURVATURE`` has names.
        curvature_step: Length of a step in each input dimension, in normalised units (h).
        curvature_power: 1 averages norms, as the authors' code does; 2 averages squared norms, as their formula says.
        susceptibility: How the loss drop of one step on randomly labelled inputs is measured: ``fixed``, ``authors`` or
            ``off``.
        susceptibility_samples: Randomly labelled inputs of ``fixed``.
        susceptibility_lr: Rate of the one step of ``fixed``.
        susceptibility_also: Further readings of it, as ``authors.noise``: see ``READINGS``.
        susceptibility_source: Name of the other source for readings such as ``fixed.source``.
        test_every: Epochs between two tests; the last epoch is always tested. Where there was no test, the history has NaN.
    """

    observe: Observe = "after"
    curvature_every: int = 2
    curvature_draws: int = 3
    curvature_step: float = 0.1
    curvature_power: int = 1
    susceptibility: Literal["fixed", "authors", "off"] = "fixed"
    susceptibility_samples: int = 512
    susceptibility_lr: float = 0.01
    susceptibility_also: tuple[str, ...] = ()
    susceptibility_source: str | None = None
    test_every: int = 1

    def __post_init__(self) -> None:
        for name in ("curvature_every", "test_every"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1 epoch, got {getattr(self, name)}"
                raise BadUsage(msg)
        self.probe("curvature")
        self.tracker()

    def every(self, probes: Iterable[str]) -> dict[str, int]:
        """Probe → epochs between two observations, where that is not one, of some probes by name; the last has all."""
        whens = {name: getattr(self.probe(name), "when", "every_epoch") for name in probes}
        epochs: dict[When, int] = {"with_curvature": self.curvature_every, "last_epoch": MOST_EPOCHS}
        return {name: epochs[when] for name, when in whens.items() if when in epochs}

    def probe(self, name: str) -> Probe:
        """The probe of that name, with the options of this watch."""
        if name in BY_PRODUCTS:
            return by_product(name)
        how: dict[str, dict[str, float]] = {
            "curvature": {"draws": self.curvature_draws, "step": self.curvature_step, "power": self.curvature_power},
            "curvature_zeroth": {"step": self.curvature_step},
            "curvature_exact": {"draws": self.curvature_draws, "power": self.curvature_power},
        }
        found = find("probes", name)
        probe: Probe = replace(found, **how[name]) if name in how else found
        return probe

    def tracker(self) -> Susceptibility | None:
        """How to track susceptibility; None where it is off."""
        if self.susceptibility == "off":
            if self.susceptibility_also or self.susceptibility_source:
                msg = "susceptibility is off, and further readings of it are asked for; say susceptibility=fixed or authors"
                raise BadUsage(msg)
            return None
        return Susceptibility(
            self.susceptibility,
            self.susceptibility_samples,
            self.susceptibility_lr,
            also=tuple(self.susceptibility_also),
            source=self.susceptibility_source,
        )


WATCH_OF_0_1_0 = (
    "observe", "curvature_every", "curvature_draws", "curvature_step", "curvature_power", "susceptibility",
    "susceptibility_samples", "susceptibility_lr",
)  # fmt: skip
"""Fields of ``Watch`` in version 0.1.0, which every digest of a setup holds; see ``named_options``."""
CURVATURE: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "authors": {"curvature_every": "5", "curvature_draws": "10", "curvature_step": "1e-3"},
}
"""Name of a choice → the options that it stands for, said as ``curvature=authors``: that of the authors was the default up
to version 0.3.0. No digest and no record holds the name, so that runs of those versions are the same runs."""
WATCH_OPTIONS = frozenset({"curvature", *(field.name for field in fields(Watch))})
"""Names of all options that say how a run is looked at."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a run but the labels and the seed.

    Attributes:
        model: Name of the model.
        build: Builds it.
        recipe_name: The recipe that ``recipe`` started from.
        recipe: How to train.
        watch: How to look.
        code: Digest of the file that a model of the user's own stands in: an edited model is another one.
        chosen: The objective, and what it was found by.
    """

    model: str
    build: BuildModel
    recipe_name: RecipeName
    recipe: Recipe
    watch: Watch
    code: str | None
    chosen: NamedObjective = field(default_factory=partial(choose_objective, CROSS_ENTROPY))

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return self.chosen.objective

    @property
    def setup(self) -> str:
        """Digest of model, recipe, objective and options: runs that differ in anything but labels and seed differ in it."""
        what = {"model": self.model, "code": self.code, "name": self.recipe_name}
        what |= {**recorded(self.recipe), **watched_as(self.watch)}
        what |= self.chosen.digested
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @property
    def trained(self) -> str:
        """Short digest of what decides the training, however it is watched: model, code, recipe and objective."""
        options = {**recorded(self.recipe), **self.chosen.digested}
        return digest_of_training(self.model, self.code, self.recipe_name, options)

    @property
    def folder(self) -> str:
        """Name of its folder, safe on every file system."""
        return f"{file_name(self.model)}-{self.recipe_name}-{self.setup[:8]}"


def watched_as(watch: Watch) -> dict[str, Any]:
    """Field → value as digests and records hold it: what JSON knows, and of later fields those not at their default."""
    told = named_options(watch, WATCH_OF_0_1_0)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def plan_run(
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "standard",
    epochs: int | None = None,
    options: Mapping[str, str] | None = None,
    objective: str | Objective = CROSS_ENTROPY,
    objective_options: Mapping[str, str] | None = None,
    device: str = "auto",
) -> Plan:
    """Choose what was left open, to suit the source.

    Args:
        source: What will be trained on.
        model: Name, with options where it has some (``small_cnn(width=8)``), or a function of the caller's; None takes ``small_cnn`` for images of at least 16 × 16, else ``mlp``.
        recipe: ``standard`` (augmentation where the source allows it, weight decay) or ``overfit`` (neither).
        epochs: None takes the recipe's.
        options: Fields of ``Recipe`` and ``Watch`` as text; or ``curvature``, a name of ``CURVATURE``, whose options those
            that are given themselves go before.
        objective: What is minimised: name of a file of ``objectives/``, or ``package.module:attribute``; or an objective.
        objective_options: Its options as text, where it is given by name.
        device: Where it will be trained, which decides the precision; ``auto`` takes a GPU where there is one.

    Raises:
        UnknownName: No such model, recipe, objective or option.
        BadUsage: A value that cannot be meant.
    """
    inputs_of(source, "a training")
    if recipe not in RECIPES:
        raise UnknownName(unknown(recipe, RECIPES, "recipe"))
    if source.num_classes < 2:  # noqa: PLR2004 - nothing to tell apart
        msg = f"source '{source.name}' has {source.num_classes} class; a classifier needs at least 2"
        raise BadUsage(msg)
    name: RecipeName = "overfit" if recipe == "overfit" else "standard"
    device = choose_device(device)
    if model is None:
        large = len(source.input_shape) == IMAGE_DIMENSIONS - 1 and min(source.input_shape[1:]) >= SMALL_SIDE
        model = "small_cnn" if large else "mlp"
    label, build = find_model(model) if isinstance(model, str) else (_name_of(model), model)
    recipe_options, watch_options = _split_options(options or {}, epochs)
    chosen = parse_options(Recipe, recipe_options, what="the recipe")
    return Plan(
        model=label,
        build=build,
        recipe_name=name,
        recipe=replace(
            _recipe(name, source, device, chosen.optimizer), **{key: getattr(chosen, key) for key in recipe_options}
        ),
        watch=parse_options(Watch, watch_options, what="'evaluate'"),
        code=code_of(getattr(build, "func", build)),
        chosen=choose_objective(objective, objective_options),
    )


def _split_options(options: Mapping[str, str], epochs: int | None) -> tuple[dict[str, str], dict[str, str]]:
    """The options of the recipe, ``epochs`` among them where they are given, and those of the watch.

    Raises:
        BadUsage: The epochs are given twice, or are no whole number.
        UnknownName: An option is of neither.
    """
    given = dict(options)
    if epochs is not None:
        if "epochs" in given:
            msg = f"the epochs are given twice: {epochs} and, as an option, {given['epochs']}"
            raise BadUsage(msg)
        given["epochs"] = str(whole(epochs, "epochs"))
    recipe_names, watch_names = {field.name for field in fields(Recipe)}, WATCH_OPTIONS
    chosen = given.pop("curvature", "default")
    if chosen not in CURVATURE:
        msg = f"option 'curvature' of 'evaluate' must be one of {', '.join(CURVATURE)}, got '{chosen}'"
        raise BadUsage(msg)
    given = {**CURVATURE[chosen], **given}
    for key in given:
        if key not in recipe_names | watch_names:
            raise UnknownName(unknown(key, tuple(sorted(recipe_names | watch_names)), "option of 'evaluate'"))
    of_recipe, of_watch = ({k: v for k, v in given.items() if k in names} for names in (recipe_names, watch_names))
    return of_recipe, of_watch


def _name_of(build: BuildModel) -> str:
    """``module:function`` of a caller's own model.

    Raises:
        BadUsage: It has no name of its own in a module, so that two of them could not be told apart.
    """
    name = getattr(build, "__qualname__", "<object>")
    if "<" in name:
        msg = f"a model of your own must be a function of a module, got {build!r}; define it with def at the top level"
        raise BadUsage(msg)
    return f"{build.__module__}:{name}"


def _recipe(name: RecipeName, source: Source, device: str, optimizer: Optimizer) -> Recipe:
    """A recipe that suits the size of the source, and the optimiser: AdamW wants smaller rates, and has its own decay."""
    small = len(source.labels) <= SMALL
    precision: Literal["float32", "bfloat16"] = "float32"
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        precision = "bfloat16"
    adamw = optimizer == "adamw"
    if name == "overfit":
        return Recipe(
            epochs=60 if small else 30,
            batch_size=32,
            lr=ADAMW_LR if adamw else 0.1 if small else 0.05,
            weight_decay=0.0,
            precision=precision,
        )
    return Recipe(
        epochs=30 if small else 20,
        batch_size=32 if small else 128,
        lr=ADAMW_LR if adamw else 0.1,
        weight_decay=ADAMW_DECAY if adamw else 5e-4,
        augmentation=source.augmentation,
        precision=precision,
    )


ADAMW_LR, ADAMW_DECAY = 1e-3, 1e-2
"""Learning rate and weight decay of AdamW where none is given: those of its authors' code, and of torch."""
