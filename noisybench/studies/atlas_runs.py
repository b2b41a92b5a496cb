"""The runs of the atlas: blocks of heads on all columns at once, and one file of records for each column."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisybench.data.source import Source
from noisybench.ground.archives import read_archive, write_archive
from noisybench.ground.arrays import UNKNOWN, Bools, Floats, Labels
from noisybench.ground.digests import file_digest
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import COPIED
from noisybench.ground.files import read_json, write_json
from noisybench.ground.locks import locked
from noisybench.ground.version import __version__
from noisybench.memorization.heads import (
    HeadSpace,
    SampleCounts,
    WrongCounts,
    count_heads,
    head_accuracies,
    head_space,
    head_subsets,
)
from noisybench.runs.features_columns import columns_asked
from noisybench.runs.folder import keep_variant
from noisybench.runs.frozen_scores import LabelScores, prepare_features, score_labels
from noisybench.statistics.coherence import Coordinates, realised
from noisybench.statistics.detection_metrics import auroc, auroc_within_class
from noisybench.statistics.ranking import rank
from noisybench.studies.atlas_grid import BLOCK, HUMAN, PUBLISHED, UNCONTESTED, AtlasColumn, AtlasGrid
from noisybench.studies.atlas_labels import (
    AtlasFeatures,
    HumanLabels,
    check_files,
    read_coordinates,
    read_features,
    read_labels,
    read_test_labels,
    relabelled,
    stacked,
)
from noisybench.studies.results import grid_as_json
from noisybench.studies.shares import run_share
from noisybench.studies.study import plain
from noisybench.training.machine import Machine, limited_threads
from noisybench.variants.location import copy_location, write_location
from noisybench.variants.variant import Variant

OF_WRONG = tuple(WrongCounts.__dataclass_fields__)
OF_SAMPLES = tuple(name for name in SampleCounts.__dataclass_fields__ if name != "heads")


@dataclass(frozen=True, slots=True)
class AtlasTask:
    """A unit of work, which writes one file.

    Attributes:
        path: Of the file.
        first: Number of the first head, of a block of heads; of the column, of a column.
        heads: How many heads; 0 of a column.
    """

    path: Path
    first: int
    heads: int


@dataclass(frozen=True, slots=True, eq=False)
class AtlasShared:
    """What every task needs.

    Attributes:
        grid: Of the study.
        human: Name of each column by people → its variant.
        contested: Name of each → its contested samples, shape (n,).
        columns: All columns.
        given: Their labels, shape (c, n).
        clean: Their right classes, shape (c, n).
        coordinates: By set and truth.
        prepared: The features, for detectors; None where nothing is left to score.
        space: The same, for heads.
    """

    grid: AtlasGrid
    human: Mapping[str, Variant]
    contested: Mapping[str, Bools]
    columns: tuple[AtlasColumn, ...]
    given: NDArray[np.int16]
    clean: NDArray[np.int16]
    coordinates: Mapping[tuple[str, str], Coordinates]
    prepared: Any
    space: HeadSpace

    @property
    def whole(self) -> list[int]:
        """Columns of which each sample is counted: people's, with all samples."""
        return [row for row, one in enumerate(self.columns) if (one.kind, one.truth) == (HUMAN, PUBLISHED)]


@dataclass(frozen=True, slots=True, eq=False)
class AtlasFound:
    """What the runs gave.

    Attributes:
        human: The source's columns by people.
        columns: All columns.
        records: Of each column: its coordinates, and a record for each detector that was asked.
        of_wrong: What heads say of the wrong labels, shape (m, c).
        of_samples: What they say of each sample of the human columns, in their order.
        accuracies: Version of the test labels → accuracy of a head on all samples, shape (c,).
    """

    human: HumanLabels
    columns: tuple[AtlasColumn, ...]
    records: tuple[tuple[dict[str, Any], ...], ...]
    of_wrong: WrongCounts
    of_samples: SampleCounts
    accuracies: Mapping[str, Floats]


