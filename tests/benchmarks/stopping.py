"""Regret of rules of stopping: test accuracy lost against the best epoch of the same training.

    python tests/benchmarks/stopping.py [FOLDER] [--source digits] [--recipe overfit] [--draws 3] [--seeds 2]

Several draws of 40 % symmetric noise; the mean over draws and seeds, with the lowest and the highest.
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from noisybench import Machine, build_variant, evaluate, load_source, stopping_of
from noisybench.ground.lookup import find

RULES = ("noisy_validation", "ratt", "pmv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--source", default="digits")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rate", type=float, default=0.4)
    parser.add_argument("--recipe", default="overfit")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--schedule", default="one_cycle")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    folder = Path(asked.folder or tempfile.mkdtemp())
    source = load_source(asked.source, limit=asked.limit)
    variants = [
        build_variant(source, find("noises", "symmetric")(rate=asked.rate), seed=draw) for draw in range(asked.draws)
    ]
    runs = evaluate(
        variants,
        source,
        recipe=asked.recipe,
        epochs=asked.epochs,
        options={"schedule": asked.schedule},
        seeds=range(asked.seeds),
        detectors="final_loss",
        rules=RULES,
        machine=Machine(workers=asked.workers),
        out=folder,
    )
    stops = defaultdict(list)
    for run in runs:
        for stop in stopping_of(run):
            stops[stop.rule].append(stop)
    print("| rule | epochs | test accuracy | regret | lowest | highest | of itself |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for rule, found in stops.items():
        epochs = [stop.epoch for stop in found if stop.epoch is not None]
        accuracy, lost = (np.array([getattr(s, name) for s in found]) for name in ("test_accuracy", "regret"))
        told = f"{min(epochs)}-{max(epochs)}" if epochs else "none"
        told += "" if len(epochs) == len(found) else f" ({len(epochs)} of {len(found)})"
        print(
            f"| {rule} | {told} | {np.nanmean(accuracy):.3f} | {np.nanmean(lost):.3f} | {np.nanmin(lost):.3f} | "
            f"{np.nanmax(lost):.3f} | {sum(stop.found for stop in found)} of {len(found)} |"
        )


if __name__ == "__main__":
    main()
