"""What ``memorize`` refuses, and plans, where scikit-learn fits the models."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.data.source import Source
    from noisybench.ground.arrays import Features
    from noisybench.memorization.fitted_plan import FittedPlan
    from noisybench.memorization.subset_plan import SubsetPlan


def is_fitted(model: str | None) -> TypeGuard[str]:
    """Whether a model is one of scikit-learn's, or made alike."""
    from noisybench.memorization.learner import FITTED

    return model is not None and model.partition("(")[0].strip().startswith(f"{FITTED}:")


def check_fitted(
    model: str,
    *,
    epochs: int | None,
    objective: str,
    recipe: str,
    settings: bool,
    estimand: str | None,
    together: int | None,
) -> None:
    """Raise unless there is such a model, and for options that it does not have.

    Args:
        model: That was asked for, as all others.
        epochs: See ``memorize``.
        objective: See ``memorize``.
        recipe: See ``memorize``.
        settings: Whether ``--set`` was given.
        estimand: See ``memorize``.
        together: See ``memorize``.
    """
    from noisybench.memorization.estimators import find_estimator
    from noisybench.training.objective import CROSS_ENTROPY

    name = find_estimator(model).name
    given = {
        "--epochs": epochs is not None,
        "--recipe": recipe != "overfit",
        "--objective": objective != CROSS_ENTROPY,
        "--set": settings,
        "--estimand": estimand not in (None, "subsets"),
        "--together": together is not None,
    }
    refused = [option for option, is_given in given.items() if is_given]
    if refused:
        bare = name.partition("(")[0]
        msg = (
            f"model '{name}' is fitted as scikit-learn fits it: leave out {' and '.join(refused)}; its own options stand in "
            f"brackets, as in --model '{bare}(option=value)'"
        )
        raise BadUsage(msg)


def plan_pool(
    source: "Source",
    *,
    model: str | None,
    features: str,
    features_options: Mapping[str, str],
    device: str,
    fraction: float,
    balanced: bool,
    cache: Path,
    threads: int,
    **training: Any,  # noqa: ANN401 - what only ``plan_learner`` takes, and ``check_fitted`` has refused
) -> "tuple[SubsetPlan | FittedPlan, Features | None]":
    """What is trained or fitted, and the features that it sees; see ``plan_learner`` and ``plan_fitted``."""
    from noisybench.memorization.fitted_plan import plan_fitted
    from noisybench.memorization.subset_plan import plan_learner
    from noisybench.training.machine import limited_threads

    seen: dict[str, Any] = {"features": features, "features_options": features_options, "device": device}
    seen |= {"fraction": fraction, "balanced": balanced}
    if not is_fitted(model):
        return plan_learner(source, model=model, **seen, **training, cache=cache, threads=threads)
    with limited_threads(threads):
        return plan_fitted(source, model=model, **seen, cache=cache / f"threads-{threads}" if threads > 1 else cache)
