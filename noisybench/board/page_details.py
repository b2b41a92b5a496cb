"""Details of single runs for the leaderboard's page, each of a fixed size: curves, histograms, and maps of two dimensions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.board.page_entries import NONE, Book, PageColumns, rounded
from noisybench.board.truths import Truths, is_of_own_kind
from noisybench.ground.arrays import Bools, Floats
from noisybench.ground.errors import BadData, Mismatch
from noisybench.ground.files import read_columns
from noisybench.ground.text import cell
from noisybench.memorization.estimate import Memorization
from noisybench.runs.reading import Run
from noisybench.runs.record import WITH_HISTORY
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.memorization_metrics import Compared, spearman
from noisybench.statistics.ranking import rank
from noisybench.variants.variant import Variant

POINTS = 64
"""Points of a curve at most."""
BINS = 32
"""Bars of a histogram."""
CELLS = 24
"""Cells along each axis of a map."""
MOST_DETAILS = 2000
"""Scored runs at most that have details; a page of more is thinned evenly over settings."""
MOST_MAPS = 500
"""Maps of memorization and suspicion at most: each takes as much room as ten histograms."""
MOST_CURVES = 1000
"""Runs at most that have learning curves."""
MOST_CLASSES = 100
"""Classes at most in the details of a run: those told worst."""
_SHARES = ("mislabeled_fit", "clean_fit", "test_accuracy", "train_accuracy")
_FALSE_ALARMS = (np.arange(POINTS) / (POINTS - 1)) ** 2
_RECALL = np.arange(POINTS) / (POINTS - 1)
_DETAILS = (
    "entry", "run", "low", "high", "wrong", "right", "roc", "precision", "auroc", "classes", "class_auroc", "class_wrong",
    "class_samples",
)  # fmt: skip
_MAPS = ("entry", "run", "truth_learner", "spearman", "low", "high", "cells")

GRIDS: Mapping[str, Any] = {
    "false_alarms": [round(float(one), 4) for one in _FALSE_ALARMS],
    "recall": [round(float(one), 4) for one in _RECALL],
    "bins": BINS,
    "cells": CELLS,
}
"""Where curves are read, and how many bars and cells there are; see ``page_data``."""


def histories_of(runs: Sequence[Run]) -> dict[Path, dict[str, Floats]]:
    """Folder of each run that trained something → name → values, one an epoch; without those that cannot be read."""
    found = {}
    for run in runs:
        if run.record.regime in WITH_HISTORY:
            try:
                columns = read_columns(run.path / "history.parquet")[0]
            except BadData:  # the board has read it before, or said what is wrong
                continue
            if len(columns.get("epoch", ())):
                found[run.path] = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    return found


def curves_of(book: Book, histories: Mapping[Path, Mapping[str, Floats]]) -> PageColumns:
    """The columns of ``curves``: of the first runs that have a history of several epochs."""
    columns: PageColumns = {name: [] for name in ("run", "epoch", *_SHARES, "susceptibility")}
    several = [run for run in book.runs if len(histories.get(run.path, {}).get("epoch", ())) > 1]
    for run in several[:MOST_CURVES]:
        history = histories[run.path]
        last = len(history["epoch"]) - 1
        kept = np.unique(np.linspace(0, last, min(POINTS, last + 1)).round().astype(np.int64))
        nothing = np.full(last + 1, math.nan)
        columns["run"].append(book.position[run.path])
        columns["epoch"].append([rounded(one) for one in history["epoch"][kept].tolist()])
        for name in _SHARES:
            columns[name].append(thousandths(history.get(name, nothing)[kept]))
        columns["susceptibility"].append(
            [rounded(one) for one in history.get("susceptibility", nothing)[kept].tolist()]
        )
    return columns


def chosen(book: Book) -> tuple[list[tuple[Run, str]], str]:
    """The scored runs that are shown in detail, and a sentence that says which.

    Of each contestant one run a setting, that of the first draw and seed; of more than ``MOST_DETAILS`` as many settings
    of each as there is room for.
    """
    first: dict[tuple[int, tuple[str, str, str]], tuple[Run, str]] = {}
    every = 0
    order = sorted(book.runs, key=lambda run: (run.record.noise_seed, run.seed))
    for run in order:
        for name in run.kinds:
            entry = book.entry_of(run, name)
            if entry != NONE:
                every += 1
                first.setdefault((entry, run.column[:3]), (run, name))
    kept, room = _thinned(book, [one for _, one in sorted(first.items(), key=lambda item: item[0])], MOST_DETAILS)
    if len(kept) == every:
        return kept, "Details are of every run."
    if len(kept) == len(first):
        return (
            kept,
            "Details are of one run of each detector in each setting: the first draw of the noise and the first seed.",
        )
    return kept, (
        f"Details are of {len(kept):,} of {every:,} scored runs: of each detector the first draw and seed in up to {room} "
        f"settings."
    )


def _thinned(book: Book, some: Sequence[tuple[Run, str]], most: int) -> tuple[list[tuple[Run, str]], int]:
    """So many of each contestant's that they are no more than ``most`` together, and how many that is."""
    by_entry: dict[int, list[tuple[Run, str]]] = {}
    for run, name in some:
        by_entry.setdefault(book.entry_of(run, name), []).append((run, name))
    room = max(1, most // max(1, len(by_entry)))
    return [one for members in by_entry.values() for one in members[:room]][:most], room


def details_of(book: Book, truths: Mapping[Path, Truths], some: Sequence[tuple[Run, str]]) -> PageColumns:
    """The columns of ``details``: of those of some scored runs whose labels are known to be wrong or right."""
    columns: PageColumns = {name: [] for name in _DETAILS}
    for run, name, values in _scores(some):
        variant = truths[run.home].variant
        known, wrong = variant.known, variant.mislabeled
        if not wrong.any() or wrong[known].all():
            continue
        for key, value in {
            "entry": book.entry_of(run, name),
            "run": book.position[run.path],
            **_histogram(values, wrong, known & ~wrong),
            **_curves(values[known], wrong[known]),
            **_classes(values, variant),
        }.items():
            columns[key].append(value)
    return columns


def maps_of(book: Book, truths: Mapping[Path, Truths], some: Sequence[tuple[Run, str]]) -> PageColumns:
    """The columns of ``memorization``: of those of some scored runs whose labels' memorization was measured, the first ones."""
    columns: PageColumns = {name: [] for name in _MAPS}
    measured = [(run, name) for run, name in some if truths[run.home].measured]
    learners = max((len(truths[run.home].measured) for run, _ in measured), default=1)
    for run, name, values in _scores(_thinned(book, measured, MOST_MAPS // learners)[0]):
        of = truths[run.home]
        for one in of.measured:
            if is_of_own_kind(run, name, one.memorization.learner):
                continue
            for key, value in {
                "entry": book.entry_of(run, name),
                "run": book.position[run.path],
                "truth_learner": cell(one.memorization.learner.name),
                **_map(values, one.memorization, of.variant),
            }.items():
                columns[key].append(value)
    return columns


def class_names_of(truths: Mapping[Path, Truths], some: Sequence[tuple[Run, str]]) -> dict[str, list[str]]:
    """Variant (12 digits) → names of its classes."""
    return {
        run.record.variant_id[:12]: [cell(name) for name in truths[run.home].variant.class_names] for run, _ in some
    }


def thousandths(values: Floats) -> list[int | None]:
    """Shares as whole thousandths, None where there is none."""
    return [round(1000 * one) if math.isfinite(one) else None for one in values.tolist()]


def _scores(some: Sequence[tuple[Run, str]]) -> Iterator[tuple[Run, str, Floats]]:
    for run, name in some:
        try:
            yield run, name, run.scores(name).values
        except (BadData, Mismatch):  # the table has said what is wrong, or has kept what was right before
            continue


def _histogram(values: Floats, wrong: Bools, right: Bools) -> dict[str, Any]:
    """Counts of wrong and right labels by suspicion; a few scores far out do not press the others together."""
    told = values[wrong | right]
    low, high = (float(one) for one in np.quantile(told, (0.005, 0.995)))
    if not low < high:
        low, high = float(told.min()), float(told.max())
    if not low < high:
        low, high = low - 0.5, low + 0.5
    scaled = (np.clip(values, low, high) - low) / (high - low)
    at = np.minimum((scaled * BINS).astype(np.int64), BINS - 1)
    return {
        "low": rounded(low),
        "high": rounded(high),
        "wrong": np.bincount(at[wrong], minlength=BINS).tolist(),
        "right": np.bincount(at[right], minlength=BINS).tolist(),
    }


def _curves(values: Floats, wrong: Bools) -> dict[str, Any]:
    """ROC and precision-recall curve, read where the grids say; tied samples are one step."""
    order = np.argsort(-values, kind="stable")
    found, flagged = np.cumsum(wrong[order]), np.arange(1, len(values) + 1)
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)  # the last of each tie
    found, flagged = found[ends], flagged[ends]
    recall = found / found[-1]
    false_alarms = (flagged - found) / (flagged[-1] - found[-1])
    roc = np.interp(_FALSE_ALARMS, np.append(0.0, false_alarms), np.append(0.0, recall))  # of equals the upper
    precision = (found / flagged)[np.minimum(np.searchsorted(recall, _RECALL - 1e-12), len(recall) - 1)]
    return {"roc": thousandths(roc), "precision": thousandths(precision), "auroc": rounded(_area(values, wrong))}


def _classes(values: Floats, variant: Variant) -> dict[str, Any]:
    """AUROC within each given class that holds wrong and right labels, worst first."""
    rows = []
    for one in np.unique(variant.labels[variant.known]).tolist():
        members = variant.known & (variant.labels == one)
        wrong = variant.mislabeled[members]
        if wrong.any() and not wrong.all():
            rows.append((_area(values[members], wrong), one, int(wrong.sum()), int(members.sum())))
    rows = sorted(rows)[:MOST_CLASSES]
    return {
        "classes": [one for _, one, _, _ in rows],
        "class_auroc": [round(1000 * area) for area, *_ in rows],
        "class_wrong": [wrong for *_, wrong, _ in rows],
        "class_samples": [samples for *_, samples in rows],
    }


def _area(values: Floats, wrong: Bools) -> float:
    return auroc(rank(values, wrong)).value


def _map(values: Floats, truth: Memorization, variant: Variant) -> dict[str, Any]:
    """How many samples of each memorization have each rank of suspicion."""
    counted = np.isfinite(truth.values) & ~variant.dropped
    low, high = min(0.0, float(truth.values[counted].min(initial=0.0))), 1.0
    column = np.clip((truth.values[counted] - low) / (high - low) * CELLS, 0, CELLS - 1).astype(np.int64)
    _, which, alike = np.unique(values[counted], return_inverse=True, return_counts=True)
    middle = (np.cumsum(alike) - alike / 2)[which] / len(which)  # of the ranks of equals, as a share
    row = np.clip(middle * CELLS, 0, CELLS - 1).astype(np.int64)
    at = row * CELLS + column
    wrong, known = variant.mislabeled[counted], variant.known[counted]
    kinds = np.where(wrong, 1, np.where(known, 0, 2))
    counts = np.bincount(3 * at + kinds, minlength=3 * CELLS * CELLS).reshape(-1, 3)
    held = np.flatnonzero(counts.sum(1))
    compared = Compared(values[counted], truth.values[counted], math.nan, np.zeros(0))
    return {
        "spearman": rounded(spearman(compared).value),
        "low": rounded(low),
        "high": rounded(high),
        "cells": np.column_stack([held, counts[held]]).ravel().tolist(),
    }
