"""Training a pool, whoever its models are: networks that are trained, or what scikit-learn fits."""

from pathlib import Path
from typing import Any

from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.engine import Progress
from noisybench.memorization.block_tasks import Retraining
from noisybench.memorization.fitted import fit_subsets
from noisybench.memorization.fitted_plan import FittedPlan
from noisybench.memorization.pool import Purpose
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.training.machine import Machine
from noisybench.variants.variant import Variant


def train_pool(
    source: Source,
    variant: Variant,
    learner: SubsetPlan | FittedPlan,
    folder: Path,
    *,
    models: int,
    seed: int,
    purpose: Purpose,
    features: Features | None,
    machine: Machine,
    progress: Progress,
    ask_test: bool = False,
) -> Retraining:
    """Leave a pool in ``folder``; see ``retrain`` and ``fit_subsets``, which take the same."""
    how: dict[str, Any] = {"models": models, "seed": seed, "purpose": purpose, "features": features}
    how |= {"machine": machine, "progress": progress, "ask_test": ask_test}
    if isinstance(learner, FittedPlan):
        return fit_subsets(source, variant, learner, folder, **how)
    return retrain(source, variant, learner, folder, **how)
