"""How long a leaderboard of 200 runs of 1,437 samples takes, cold and warm: ``python tests/benchmarks/board.py``.

The runs are made up: their scores are noise around the mask. Baseline: the same agreements computed in one loop over
arrays in memory, which reads no file.
"""

import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from noisybench.board.agreement import against_labels
from noisybench.board.leaderboard import leaderboard
from noisybench.data.loading import load_source
from noisybench.detection.scoring import Detector, Kind, Scores, scores_path, write_scores
from noisybench.ground.files import write_columns
from noisybench.ground.lookup import find, names
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.folder import finish, keep_variant
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant

VARIANTS, SEEDS = 40, 5


def main() -> None:
    every: dict[str, Detector] = {name: find("detectors", name) for name in names("detectors")}
    detectors = {name: name for name, detector in every.items() if "training" in detector.fed_by}
    kinds: dict[str, Kind] = {name: "control" if every[name].control else "detector" for name in detectors}
    source = load_source("digits")
    generator = np.random.default_rng(0)
    baseline = 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NOISYBENCH_CACHE"] = f"{folder}/cache"
        runs = Path(folder) / "runs"
        for draw in range(VARIANTS):
            variant = build_variant(source, Symmetric(0.2), seed=draw)
            keep_variant(variant, runs / variant.name / "variant")
            for seed in range(SEEDS):
                home = runs / variant.name / "mlp-standard-00000000" / f"seed-{seed}"
                record = RunRecord(
                    regime="training",
                    features="input",
                    **about_labels(variant),
                    model="mlp",
                    recipe="standard",
                    setup="0" * 64,
                    trained="0" * 6,
                    epochs=30,
                    observe="after",
                    seed=seed,
                    detectors={},
                )
                fits = {"epoch": np.array([30]), "mislabeled_fit": np.array([0.5]), "clean_fit": np.array([0.9])}
                write_columns(fits, home / "history.parquet")
                for name in detectors:
                    values = variant.mislabeled + generator.normal(size=len(variant.labels))
                    scores = Scores(name, values, variant.provenance.variant_id)
                    write_scores(scores, scores_path(home, name))
                    began = time.perf_counter()
                    against_labels(replace(scores), variant, metrics=("auroc",))
                    baseline += time.perf_counter() - began
                finish(home, record, detectors, kinds)
        seconds = {}
        for what, metric in (("cold", "auroc"), ("warm", "auroc"), ("another metric", "average_precision")):
            began = time.perf_counter()
            board = leaderboard(runs, metric=metric)
            seconds[what] = time.perf_counter() - began
    print(
        json.dumps(
            {
                "runs": VARIANTS * SEEDS,
                "detectors": len(detectors),
                "rows": len(board),
                "seconds": seconds,
                "loop_in_memory": baseline,
                "cold_over_loop": seconds["cold"] / baseline,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
