"""The points of the phase study: each label column made, placed, scored, split, and left as a variant with its records."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.data.extraction import features_of
from noisybench.data.source import Source
from noisybench.ground.amounts import duration
from noisybench.ground.arrays import Floats
from noisybench.ground.digests import file_digest
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import COPIED
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import file_name, read_record, write_json
from noisybench.ground.locks import made_once
from noisybench.ground.lookup import find
from noisybench.ground.npy import write_array
from noisybench.ground.version import __version__
from noisybench.noise.difficulty_law import difficulty_of
from noisybench.noise.exchange import OutOfReach, coordinates_of
from noisybench.runs.frozen_features import FrozenFeatures
from noisybench.runs.frozen_scores import LabelScores, prepare_features, score_labels
from noisybench.statistics.coherence import Coordinates, Realised, realised
from noisybench.statistics.detection_metrics import auroc_within_class
from noisybench.statistics.ranking import rank
from noisybench.statistics.score_parts import split_auroc
from noisybench.studies.forecast import StudyForecast
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_points import MAIN, NamedVariant, PhasePoint, class_noise, origins_of, points_in
from noisybench.studies.shares import run_share
from noisybench.studies.study import plain
from noisybench.training.machine import Machine, limited_threads
from noisybench.variants.building import build_variant
from noisybench.variants.location import write_location
from noisybench.variants.noise import Noise
from noisybench.variants.variant import Variant, read_variant, write_variant

POINTS = "points"
"""Folder of the points in that of the study."""
RECORDS = "records.json"
ANSWERS = "answers.npy"
"""Suspicion by held-out answers at a point, shape (n,): one minus the probability of the given label."""
TIMING = "timing.json"


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSetting:
    """What all points of a study have in common.

    Attributes:
        grid: Of the study.
        out: Its folder.
        source: Inputs and right labels.
        data: Where the files of the source are; None is the cache.
        difficulty: File of the difficulty of each sample.
        lower_is_harder: Its sign.
        coordinates: File of the features in which coherence is measured.
        named: Variants with maps of their own.
        common: Digest of all that decides the records of every point, beside the point itself and a named variant.
    """

    grid: PhaseGrid
    out: Path
    source: Source
    data: Path | None
    difficulty: Path
    lower_is_harder: bool
    coordinates: Path
    named: tuple[NamedVariant, ...]
    common: str

    @property
    def points(self) -> list[PhasePoint]:
        """Every point of the study."""
        return points_in(self.grid, self.named)

    def folder(self, name: str) -> Path:
        """Folder of the point of that name."""
        return self.out / POINTS / name

    def origin(self, point: PhasePoint) -> Path:
        """Folder of the variant whose counts a point has."""
        return self.folder(origins_of(self.grid, self.named)[point.map]) / "variant"

    def setup(self, point: PhasePoint) -> str:
        """Digest of all that decides the records of a point."""
        own = [one.variant.variant_id for one in self.named if one.name == point.map]
        return _digest([self.common, *own, point._asdict()])


def phase_setting(
    grid: PhaseGrid,
    source: Source,
    out: Path,
    *,
    named: Sequence[NamedVariant],
    data: Path | None,
    difficulty: Path,
    lower_is_harder: bool,
) -> PhaseSetting:
    """The setting of a study, with the digest of all that decides its points."""
    matrix = None if grid.matrix is None else file_digest(Path(grid.matrix))
    decides = [
        "phase", __version__, source.sha256, grid.rate, grid.structure, matrix, grid.features, grid.coordinates,
        grid.neighbours, grid.bins, [*grid.detectors], grid.seed, file_digest(difficulty), lower_is_harder,
    ]  # fmt: skip
    near = out / f"{file_name(grid.coordinates)}-{source.sha256[:8]}.npy"
    return PhaseSetting(grid, out, source, data, difficulty, lower_is_harder, near, tuple(named), _digest(decides))


def difficulty_file(source: Source, *homes: Path) -> Path:
    """The file of what models that have not seen a sample do not know of it, in the first of some folders that has one.

    Where none has, the models are trained, and the file is left in the last folder.
    """
    name = f"difficulty-{source.sha256[:8]}.npy"
    there = [home / name for home in homes if (home / name).is_file()]
    if there:
        return there[0]
    path = homes[-1] / name
    with made_once(path):
        if not path.is_file():
            write_array(difficulty_of(source, file=None), path)
    return path


def _digest(what: Any) -> str:  # noqa: ANN401 - what JSON holds
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class PointsAtWork:
    """What a worker needs beside its points, sent to it once.

    Attributes:
        setting: Of the study.
        prepared: Features with all that no label decides; None where every point is finished.
    """

    setting: PhaseSetting
    prepared: FrozenFeatures | None


def run_points(setting: PhaseSetting, *, machine: Machine, progress: Progress = lambda: None) -> list[dict[str, Any]]:
    """Records of every point, in their order, of which those not finished are made."""
    left = [point for point in setting.points if _finished(point, setting) is None]
    if left:
        _keep_origins(setting)
        _keep_coordinates(setting, machine)
    prepared = prepared_features(setting, machine, setting.out / "features") if left else None
    found = run_share(
        _carried_out,
        setting.points,
        PointsAtWork(setting, prepared),
        machine=machine,
        is_finished=lambda point: _finished(point, setting) is not None,
        progress=progress,
        joined=COPIED,
    )
    return [record for records in found for record in records]


def _keep_origins(setting: PhaseSetting) -> None:
    """Lay the variants from which others take their counts; here, so that no two processes write one."""
    grid, source = setting.grid, setting.source
    matrix = None if grid.matrix is None else Path(grid.matrix)
    noise: Noise = find("noises", "difficulty")(
        rate=grid.rate, auroc=0.5, structure=grid.structure, matrix=matrix, difficulty=setting.difficulty,
        lower_is_harder=setting.lower_is_harder,
    )  # fmt: skip
    scattered = build_variant(source, noise, seed=grid.seed + grid.draws[0], mode="exact_per_class")
    if not 0 < scattered.mislabeled.sum() < len(scattered.labels):
        msg = (
            f"rate {grid.rate:g} makes {int(scattered.mislabeled.sum()):,} of {len(scattered.labels):,} labels wrong; a map needs "
            f"wrong and right ones"
        )
        raise BadUsage(msg)
    origins = origins_of(grid, setting.named)
    for name, variant in [(MAIN, scattered), *((one.name, one.variant) for one in setting.named)]:
        _keep(variant, setting, origins[name])


def _keep(variant: Variant, setting: PhaseSetting, name: str) -> None:
    """Lay the variant of a point."""
    folder = setting.folder(name) / "variant"
    with made_once(folder / "variant.json"):  # which is written last; several jobs may begin at once
        if _variant_in(folder) != variant.variant_id:
            write_variant(variant, folder)
        write_location(folder, data=setting.data, source_set={})


def _variant_in(folder: Path) -> str | None:
    """Id of the variant that lies in a folder, None where none does: one of other settings may."""
    with suppress(BadData):
        return read_variant(folder).variant_id
    return None


def _keep_coordinates(setting: PhaseSetting, machine: Machine) -> None:
    """Lay the features of coherence into their file, unless they are there."""
    with made_once(setting.coordinates), limited_threads(machine.threads):
        if not setting.coordinates.is_file():
            values = features_of(setting.source, setting.grid.coordinates, device=machine.device)
            write_array(values, setting.coordinates)


def prepared_features(setting: PhaseSetting, machine: Machine, cache: Path | None) -> FrozenFeatures:
    """The features of detectors, kept in a folder, with all that no label decides."""
    source, grid = setting.source, setting.grid
    with limited_threads(machine.threads):
        values = features_of(source, grid.features, device=machine.device, cache=cache)
        return prepare_features(values, classes=source.num_classes)


def _finished(point: PhasePoint, setting: PhaseSetting) -> list[dict[str, Any]] | None:
    """The records of a point; None of one that is not finished, or was made of other things."""
    folder = setting.folder(point.name)
    with suppress(BadData):
        found = read_record(folder / RECORDS)
        records = found.get("records")
        if found.get("setup") == setting.setup(point) and isinstance(records, list):
            whole = not records[0]["reached"] or _variant_in(folder / "variant") is not None
            return records if whole else None
    return None


def _carried_out(point: PhasePoint, work: PointsAtWork, progress: Progress) -> list[dict[str, Any]]:
    """Records of a point, made unless they are there."""
    setting = work.setting
    records = _finished(point, setting)
    if records is None:
        if work.prepared is None:
            msg = f"point '{point.name}' was removed while the study read it; carry it out again"
            raise BadData(msg)
        began = time.perf_counter()
        records = make_point(point, setting, work.prepared)
        write_json({"seconds": time.perf_counter() - began}, setting.folder(point.name) / TIMING, sync=False)
        write_json({"setup": setting.setup(point), "records": records}, setting.folder(point.name) / RECORDS)
    progress()
    return records


def make_point(point: PhasePoint, setting: PhaseSetting, prepared: FrozenFeatures) -> list[dict[str, Any]]:
    """Make the labels of a point, leave them as a variant, and score them: its record, and one of each score.

    A target that cannot be reached leaves one record that says so, with the coordinates at which the search ended.
    """
    where = coordinates_in(setting)
    about = {"map": point.map, "role": point.role, "point": point.name, "draw": point.draw}
    told = {"record": "point", **about, "target_difficulty": point.difficulty, "target_coherence": point.coherence}
    variant = _labels_of(point, setting)
    if isinstance(variant, Realised):
        return [_known(told | {"reached": False, "difficulty": variant.difficulty, "coherence": variant.coherence})]
    _keep(variant, setting, point.name)
    at = realised(where, variant.labels, variant.clean)
    place = {"difficulty": at.difficulty, "coherence": at.coherence}
    told |= {
        "reached": True, **place, "rate": float(variant.mislabeled.mean()), "cells": cells_digest(variant),
        "variant_id": variant.variant_id, "name": _name_of(point, setting),
    }  # fmt: skip
    scores = score_labels(prepared, variant, detectors=setting.grid.detectors)
    write_array(suspicion_by_answers(variant, scores), setting.folder(point.name) / ANSWERS)
    own = [{"record": "score", **about, **place, **one} for one in score_records(variant, scores)]
    return [_known(record) for record in (told, *own)]


def _known(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as JSON has it, without what is unknown."""
    return {name: value for name, value in plain(record).items() if value is not None}


