"""The learner: what was trained, and how. Memorization belongs to a learner, not to a data set. No torch here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from noisybench.training.recipe import RECIPE_OF_0_1_0, Recipe, digest_of_training


@dataclass(frozen=True, slots=True)
class Learner:
    """What was trained, and how; how it was watched plays no part.

    Attributes:
        model: Name of the model.
        recipe: Name of the recipe.
        epochs: Passes over what it was trained on.
        trained: Short digest of model, code and every option of the recipe; it tells apart what has the same names.
        features: What the model saw, in one word: ``input``, or the name of frozen features.
        fraction: Share of the samples in each random subset; None where it was trained on all.
        balanced: Whether every sample was left out equally often.
        objective: What was minimised, in words such as ``elr(strength=1)``; empty of cross-entropy.
    """

    model: str
    recipe: str
    epochs: int
    trained: str
    features: str = "input"
    fraction: float | None = None
    balanced: bool = True
    objective: str = ""

    @property
    def name(self) -> str:
        """In words, for people; nothing is decided by them."""
        share = "" if self.fraction is None else f"{'' if self.balanced else 'random '}fraction {self.fraction:g}, "
        by = f"{self.objective}, " if self.objective else ""
        return f"{self.model}, {self.recipe}, {by}{self.epochs} epochs ({self.trained}), {share}on {self.features}"

    def is_same_training(self, other: "Learner") -> bool:
        """Whether both train the same model, in the same way, on the same features, be it on all samples or on subsets."""
        return all(getattr(self, name) == getattr(other, name) for name in TRAINING)


TRAINING = ("model", "recipe", "objective", "epochs", "trained", "features")
"""Fields of a learner that say how it trains; the others say on which samples."""


def learner_of_setup(setup: Mapping[str, Any]) -> Learner:
    """The learner that the record of a block of models describes, see ``SubsetPlan.setup``."""
    recipe = {field.name: setup[field.name] for field in fields(Recipe) if field.name in {*RECIPE_OF_0_1_0, *setup}}
    by = {name: setup[name] for name in ("objective", "objective_code") if name in setup}
    return Learner(
        model=setup["model"],
        recipe=setup["recipe"],
        epochs=setup["epochs"],
        trained=digest_of_training(setup["model"], setup["code"], setup["recipe"], {**recipe, **by}),
        features=setup["features"],
        fraction=setup["fraction"],
        balanced=setup["balanced"],
        objective=by.get("objective", ""),
    )


def learner_in_words(words: str) -> Learner | None:
    """The learner of a sentence of version 0.1.0, which stored nothing else; None where the words are no such sentence.

    >>> learner_in_words("mlp, overfit, 45 epochs (558730), random fraction 0.7, on pca(components=20)").fraction
    0.7
    """
    found = re.fullmatch(
        r"(.+), (\w+), ([0-9]{1,9}) epochs \((\w*)\), (random )?fraction ([0-9.e-]{1,20}), on (.+)", words
    )
    if found is None:
        return None
    model, recipe, epochs, trained, at_random, fraction, features = found.groups()
    try:
        return Learner(model, recipe, int(epochs), trained, features, float(fraction), not at_random)
    except ValueError:
        return None