def run_atlas(grid: AtlasGrid, out: Path, *, machine: Machine, progress: Progress = lambda: None) -> AtlasFound:
    """Measure every column that is not measured yet.

    A study that was stopped goes on where it was. Each file is written whole or not at all.

    Raises:
        BadData: Files are missing or damaged.
        BadUsage: What cannot be placed.
        Unfinished: The tasks of the machine's shard are done, and others are not.
    """
    human = read_labels(grid)
    check_atlas(grid, human)
    with limited_threads(machine.threads):
        features = read_features(grid, human.source, out / "features", machine.device)
        coordinates = read_coordinates(grid, human, features.coordinate)
        columns = human.columns(grid)
        bins = {place: one.bins for place, one in coordinates.items()}
        given, clean = stacked(human, columns, bins, grid.seed)
        parts = atlas_parts(grid, human, out)
        tasks = atlas_tasks(grid, columns, parts)
        _keep_human(grid, human, out)
        lacking = [task for task in tasks if not task.path.is_file()]
        scored = any(not task.heads and columns[task.first].scored for task in lacking)
        like = next(iter(human.variants.values()))
        prepared = prepare_features(features.own, classes=human.source.num_classes, like=like) if scored else None
        space = head_space(features.own, penalty=grid.penalty, components=grid.components)
        accuracies = _accuracies(grid, human.source, features, given)
    shared = AtlasShared(grid, human.variants, human.contested, columns, given, clean, coordinates, prepared, space)
    with locked(parts, shared=not machine.shard.is_whole):
        run_share(
            carry_out_task,
            tasks,
            shared,
            machine=machine,
            is_finished=lambda task: task.path.is_file(),
            progress=progress,
            joined=COPIED,
        )
    return _found(grid, human, columns, tasks, accuracies)


def check_atlas(grid: AtlasGrid, human: HumanLabels) -> None:
    """Raise what the files, features and detectors of a grid are refused for, before anything is computed."""
    columns_asked(asked_detectors(grid))
    check_files(grid, human)


def _keep_human(grid: AtlasGrid, human: HumanLabels, out: Path) -> None:
    """Lay the human columns there as ordinary variants, so that ``score`` and ``memorize`` repeat what is said of them."""
    for number, one in enumerate(human.variants.values()):
        folder = out / one.name / "variant"
        keep_variant(one, folder)
        if grid.variants:
            copy_location(Path(grid.variants[number]), folder)
        else:
            write_location(folder, data=None if grid.data is None else Path(grid.data), source_set={})


def atlas_tasks(grid: AtlasGrid, columns: Sequence[AtlasColumn], parts: Path) -> list[AtlasTask]:
    """A task for each block of heads, and for each column."""
    blocks = [
        AtlasTask(parts / "heads" / f"{first:05d}.npz", first, min(BLOCK, grid.models - first))
        for first in range(0, grid.models, BLOCK)
    ]
    names = [f"{number:05d}-{one.truth}-{one.kind}-{one.draw}" for number, one in enumerate(columns)]
    return blocks + [
        AtlasTask(parts / "columns" / name / "records.json", number, 0) for number, name in enumerate(names)
    ]


def carry_out_task(task: AtlasTask, shared: AtlasShared, progress: Progress) -> None:
    """Write the file of a task, unless it is there."""
    if not task.path.is_file():
        with limited_threads(1):
            if task.heads:
                _count_block(task, shared)
            else:
                write_json(list(_column_records(shared, task.first)), task.path, sync=False)
    progress()


def _count_block(task: AtlasTask, shared: AtlasShared) -> None:
    grid, n = shared.grid, shared.given.shape[1]
    variant = next(iter(shared.human.values()))
    included: Bools = head_subsets(
        range(task.first, task.first + task.heads), n, grid.fraction, seed=grid.seed, groups=variant.copies
    )
    of_wrong, of_samples = count_heads(
        shared.space, shared.given, shared.clean, included, variant.num_classes, whole=shared.whole
    )
    arrays = {f"wrong_{name}": getattr(of_wrong, name).astype(np.int32) for name in OF_WRONG}
    arrays |= {f"sample_{name}": getattr(of_samples, name).astype(np.int32) for name in OF_SAMPLES}
    task.path.parent.mkdir(parents=True, exist_ok=True)
    write_archive(arrays, task.path)


