"""How far ``memorize --dry-run`` is from the thing itself: python tests/benchmarks/forecast.py.

Processor seconds that were said, and that the measurement then took in this process with one worker, of pools that take some
ten seconds: networks stacked, convolutional and on features, classifiers of scikit-learn, and ridge regression. The goal is
within 40 %. What other programs leave of a busy machine's caches is in both numbers, and not alike.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from noisybench.data.loading import load_source
from noisybench.memorization.closed_form_plan import plan_closed_form
from noisybench.memorization.fitted_plan import plan_fitted
from noisybench.memorization.subset_plan import plan_learner
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.measurement import measure_memorization
from noisybench.runs.memorization_forecast import forecast_memorization
from noisybench.training.machine import Machine
from noisybench.variants.building import build_variant

GOAL = 0.4


def main() -> None:
    """Print what was said, what it took, and their ratio."""
    source = load_source("digits")
    variant = build_variant(source, Symmetric(0.2), seed=0)
    forest = plan_fitted(source, model="sklearn:RandomForestClassifier(n_estimators=20)")
    kinds: dict[str, tuple[tuple[Any, Any], int, bool]] = {
        "mlp": (plan_learner(source, model="mlp", device="cpu"), 150, False),
        "mlp, asked about the test set": (plan_learner(source, model="mlp", device="cpu"), 150, True),
        "small_cnn(width=4), 5 epochs": (
            plan_learner(source, model="small_cnn(width=4)", epochs=5, device="cpu"),
            6,
            False,
        ),
        "random forest": (forest, 60, False),
        "random forest, asked about the test set": (forest, 60, True),
        "kernel_ridge": (plan_closed_form(source, model="kernel_ridge"), 2, False),
    }
    for name, ((learner, features), models, ask_test) in kinds.items():
        asked: dict[str, Any] = {"models": models, "features": features, "machine": Machine("cpu")}
        with tempfile.TemporaryDirectory() as out:
            asked |= {"ask_test": ask_test} if ask_test else {}
            said = forecast_memorization(source, variant, learner, Path(out), **asked).processor_seconds
            began = time.process_time()
            measure_memorization(source, variant, learner, Path(out), **asked)
            took = time.process_time() - began
        good = "" if abs(said / took - 1) <= GOAL else "  beyond the goal"
        print(f"{name:<42} said {said:6.2f} s, took {took:6.2f} s: {said / took:.2f}{good}", flush=True)


if __name__ == "__main__":
    main()
