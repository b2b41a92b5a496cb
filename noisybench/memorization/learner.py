"""The learner: what was trained, and how. Memorization belongs to a learner, not to a data set. No torch here."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from noisybench.training.recipe import RECIPE_OF_0_1_0, Recipe, digest_of_training

Estimand = Literal["subsets", "leave_one_out", "leave_one_out_margin", "c_score"]
"""What is called a sample's memorization: of models on random subsets, the probability of its label with it minus that
without it; of one model on all samples, whether it gives the label minus whether the refit without the sample does; the
model's answer for the label minus that of the refit; or one minus the C-score, which is how often models that did not see a
sample miss its label, and of which no part is what they say having seen it."""
EXACT_ESTIMANDS: tuple[Estimand, ...] = ("leave_one_out", "leave_one_out_margin")
"""Those that leave out each sample exactly, so that no model is drawn and nothing has a sampling error."""
ESTIMANDS: tuple[Estimand, ...] = ("subsets", *EXACT_ESTIMANDS)
"""Those that are measured here."""
ESTIMAND_WORDS: Mapping[str, str] = {
    "leave_one_out": "leave-one-out", "leave_one_out_margin": "leave-one-out margin", "c_score": "one minus C-score"
}  # fmt: skip

CLOSED_FORM = "closed_form"
"""Recipe of what is solved and not trained."""
FITTED = "sklearn"
"""Recipe of what scikit-learn fits, and what its models' names begin with, as in ``sklearn:RandomForestClassifier``."""
RELEASED = "released"
"""Recipe of what others trained and released: ``model`` says who, and ``trained`` begins the digest of their file."""
CLOSED_FORM_MODELS = ("ridge", "kernel_ridge", "kernel_ridge_nystrom")
"""Models that are solved; the last is Nyström's approximation of the second."""


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
        estimand: What is called its memorization, see ``Estimand``.
    """

    model: str
    recipe: str
    epochs: int
    trained: str
    features: str = "input"
    fraction: float | None = None
    balanced: bool = True
    objective: str = ""
    estimand: Estimand = "subsets"

    @property
    def name(self) -> str:
        """In words, for people; nothing is decided by them."""
        share = "" if self.fraction is None else f"{'' if self.balanced else 'random '}fraction {self.fraction:g}, "
        by = f"{self.objective}, " if self.objective else ""
        if self.is_released:
            asked = ESTIMAND_WORDS.get(self.estimand) or share.removesuffix(", ")
            return f"{self.model}, released ({self.trained}), {asked}"
        if self.recipe == CLOSED_FORM:
            asked = f"{ESTIMAND_WORDS[self.estimand]}, " if self.is_exact else share
            return f"{self.model}, {by}closed form ({self.trained}), {asked}on {self.features}"
        if self.recipe == FITTED:
            return f"{self.model} ({self.trained}), {share}on {self.features}"
        return f"{self.model}, {self.recipe}, {by}{self.epochs} epochs ({self.trained}), {share}on {self.features}"

    @property
    def is_exact(self) -> bool:
        """Whether its memorization is that of leaving out each sample, which no model is drawn for and no error has."""
        return self.estimand in EXACT_ESTIMANDS

    @property
    def is_released(self) -> bool:
        """Whether others measured it and released their file: what that does not hold, nobody knows."""
        return self.recipe == RELEASED

    def as_json(self) -> dict[str, Any]:
        """Field → value; of fields that came after version 0.4.0, those not at their default."""
        told = asdict(self)
        return (
            told if self.estimand != "subsets" else {name: value for name, value in told.items() if name != "estimand"}
        )

    def is_same_training(self, other: "Learner") -> bool:
        """Whether both train the same model, in the same way, on the same features, be it on all samples or on subsets."""
        return all(getattr(self, name) == getattr(other, name) for name in TRAINING)


TRAINING = ("model", "recipe", "objective", "epochs", "trained", "features")
"""Fields of a learner that say how it trains; the others say on which samples."""


def learner_of_setup(setup: Mapping[str, Any]) -> Learner:
    """The learner that the record of a block of models describes, see ``SubsetPlan.setup``."""
    if setup["recipe"] == CLOSED_FORM:
        return _solved(setup)
    if setup["recipe"] == FITTED:
        return _fitted(setup)
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


def _solved(setup: Mapping[str, Any]) -> Learner:
    """The learner of what is solved in closed form, see ``ClosedFormPlan.setup``."""
    options, exact = dict(setup["options"]), setup["estimand"] != "subsets"
    told = ",".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in sorted(options.items())
    )
    return Learner(
        model=setup["model"],
        recipe=CLOSED_FORM,
        epochs=0,
        trained=digest_of_training(setup["model"], None, CLOSED_FORM, options),
        features=setup["features"],
        fraction=None if exact else setup["fraction"],
        balanced=exact or setup["balanced"],
        objective=f"squared_error({told})",
        estimand=setup["estimand"],
    )


def _fitted(setup: Mapping[str, Any]) -> Learner:
    """The learner of what scikit-learn fits, see ``FittedPlan.setup``."""
    return Learner(
        model=setup["model"],
        recipe=FITTED,
        epochs=0,
        trained=digest_of_training(setup["model"], setup["code"], FITTED, {}),
        features=setup["features"],
        fraction=setup["fraction"],
        balanced=setup["balanced"],
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
