"""Planning what scikit-learn fits to random subsets: a classifier, what it sees and how much of it. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisybench.data.extraction import choose_features, features_of
from noisybench.data.source import Source, inputs_of
from noisybench.ground.arrays import Features
from noisybench.ground.checks import check_kind
from noisybench.ground.errors import BadUsage
from noisybench.memorization.estimators import Estimator, find_estimator
from noisybench.memorization.learner import FITTED, Learner, learner_of_setup
from noisybench.memorization.pool import Purpose, folder_of_pool


@dataclass(frozen=True, slots=True)
class FittedPlan:
    """What scikit-learn fits to random subsets, in place of what is trained by ``SubsetPlan``.

    Attributes:
        how: The classifier and its options.
        fraction: Share of the samples in each subset.
        balanced: Whether every sample is left out equally often, see ``memorization.subsets``.
        features: What it sees, in one word: ``input``, or the name of frozen features.
    """

    how: Estimator
    fraction: float = 0.7
    balanced: bool = True
    features: str = "input"

    def __post_init__(self) -> None:
        check_kind(self.how, Estimator, "how", "find_estimator('sklearn:RandomForestClassifier') gives one")

    @property
    def learner(self) -> Learner:
        """Whose memorization is measured with it."""
        return learner_of_setup(self.setup)

    @property
    def setup(self) -> dict[str, Any]:
        """Everything that decides a pool but labels, purpose and seed."""
        return {
            "model": self.how.name,
            "code": self.how.code,
            "recipe": FITTED,
            "epochs": 0,
            "fraction": self.fraction,
            "balanced": self.balanced,
            "features": self.features,
        }

    @property
    def recorded(self) -> dict[str, Any]:
        """What the record of a run tells of how it is fitted."""
        learner = self.learner
        return {"model": learner.model, "recipe": FITTED, "epochs": 0, "trained": learner.trained}

    def folder(self, *, purpose: Purpose = "truth", seed: int = 0) -> str:
        """Name of the folder of one of its pools, safe on every file system."""
        return folder_of_pool(self.setup, purpose=purpose, seed=seed)


def plan_fitted(
    source: Source,
    *,
    model: str = f"{FITTED}:RandomForestClassifier",
    features: str = "input",
    features_options: Mapping[str, str] | None = None,
    fraction: float = 0.7,
    balanced: bool = True,
    device: str = "cpu",
    cache: str | Path | None = None,
) -> tuple[FittedPlan, Features | None]:
    """What is fitted, and the features that it sees, None for the inputs themselves, for ``memorize`` and ``detect``.

    Args:
        source: What is fitted.
        model: Such as ``sklearn:RandomForestClassifier(n_estimators=200)``, see ``find_estimator``.
        features: ``input``, or what ``choose_features`` takes.
        features_options: Of the features, as text.
        fraction: Of the samples in each subset.
        balanced: Leave each sample out equally often.
        device: Of torch, for features that need it.
        cache: Folder in which features are kept.

    Raises:
        UnknownName: No such classifier, features or option.
        BadUsage: A value that cannot be meant, or a source without inputs.
    """
    check_kind(model, str, "model", f"say {FITTED}:RandomForestClassifier")
    check_kind(features, str, "features", "say 'input', or a name such as 'pca'")
    inputs_of(source, f"model '{model}'")
    how = find_estimator(model)  # before features take their time
    if features == "input":
        if features_options:
            msg = "--features-set is for --features; 'input' has no options"
            raise BadUsage(msg)
        return FittedPlan(how, fraction, balanced), None
    chosen = choose_features(features, features_options)
    plan = FittedPlan(how, fraction, balanced, chosen.word)
    return plan, features_of(source, chosen, device=device, cache=cache)
