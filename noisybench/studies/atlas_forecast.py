"""What the atlas has to do, before it does it: its tasks, those that are finished, and about how long the others take."""

import time
from pathlib import Path

import numpy as np

from noisybench.ground.checks import a_path
from noisybench.ground.random_streams import permutation
from noisybench.memorization.heads import count_heads, head_space, head_subsets
from noisybench.runs.frozen_scores import prepare_features, score_labels
from noisybench.statistics.coherence import Coordinates, realised
from noisybench.studies.atlas_grid import PRESETS, AtlasGrid
from noisybench.studies.atlas_labels import HumanLabels, read_labels, relabelled
from noisybench.studies.atlas_runs import asked_detectors, atlas_parts, atlas_tasks, check_atlas
from noisybench.studies.forecast import StudyForecast
from noisybench.studies.grids import choose_grid
from noisybench.training.machine import Machine, limited_threads

MOST_TRIED = 4_000
"""Samples of the trial, whose time is taken in proportion."""
WIDTH = 256
"""Features of the trial where all components of unknown features are taken."""
COLUMNS = 40
"""Columns that the head of the trial is fitted to."""


def forecast_atlas(
    preset: str | Path | AtlasGrid = "standard", out: str | Path = "studies/atlas", *, machine: Machine | None = None
) -> StudyForecast:
    """Tasks of the atlas, those that are finished, and about how long the others take; nothing is written.

    Time is processor time of a trial on random features; computing the features themselves is not in it, nor what else the
    machine does.

    Raises:
        UnknownName: There is no such preset, source, noise, features or detector.
        BadUsage: What cannot be placed.
        BadData: Files are missing or broken.
    """
    del machine
    grid, folder = choose_grid(preset, PRESETS), a_path(out, "out")
    human = read_labels(grid)
    check_atlas(grid, human)
    columns = human.columns(grid)
    tasks = atlas_tasks(grid, columns, atlas_parts(grid, human, folder))
    lacking = [task for task in tasks if not task.path.is_file()]
    if not lacking:
        return StudyForecast(len(tasks), len(tasks), 0.0, "")
    with limited_threads(1):
        head, scored, placed = _tried(grid, human)
    seconds = sum(
        task.heads * len(columns) * head if task.heads else placed + (scored if columns[task.first].scored else 0.0)
        for task in lacking
    )
    basis = "by a trial on random features, beside the time of computing features"
    return StudyForecast(len(tasks), len(tasks) - len(lacking), seconds, basis)


def _tried(grid: AtlasGrid, human: HumanLabels) -> tuple[float, float, float]:
    """Seconds of a head on one column, of the detectors on one column, and of the coordinates of one column."""
    n = len(human.source.labels)
    few = min(n, MOST_TRIED)
    times = n / few
    width = min(grid.components or WIDTH, few)
    features = np.random.default_rng(0).standard_normal((few, width)).astype(np.float32)
    first = next(iter(human.variants.values()))
    tried = permutation(0, "trial", n)[:few]  # sources that are sorted by class begin with one alone
    variant = relabelled(first, first.labels[tried], first.clean[tried], "trial", marks={})
    space = head_space(features, penalty=grid.penalty)
    given, clean = (np.tile(one[None], (COLUMNS, 1)) for one in (variant.labels, variant.clean))
    included = head_subsets(range(1), few, grid.fraction, seed=0)
    k = variant.num_classes
    began = time.process_time()
    count_heads(space, given, clean, included, k)
    head = (time.process_time() - began) / COLUMNS
    prepared = prepare_features(features, classes=k)
    score_labels(prepared, variant, detectors=asked_detectors(grid), seed=0)  # the first imports what it needs
    began = time.process_time()
    score_labels(prepared, variant, detectors=asked_detectors(grid), seed=0)
    scored = time.process_time() - began
    near = np.random.default_rng(0).integers(0, few, (few, grid.neighbours))
    place = Coordinates(features[:, 0].astype(np.float64), np.arange(few) % grid.bins, near)
    began = time.process_time()
    realised(place, variant.labels, variant.clean)
    return head * times, scored * times, (time.process_time() - began) * times
