"""Recipes: everything that decides a training run but the data, the model and the seed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from noisybench.data.source import Augmentation
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadUsage

Observe = Literal["after", "during"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run but the data, the model and the seed.

    Attributes:
        epochs: Passes over the training set.
        batch_size: Samples per step.
        lr: Highest learning rate of SGD.
        momentum: Of SGD, Nesterov's.
        weight_decay: Of SGD, on every parameter.
        schedule: ``one_cycle`` climbs to ``lr`` in the first quarter and then falls to zero, both in a straight line.
        augmentation: What is done to training images.
        precision: Of training alone; observation is always float32. ``bfloat16`` is autocast, for GPUs.
    """

    epochs: int = 30
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    augmentation: Augmentation = "none"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
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


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of one step of ``steps``, counted from 0.

    >>> [round(learning_rate(Recipe(lr=1.0), step, 8), 3) for step in range(8)]
    [0.25, 0.75, 0.917, 0.75, 0.583, 0.417, 0.25, 0.083]
    """
    if recipe.schedule == "constant":
        return recipe.lr
    done = (step + 0.5) / steps  # the middle of the step, so that neither end is a step of size zero
    return recipe.lr * min(done / 0.25, (1 - done) / 0.75)


RECIPE_OF_0_1_0 = (
    "epochs", "batch_size", "lr", "momentum", "weight_decay", "schedule", "augmentation", "precision",
)  # fmt: skip
"""Fields of ``Recipe`` in version 0.1.0, which every digest of a recipe holds; see ``named_options``."""


def digest_of_training(model: str, code: str | None, name: str, recipe: Mapping[str, Any]) -> str:
    """Short digest of what decides a training but labels and seed: six hexadecimal digits.

    Args:
        model: Name of the model.
        code: Digest of the file of a user's own model; None for one of ours.
        name: Name of the recipe.
        recipe: The ``named_options`` of the recipe.
    """
    what = {"model": model, "code": code, "name": name, **recipe}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:6]