def _column_records(shared: AtlasShared, number: int) -> list[dict[str, Any]]:
    """The coordinates of a column, and what each detector finds of its wrong labels."""
    column = shared.columns[number]
    given, clean = (values[number].astype(np.int64) for values in (shared.given, shared.clean))
    place = realised(shared.coordinates[column.set, column.truth], given, clean)
    known = clean >= 0
    wrong = known & (given != clean)
    found = [
        plain({
            "record": "column", **column.key, "wrong": int(wrong.sum()), "known": int(known.sum()),
            "difficulty": place.difficulty, "coherence": place.coherence, "agreement": place.agreement,
            "expected": place.expected,
        })
    ]  # fmt: skip
    if not column.scored:
        return found
    base = shared.human[column.set]
    variant = (
        base if column.kind == HUMAN and column.truth == PUBLISHED else relabelled(base, given, clean, column.kind)
    )
    told = score_labels(shared.prepared, variant, detectors=asked_detectors(shared.grid), seed=shared.grid.seed)
    truths = {column.truth: clean}
    contested = shared.contested[column.set]
    if shared.grid.contested == "again" and contested.any():
        truths[UNCONTESTED] = np.where(contested, UNKNOWN, clean)
    for truth, right in truths.items():
        found += _scored({**column.key, "truth": truth}, told, given, right)
    return found


def _scored(key: Mapping[str, Any], told: LabelScores, given: Labels, clean: Labels) -> Iterator[dict[str, Any]]:
    """How well each detector's scores find the wrong labels among those whose right class is known."""
    known = clean >= 0
    wrong = (given != clean)[known]
    if not wrong.any() or wrong.all():
        return
    for name, values in told.scores.items():
        ranking = rank(values[known], wrong, given[known])
        yield plain({
            "record": "score", **key, "detector": name, "role": told.kinds[name],
            "auroc": auroc(ranking).value, "auroc_within_given": auroc_within_class(ranking).value,
        })  # fmt: skip


def asked_detectors(grid: AtlasGrid) -> str | list[str]:
    """Detectors of a grid, as ``score_labels`` takes them."""
    names = grid.detectors.split(",")
    return names[0] if len(names) == 1 else names


def _accuracies(
    grid: AtlasGrid, source: Source, features: AtlasFeatures, given: NDArray[np.int16]
) -> dict[str, Floats]:
    """Version of the test labels → accuracy of a head on all samples, of each column; nothing without a test set."""
    if features.tests is None:
        return {}
    versions = read_test_labels(grid, source, len(features.tests))
    space = head_space(features.tested, penalty=grid.penalty, components=grid.components, tests=features.tests)
    found = head_accuracies(space, given, np.stack([*versions.values()]), source.num_classes)
    return dict(zip(versions, found, strict=True))


def _found(
    grid: AtlasGrid,
    human: HumanLabels,
    columns: tuple[AtlasColumn, ...],
    tasks: Sequence[AtlasTask],
    accuracies: Mapping[str, Floats],
) -> AtlasFound:
    """What the files of all tasks hold."""
    names = (*(f"wrong_{name}" for name in OF_WRONG), *(f"sample_{name}" for name in OF_SAMPLES))
    blocks = [read_archive(task.path, names) for task in tasks if task.heads]
    of_wrong = WrongCounts(
        **{name: np.concatenate([block[f"wrong_{name}"] for block in blocks]).astype(np.int64) for name in OF_WRONG}
    )
    counts: dict[str, Labels] = {
        name: np.sum([block[f"sample_{name}"] for block in blocks], axis=0, dtype=np.int64) for name in OF_SAMPLES
    }
    records = tuple(tuple(read_json(task.path)) for task in tasks if not task.heads)
    return AtlasFound(human, columns, records, of_wrong, SampleCounts(grid.models, **counts), accuracies)


def atlas_parts(grid: AtlasGrid, human: HumanLabels, out: Path) -> Path:
    """Folder of the parts, named by everything that decides them, so that those of two grids are never mixed."""
    told = grid_as_json(grid)
    for name in ("data", "labels", "verdicts", "shown", "tests", "variants", "sets", "source", "limit"):
        told.pop(name)  # where files are, what is only reported, and what the ids of the variants say
    files = [one for one in (grid.difficulty, grid.features, grid.coordinate_features) if one and Path(one).is_file()]
    for name in ("difficulty", "features", "coordinate_features"):
        told[name] = told[name] and Path(told[name]).name
    what = [
        told, [(name, one.provenance.variant_id) for name, one in human.variants.items()],
        [file_digest(Path(one)) for one in files], __version__,
    ]  # fmt: skip
    return out / "parts" / hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
