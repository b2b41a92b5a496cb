"""Recipes: everything that decides a training run but the data, the model and the seed."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from noisybench.data.source import Augmentation
from noisybench.ground.checks import check_choice, whole
from noisybench.ground.digests import named_options
from noisybench.ground.errors import BadUsage

Observe = Literal["after", "during"]
Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["one_cycle", "cosine", "multi_step", "constant"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run but the data, the model and the seed.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Samples per step.
        lr: Highest learning rate.
        momentum: Of SGD, Nesterov's; of AdamW the first of its two rates of decay, the other being .999.
        weight_decay: On every parameter; of AdamW decoupled from the gradient.
        schedule: What becomes of ``lr``, step by step, see ``learning_rate``.
        augmentation: What is done to training images.
        precision: Of training alone; observation is always float32. ``bfloat16`` is autocast, for GPUs.
        optimizer: ``sgd`` or ``adamw``.
        cosine_cycles: How often ``cosine`` falls from ``lr``, each time as long: more than once are warm restarts.
        cosine_floor: Where each fall of ``cosine`` ends, as a share of ``lr``.
        milestones: Shares of the training, ascending, at which ``multi_step`` multiplies the rate.
        milestone_factor: What ``multi_step`` multiplies it by.
    """

    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Schedule = "one_cycle"
    augmentation: Augmentation = "none"
    precision: Literal["float32", "bfloat16"] = "float32"
    optimizer: Optimizer = "sgd"
    cosine_cycles: int = 1
    cosine_floor: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    milestone_factor: float = 0.1

    def __post_init__(self) -> None:
        check_choice(self.optimizer, "recipe: optimizer", get_args(Optimizer))
        check_choice(self.schedule, "recipe: schedule", get_args(Schedule))
        for name in ("epochs", "batch_size"):
            object.__setattr__(self, name, whole(getattr(self, name), f"recipe: {name}"))
        lowest = {"epochs": 1, "batch_size": 2, "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0}
        for name, least in lowest.items():
            value = getattr(self, name)
            if not least <= value < float("inf"):
                msg = f"recipe: {name} must be at least {least:g} and finite, got {value:g}"
                raise BadUsage(msg)
        if self.momentum >= 1:
            msg = f"recipe: momentum must be below 1, got {self.momentum:g}"
            raise BadUsage(msg)
        self._check_schedule()

    def _check_schedule(self) -> None:
        """Raise ``BadUsage`` for what a schedule cannot mean, and for an option of a schedule that is not this one."""
        object.__setattr__(self, "cosine_cycles", whole(self.cosine_cycles, "recipe: cosine_cycles", least=1))
        for name in ("cosine_floor", "milestone_factor"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                msg = f"recipe: {name} must be a share from 0 to 1, got {value:g}"
                raise BadUsage(msg)
        try:
            shares = tuple(float(share) for share in self.milestones)
        except (TypeError, ValueError):
            shares = ()
        if not shares or list(shares) != sorted({*shares}) or not 0 < shares[0] <= shares[-1] < 1:
            msg = f"recipe: milestones must be shares between 0 and 1 that ascend, such as 0.5,0.75, got {self.milestones}"
            raise BadUsage(msg)
        object.__setattr__(self, "milestones", shares)
        of = {
            "cosine_cycles": "cosine",
            "cosine_floor": "cosine",
            "milestones": "multi_step",
            "milestone_factor": "multi_step",
        }
        for field in fields(self):
            if of.get(field.name, self.schedule) != self.schedule and getattr(self, field.name) != field.default:
                msg = f"recipe: {field.name} is an option of schedule={of[field.name]}, and the schedule is {self.schedule}"
                raise BadUsage(msg)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of one step of ``steps``, counted from 0.

    ``one_cycle`` climbs to ``lr`` in the first quarter and then falls to zero, both in a straight line. ``cosine`` falls
    from ``lr`` along half a cosine, ``cosine_cycles`` times. ``multi_step`` multiplies by ``milestone_factor`` from each
    milestone on. ``constant`` stays.

    Source: for ``cosine``, Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5 with cycles of one length; here each
    step has a rate of its own, where many codes change it once an epoch.

    >>> [round(learning_rate(Recipe(lr=1.0), step, 8), 3) for step in range(8)]
    [0.25, 0.75, 0.917, 0.75, 0.583, 0.417, 0.25, 0.083]
    >>> [round(learning_rate(Recipe(lr=1.0, schedule="cosine", cosine_cycles=2), step, 8), 3) for step in range(8)]
    [1.0, 0.854, 0.5, 0.146, 1.0, 0.854, 0.5, 0.146]
    >>> [round(learning_rate(Recipe(lr=1.0, schedule="multi_step"), step, 8), 3) for step in range(8)]
    [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "cosine":
        fallen = (1 - math.cos(math.pi * (step * recipe.cosine_cycles % steps) / steps)) / 2
        return recipe.lr * (1 - fallen * (1 - recipe.cosine_floor))
    if recipe.schedule == "multi_step":
        passed = sum(step >= share * steps for share in recipe.milestones)
        return recipe.lr * float(recipe.milestone_factor**passed)
    done = (step + 0.5) / steps  # the middle of the step, so that neither end is a step of size zero
    return recipe.lr * min(done / 0.25, (1 - done) / 0.75)


RECIPE_OF_0_1_0 = (
    "epochs", "batch_size", "lr", "momentum", "weight_decay", "schedule", "augmentation", "precision",
)  # fmt: skip
"""Fields of ``Recipe`` in version 0.1.0, which every digest of a recipe holds; see ``named_options``."""
LATER_OPTIONS = tuple(field.name for field in fields(Recipe) if field.name not in RECIPE_OF_0_1_0)
"""Fields that came later: digests and records hold those of them that are not at their default."""


def recorded(recipe: Recipe) -> dict[str, Any]:
    """Field → value as digests and records hold it: what JSON knows, and of later fields those not at their default."""
    told = named_options(recipe, RECIPE_OF_0_1_0)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def digest_of_training(model: str, code: str | None, name: str, recipe: Mapping[str, Any]) -> str:
    """Short digest of what decides a training but labels and seed: six hexadecimal digits.

    Args:
        model: Name of the model.
        code: Digest of the file of a user's own model; None for one of ours.
        name: Name of the recipe.
        recipe: The recipe as ``recorded``.
    """
    what = {"model": model, "code": code, "name": name, **recipe}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:6]