def _name_of(point: PhasePoint, setting: PhaseSetting) -> str | None:
    """What a named point is called."""
    if point.role != "named":
        return None
    return class_noise(setting.grid) if point.map == MAIN else point.map


def cells_digest(variant: Variant) -> str:
    """Digest of the number of labels in each cell of clean and given class: alike for all points of a map."""
    k = variant.num_classes
    counts = np.bincount(variant.clean * k + variant.labels, minlength=k * k)
    return hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest()[:16]


def coordinates_in(setting: PhaseSetting) -> Coordinates:
    """The geometry in which all points are placed; it is kept for the last source."""
    grid = setting.grid
    return coordinates_of(
        setting.source, features=setting.coordinates, neighbours=grid.neighbours, bins=grid.bins, difficulty=setting.difficulty,
        lower_is_harder=setting.lower_is_harder,
    )  # fmt: skip


def _labels_of(point: PhasePoint, setting: PhaseSetting) -> Variant | Realised:
    """The variant of a point; of a target that is out of reach, where the search for it ended."""
    grid, origin = setting.grid, setting.origin(point)
    if origin == setting.folder(point.name) / "variant":
        return read_variant(origin)
    seed = grid.seed + point.draw
    if point.difficulty is None or point.coherence is None:
        alone: Noise = find("noises", "counterpart")(of=origin)
        return build_variant(setting.source, alone, seed=seed, mode="exact_per_class")
    noise: Noise = find("noises", "exchanged")(
        of=origin, auroc=point.difficulty, coherence=point.coherence, difficulty=setting.difficulty,
        lower_is_harder=setting.lower_is_harder, features=setting.coordinates, neighbours=grid.neighbours, bins=grid.bins,
    )  # fmt: skip
    try:
        return build_variant(setting.source, noise, seed=seed)
    except OutOfReach as refused:
        return refused.realised


