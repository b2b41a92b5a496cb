"""Planning what is retrained on random subsets: a model, a recipe, an objective, what it sees and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from noisybench.data.extraction import choose_features, features_of
from noisybench.data.source import Source, untested
from noisybench.ground.arrays import Features
from noisybench.ground.checks import check_kind
from noisybench.ground.errors import BadUsage
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import Purpose, folder_of_pool
from noisybench.training.machine import choose_device, limited_threads
from noisybench.training.model import BuildModel
from noisybench.training.objective import CROSS_ENTROPY, Objective
from noisybench.training.plan import WATCH_OPTIONS, Plan, plan_run
from noisybench.training.recipe import recorded

EPOCHS = 45
"""Epochs of every subset model: on the digits, 99 % of the wrong labels of a subset are then fitted, 57 % after 20."""


@dataclass(frozen=True, slots=True)
class SubsetPlan:
    """What is retrained on random subsets.

    Attributes:
        plan: Model, recipe and objective. How it would be watched plays no part.
        fraction: Share of the samples in each subset.
        balanced: Whether every sample is left out equally often, see ``memorization.subsets``.
        features: What the model sees, in one word: ``input``, or the name of frozen features.
    """

    plan: Plan
    fraction: float = 0.7
    balanced: bool = True
    features: str = "input"

    def __post_init__(self) -> None:
        check_kind(self.plan, Plan, "plan", "plan_run(source) gives one")

    @property
    def learner(self) -> Learner:
        """Whose memorization is measured with it."""
        plan = self.plan
        return Learner(
            model=plan.model,
            recipe=plan.recipe_name,
            epochs=plan.recipe.epochs,
            trained=plan.trained,
            features=self.features,
            fraction=self.fraction,
            balanced=self.balanced,
            objective=plan.chosen.words,
        )

    @property
    def setup(self) -> dict[str, Any]:
        """Everything that decides a pool but labels, purpose and seed."""
        return {
            "model": self.plan.model,
            "code": self.plan.code,
            "recipe": self.plan.recipe_name,
            **recorded(self.plan.recipe),
            **self.plan.chosen.digested,
            "fraction": self.fraction,
            "balanced": self.balanced,
            "features": self.features,
        }

    @property
    def recorded(self) -> dict[str, Any]:
        """What the record of a run tells of how it is trained."""
        plan = self.plan
        named = {"model": plan.model, "recipe": plan.recipe_name, "trained": plan.trained}
        return {**named, **recorded(plan.recipe), **plan.chosen.recorded}

    def folder(self, *, purpose: Purpose = "truth", seed: int = 0) -> str:
        """Name of the folder of one of its pools, safe on every file system."""
        return folder_of_pool(self.setup, purpose=purpose, seed=seed)


def plan_learner(
    source: Source,
    *,
    model: str | BuildModel | None = None,
    recipe: str = "overfit",
    epochs: int | None = None,
    options: Mapping[str, str] | None = None,
    device: str = "auto",
    features: str = "input",
    features_options: Mapping[str, str] | None = None,
    objective: str | Objective = CROSS_ENTROPY,
    objective_options: Mapping[str, str] | None = None,
    fraction: float = 0.7,
    balanced: bool = True,
    cache: str | Path | None = None,
    threads: int = 1,
) -> tuple[SubsetPlan, Features | None]:
    """What is retrained, and the features that it sees, None for the inputs themselves.

    Args:
        source: What is trained on.
        model: See ``plan_run``; also ``recipe``, ``device`` and ``options``, but for those that say how to watch.
        recipe: Name of the recipe.
        epochs: None takes 45.
        options: Fields of ``Recipe`` as text.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        features: ``input``, or what ``choose_features`` takes.
        features_options: Of the features, as text.
        objective: What each model minimises on its subset, see ``plan_run``; also ``objective_options``.
        objective_options: Its options as text.
        fraction: Of the samples in each subset.
        balanced: Leave each sample out equally often.
        cache: Folder in which features are kept.
        threads: By which features are computed; another number gives other last bits.

    Raises:
        UnknownName: No such model, recipe, features, objective or option.
        BadUsage: A value that cannot be meant.
    """
    given = dict(options or {})
    watching = sorted(set(given) & WATCH_OPTIONS)
    if watching:
        msg = f"'{watching[0]}' is about how a training is watched, and these models are asked once, at their end"
        raise BadUsage(msg)
    if features == "input" and features_options:
        msg = "--features-set is for --features; 'input' has no options"
        raise BadUsage(msg)
    chosen = None if features == "input" else choose_features(features, features_options)
    how: dict[str, Any] = {
        "recipe": recipe,
        "epochs": EPOCHS if epochs is None and "epochs" not in given else epochs,
        "options": given,
        "objective": objective,
        "objective_options": objective_options,
    }
    # The inputs refuse what is refused before features take their time.
    plan = plan_run(source, model=model, device=device, **how)
    if chosen is None:
        return SubsetPlan(plan, fraction, balanced), None
    if cache is not None and threads > 1:
        cache = Path(cache) / f"threads-{threads}"
    with limited_threads(threads):
        seen = features_of(source, chosen, device=choose_device(device), cache=cache)
    shown = replace(untested(source), inputs=seen, augmentation="none")
    return SubsetPlan(plan_run(shown, model=model, device=device, **how), fraction, balanced, chosen.word), seen


def seen_by(source: Source, learner: SubsetPlan, features: Features | None) -> Source:
    """The source as the models of a learner see it: without a test set, and with features for inputs where there are any.

    Raises:
        BadUsage: The learner is on other inputs, or the features are of more or fewer samples.
    """
    if (features is None) != (learner.features == "input"):
        msg = f"the learner is one on '{learner.features}'; give features with any learner that is not on 'input'"
        raise BadUsage(msg)
    seen = untested(source)
    if features is None:
        return seen
    if len(features) != len(source.labels):
        msg = f"there are {len(features)} rows of features for {len(source.labels)} samples; expected one each"
        raise BadUsage(msg)
    return replace(seen, inputs=features, augmentation="none")
