"""The points of the phase study: each label column made, placed, scored, split, and left as a variant with its records."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noisybench.data.extraction import choose_features, features_of
from noisybench.data.source import Source
from noisybench.ground.arrays import Floats
from noisybench.ground.digests import file_digest
from noisybench.ground.engine import Progress
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.files import read_record, write_json
from noisybench.ground.locks import made_once
from noisybench.ground.lookup import find
from noisybench.ground.npy import write_array
from noisybench.ground.version import __version__
from noisybench.noise.difficulty_law import difficulty_of
from noisybench.runs.folder import keep_variant
from noisybench.runs.frozen_scores import FrozenFeatures, LabelScores, prepare_features, score_labels
from noisybench.statistics.coherence import Coordinates, realised
from noisybench.statistics.detection_metrics import auroc_within_class
from noisybench.statistics.ranking import rank
from noisybench.statistics.score_parts import split_auroc
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_points import MAIN, NamedVariant, PhasePoint, class_noise, origins_of, points_of
from noisybench.studies.shares import run_share
from noisybench.training.machine import Machine, limited_threads
from noisybench.variants.building import build_variant
from noisybench.variants.location import write_location
from noisybench.variants.noise import Noise
from noisybench.variants.variant import Variant, read_variant

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
        named: Variants with maps of their own.
        common: Digest of all that decides the records of every point, beside the point itself and a named variant.
    """

    grid: PhaseGrid
    out: Path
    source: Source
    data: Path | None
    difficulty: Path
    lower_is_harder: bool
    named: tuple[NamedVariant, ...]
    common: str

    @property
    def points(self) -> list[PhasePoint]:
        """Every point of the study."""
        return points_of(self.grid, self.named)

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


def setting_of(
    grid: PhaseGrid,
    source: Source,
    out: Path,
    *,
    named: Sequence[NamedVariant],
    data: Path | None,
    difficulty: Path | None,
    lower_is_harder: bool,
) -> PhaseSetting:
    """The setting of a study; where no file tells what is difficult, models are trained once, and what they say is kept."""
    file = _own_difficulty(source, out) if difficulty is None else difficulty
    matrix = None if grid.matrix is None else file_digest(Path(grid.matrix))
    decides = [
        "phase", __version__, source.sha256, grid.rate, grid.structure, matrix, grid.features, grid.coordinates,
        grid.neighbours, grid.bins, [*grid.detectors], grid.seed, file_digest(file), lower_is_harder,
    ]  # fmt: skip
    return PhaseSetting(grid, out, source, data, file, lower_is_harder, tuple(named), _digest(decides))


def _own_difficulty(source: Source, out: Path) -> Path:
    """The file of what models that have not seen a sample do not know of it, made unless it is there."""
    path = out / f"difficulty-{source.sha256[:8]}.npy"
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


def run_points(
    setting: PhaseSetting, *, machine: Machine, progress: Progress = lambda: None
) -> list[dict[str, Any]]:
    """Records of every point, in their order, of which those not finished are made."""
    left = [point for point in setting.points if _finished(point, setting) is None]
    if left:
        _keep_origins(setting)
    prepared = prepared_features(setting, machine) if left else None
    found = run_share(
        _carried_out,
        setting.points,
        PointsAtWork(setting, prepared),
        machine=machine,
        is_finished=lambda point: _finished(point, setting) is not None,
        progress=progress,
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
    symmetric = build_variant(source, noise, seed=grid.seed + grid.draws[0], mode="exact_per_class")
    origins = origins_of(grid, setting.named)
    for name, variant in [(MAIN, symmetric), *((one.name, one.variant) for one in setting.named)]:
        _keep(variant, setting, origins[name])


def _keep(variant: Variant, setting: PhaseSetting, name: str) -> Variant:
    folder = setting.folder(name) / "variant"
    kept = keep_variant(variant, folder, setting.source.sample_names)
    write_location(folder, data=setting.data, source_set={})
    return kept


def prepared_features(setting: PhaseSetting, machine: Machine, cache: Path | None = None) -> FrozenFeatures:
    """The features of detectors, with all that no label decides."""
    source, grid = setting.source, setting.grid
    with limited_threads(machine.threads):
        values = features_of(source, grid.features, device=machine.device, cache=cache or setting.out / "features")
        return prepare_features(values, classes=source.num_classes)


def _finished(point: PhasePoint, setting: PhaseSetting) -> list[dict[str, Any]] | None:
    """The records of a point; None of one that is not finished, or was made of other things."""
    folder = setting.folder(point.name)
    with suppress(BadData):
        found = read_record(folder / RECORDS)
        records = found.get("records")
        if found.get("setup") == setting.setup(point) and isinstance(records, list):
            whole = not records[0]["reached"] or (folder / "variant" / "variant.json").is_file()
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

    A target that cannot be reached leaves one record that says so.
    """
    coordinates = coordinates_in(setting)
    about = {"map": point.map, "role": point.role, "point": point.name, "draw": point.draw}
    placed = about | {"target_difficulty": point.difficulty, "target_coherence": point.coherence}
    variant = _labels_of(point, setting)
    ...


def score_records(variant: Variant, scores: LabelScores, model: str) -> list[dict[str, Any]]:
    """A record of each detector and control, and of memorization in closed form: AUROC, within the given label, its parts.

    Args:
        variant: Of which every right label is known.
        scores: Of it.
        model: What memorization is of.
    """
    answers = suspicion_by_answers(variant, scores)
    columns = [(name, kind, "features", None, scores.scores[name]) for name, kind in scores.kinds.items()]
    columns.append(("memorization", "memorization", "closed_form", model, scores.memorization))
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