def score_records(variant: Variant, scores: LabelScores) -> list[dict[str, Any]]:
    """A record of each detector and control, and of memorization in closed form: AUROC, within the given label, its parts.

    Every right label of the variant is known.
    """
    answers = suspicion_by_answers(variant, scores)
    columns: list[tuple[str, str, str, str | None, Floats]] = [
        (name, kind, "features", None, scores.scores[name]) for name, kind in scores.kinds.items()
    ]
    columns.append(("memorization", "memorization", "closed_form", "ridge", scores.memorization))
    found = []
    for name, kind, by, learner, values in columns:
        parts = split_auroc(values, variant.mislabeled, variant.labels, answers)
        within = auroc_within_class(rank(values, variant.mislabeled, variant.labels)).value
        found.append(
            {"detector": name, "kind": kind, "by": by, "model": learner, "auroc": parts.auroc, "auroc_within_given": within,
             "given_label": parts.given_label, "held_out_answers": parts.held_out_answers, "rest": parts.rest}
        )  # fmt: skip
    return found


def suspicion_by_answers(variant: Variant, scores: LabelScores) -> Floats:
    """One minus the probability of the given label by models that did not see the sample, shape (n,)."""
    found: Floats = 1 - scores.held_out[np.arange(len(variant.labels)), variant.labels].astype(np.float64)
    return found


