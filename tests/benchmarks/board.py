"""How long tables and ``verify`` take with many runs, and what memory: ``python tests/benchmarks/board.py [--runs 1000]``.

A leaderboard of runs of 1,437 samples whose scores are noise around the mask: cold, warm, and by another metric, each in
a process of its own, whose seconds of processor, seconds, and peak of memory are told. Traces and suggestions of real
runs are looked at too, so that there are as many files of them. Baseline: the same agreements computed in one loop over
arrays in memory, which reads no file. Then ``verify`` of as many runs of 200 samples, copies of ten that were trained.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.board.agreement import against_labels
from noisybench.board.agreement_file import write_agreement
from noisybench.board.truths import read_truths
from noisybench.data.loading import load_source
from noisybench.detection.scoring import Detector, Kind, Scores, scores_path, write_scores
from noisybench.detection.suggesting import suggestion_path
from noisybench.ground import durability
from noisybench.ground.files import write_columns
from noisybench.ground.lookup import find, names
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.runs.folder import finish, keep_variant
from noisybench.runs.reading import read_run
from noisybench.runs.record import RunRecord, about_labels
from noisybench.variants.building import build_variant
from noisybench.variants.variant import Variant

SEEDS, EPOCHS = 5, 30
RATES = (0.1, 0.2)
COPIED = 10
"""Runs that are trained for ``verify``; the others are copies of them."""
CHILD = """
import json, resource, sys, time, logging
began = time.perf_counter()
{what}
used = resource.getrusage(resource.RUSAGE_SELF)
seconds = {{"processor": used.ru_utime + used.ru_stime, "wall": time.perf_counter() - began}}
print(json.dumps({{**seconds, "peak_mb": used.ru_maxrss / 1024, "found": found}}))
"""
BOARD = "from noisybench import leaderboard\nfound = len(leaderboard({folder!r}, metric={metric!r}))"
VERIFY = "from noisybench import verify\nfound = len(verify({folder!r}))"


def main() -> None:
    """Make the runs up, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--keep", help="A folder for the runs, which are made up only where it is empty.")
    parser.add_argument("--only", choices=("board", "verify"))
    asked = parser.parse_args()
    told: dict[str, Any] = {"runs": asked.runs}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(asked.keep or temporary).absolute()
        os.environ["NOISYBENCH_CACHE"] = f"{temporary}/making"
        vars(durability)["_sync"] = lambda *_: None  # a power cut may take these
        if asked.only != "verify":
            if not (root / "board").is_dir():
                told["loop_in_memory"] = make_up(root / "board", asked.runs)
            os.environ["NOISYBENCH_CACHE"] = f"{temporary}/cache"
            for what, metric in (("cold", "auroc"), ("warm", "auroc"), ("another metric", "average_precision")):
                told[what] = measured(BOARD.format(folder=str(root / "board"), metric=metric))
        if asked.only != "board":
            if not (root / "verify").is_dir():
                train_and_copy(root / "verify", asked.runs)
            told["verify"] = measured(VERIFY.format(folder=str(root / "verify")))
    print(json.dumps(told, indent=2))


def measured(what: str) -> dict[str, float]:
    """Seconds, peak memory and what was found, of a process that does nothing else."""
    done = subprocess.run([sys.executable, "-c", CHILD.format(what=what)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_up(runs: Path, count: int) -> float:
    """Write run folders as ``evaluate`` leaves them; seconds of the same agreements in memory."""
    every: dict[str, Detector] = {name: find("detectors", name) for name in names("detectors")}
    detectors = {name: name for name, detector in every.items() if "training" in detector.fed_by}
    kinds: dict[str, Kind] = {name: "control" if every[name].control else "detector" for name in detectors}
    source = load_source("digits")
    generator = np.random.default_rng(0)
    seconds = 0.0
    for draw in range(count // (SEEDS * len(RATES))):
        for rate in RATES:
            variant = build_variant(source, Symmetric(rate), seed=draw)
            keep_variant(variant, runs / variant.name / "variant")
            for seed in range(SEEDS):
                home = runs / variant.name / "mlp-standard-00000000" / f"seed-{seed}"
                seconds += write_run(home, variant, detectors, kinds, seed, generator)
                write_agreement(read_run(home), read_truths(home.parents[1]))
    return seconds


def write_run(
    home: Path,
    variant: Variant,
    detectors: dict[str, str],
    kinds: dict[str, Kind],
    seed: int,
    generator: np.random.Generator,
) -> float:
    """One run of made up scores; seconds of its agreements in memory."""
    seconds = 0.0
    fits = {"epoch": np.array([EPOCHS]), "mislabeled_fit": np.array([0.5]), "clean_fit": np.array([0.9])}
    write_columns(fits, home / "history.parquet")
    for name in detectors:
        values = variant.mislabeled + generator.normal(size=len(variant.labels))
        scores = Scores(name, values, variant.provenance.variant_id)
        write_scores(scores, scores_path(home, name))
        began = time.perf_counter()
        against_labels(replace(scores), variant, metrics=("auroc",))
        seconds += time.perf_counter() - began
    # Of no table's numbers, but looked at: one file of each kind, under many names.
    first = home / "trace" / "epoch-0001.parquet"
    write_columns({"loss": generator.normal(size=(len(variant.labels),)).astype(np.float32)}, first)
    for epoch in range(2, EPOCHS + 1):
        os.link(first, first.with_name(f"epoch-{epoch:04d}.parquet"))
    for name in detectors:
        place = suggestion_path(home, name)
        place.parent.mkdir(exist_ok=True)
        os.link(first, place)
    record = RunRecord(
        regime="training",
        features="input",
        **about_labels(variant),
        model="mlp",
        recipe="standard",
        setup="0" * 64,
        trained="0" * 6,
        epochs=EPOCHS,
        observe="after",
        seed=seed,
        detectors={},
    )
    finish(home, record, detectors, kinds)
    return seconds


def train_and_copy(folder: Path, count: int) -> None:
    """Train ten small runs of 200 samples, and copy them, with the labels beside them, under other names."""
    from noisybench import evaluate

    source = load_source("digits", limit=200)
    variant = build_variant(source, Symmetric(0.2))
    evaluate(variant, source, epochs=3, seeds=range(COPIED), out=folder / "0")
    for number in range(1, count // COPIED):
        shutil.copytree(folder / "0", folder / str(number))


if __name__ == "__main__":
    main()