def forecast_points(setting: PhaseSetting, elsewhere: Path, machine: Machine) -> StudyForecast:
    """Points, finished ones, and the time of the others: by those, or by one that is made elsewhere.

    Args:
        setting: Of the study.
        elsewhere: Folder for that one.
        machine: How it is made.
    """
    points = setting.points
    finished = [point for point in points if _finished(point, setting) is not None]
    left = len(points) - len(finished)
    spent = [seconds for point in finished if (seconds := _seconds(setting.folder(point.name))) is not None]
    if spent or not left:
        return StudyForecast(
            len(points), len(finished), left * float(np.mean(spent or [0.0])), "by those that are finished"
        )
    began = time.perf_counter()
    there = setting.out / "features"
    prepared = prepared_features(setting, machine, there if there.is_dir() else None)
    near = setting.coordinates if setting.coordinates.is_file() else elsewhere / setting.coordinates.name
    tried = replace(setting, out=elsewhere, coordinates=near)
    _keep_origins(tried)
    _keep_coordinates(tried, machine)
    coordinates_in(tried)
    before = time.perf_counter() - began
    target = next(point for point in points if point.role == "target")
    began = time.perf_counter()
    make_point(target, tried, prepared)
    each = time.perf_counter() - began
    basis = f"by one that was made elsewhere; {duration(before)} for features and neighbours are among them"
    return StudyForecast(len(points), 0, before + left * each, basis)


def finished_records(setting: PhaseSetting) -> list[dict[str, Any]]:
    """Records of the points that are finished, in their order; nothing is made."""
    return [record for point in setting.points for record in _finished(point, setting) or ()]


def reached_of(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of some records those of the points of the main map that were reached: networks are trained at some of them."""
    return [one for one in records if one["record"] == "point" and one["map"] == MAIN and one["reached"]]


def _seconds(folder: Path) -> float | None:
    """What a point took; None where nobody wrote it."""
    with suppress(BadData, KeyError, TypeError):
        return float(read_record(folder / TIMING)["seconds"])
    return None
