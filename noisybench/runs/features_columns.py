"""Columns of a run from frozen features, by the part that computes them: those of every run, and those that are asked for.

Whatever detectors are asked for, a run has ``BASE``: suggestions, and what ``suspects`` shows, rest on it.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from noisybench.detection.scoring import Detector, DetectorSet, Kind
from noisybench.ground.arrays import Features, Floats32, Labels
from noisybench.ground.checks import as_list, check_kind, check_room
from noisybench.ground.errors import BadUsage
from noisybench.ground.files import write_json
from noisybench.ground.lookup import find, names
from noisybench.runs.frozen_features import FrozenFeatures
from noisybench.runs.kept_rows import with_dropped
from noisybench.statistics.alignment import alignment_of
from noisybench.statistics.gaussian import distances_along
from noisybench.statistics.hoc import estimate_consensus, ranks_above_right
from noisybench.statistics.linear_probe import deal_folds, held_out_on
from noisybench.statistics.neighbour_index import IndexName
from noisybench.statistics.neighbours import label_shares
from noisybench.statistics.ridge import PENALTIES, check_several, ridge_answers
from noisybench.statistics.shapley import shapley_of
from noisybench.statistics.vicinity import NOBODY, vicinity_in
from noisybench.training.timing import TIMING, read_timing
from noisybench.variants.variant import Variant

FOLDS = 5
"""Parts of the samples, each asked of a probe that was fitted to the others."""


class Kept(NamedTuple):
    """What columns are computed from: the samples that no person dropped.

    Attributes:
        frozen: What no label decides.
        labels: Shape (m,).
        classes: Classes that there are.
        fold: Of each one, shape (m,).
        samples: Their numbers among all, shape (m,).
    """

    frozen: FrozenFeatures
    labels: Labels
    classes: int
    fold: Labels
    samples: Labels


class Filled(NamedTuple):
    """A column: its values of the samples that stay, and what stands in the rows of the others."""

    values: NDArray[Any]
    neutral: float


ColumnsSoFar = Mapping[str, Filled]


def _held_out(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """Probabilities of logistic regression in folds, (m, k)."""
    found = held_out_on(kept.frozen.probe_inputs, kept.labels, kept.classes, kept.fold)
    return {"held_out.probabilities": Filled(found.probabilities, 1 / kept.classes)}


def _ridge(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """What ridge regression says, see ``RidgeAnswers``."""
    frozen = kept.frozen
    ridge = ridge_answers(frozen.ridge, kept.labels, kept.classes, frozen.members, np.asarray(PENALTIES))
    return {
        "features.ridge_suspicion": Filled(ridge.suspicion, 0),
        "features.ridge_answers": Filled(ridge.answers, 1 / kept.classes),
        "features.ridge_chosen": Filled(ridge.margin_at_chosen, 0),
        "features.ridge_leverage": Filled(ridge.leverage, 0),
        "features.cooks_distance": Filled(ridge.cooks_distance, 0),
    }


def _neighbours(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """Share of each label among the neighbours, (m, k)."""
    nearest, found = kept.frozen.neighbours
    shares = label_shares(found, nearest, kept.labels, kept.classes)
    return {"neighbours.labels": Filled(shares, 1 / kept.classes)}


def _gaussian(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """Distance to each class, (m, k)."""
    distances = distances_along(kept.frozen.gaussian, kept.labels, kept.classes, kept.frozen.members)
    return {"features.gaussian_distances": Filled(distances, 0)}


def _vicinity(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """What lies around each sample, see ``Vicinity``; the two nearest are numbered among all samples."""
    found = vicinity_in(kept.frozen.surroundings, kept.labels, kept.classes)
    two = np.where(found.two_nearest >= 0, kept.samples[found.two_nearest], NOBODY)
    return {
        "features.simifeat_votes": Filled(found.votes, kept.classes**-0.5),
        "features.two_nearest": Filled(two, NOBODY),
        "features.nearest_same": Filled(found.nearest_same, 1),
        "features.nearest_other": Filled(found.nearest_other, 1),
    }


def _simifeat_ranks(kept: Kept, so_far: ColumnsSoFar) -> dict[str, Filled]:
    """Rank of each label by its votes, less the share of right labels that neighbours tell; 0 where nobody has two."""
    two, ranks = so_far["features.two_nearest"].values, np.zeros(len(kept.labels))
    if (two >= 0).all(1).any():
        places = np.where(two >= 0, np.searchsorted(kept.samples, two), NOBODY)
        right = estimate_consensus(kept.labels, places, kept.classes).right
        ranks = ranks_above_right(so_far["features.simifeat_votes"].values, kept.labels, right)
    return {"features.simifeat_ranks": Filled(ranks, 0)}


def _alignment(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """How well each sample lies along the main direction of its class, (m,)."""
    found = alignment_of(kept.frozen.values, kept.frozen.points.rows, kept.labels, kept.fold)
    return {"features.alignment": Filled(found, 1)}


def _shapley(kept: Kept, _: ColumnsSoFar) -> dict[str, Filled]:
    """Shapley values of the labels, (m,)."""
    return {"features.shapley": Filled(shapley_of(kept.frozen.orders, kept.labels), 0)}


class ColumnPart(NamedTuple):
    """What is computed at once, and timed.

    Attributes:
        compute: Its columns from the samples that stay, and from the columns of the parts before.
        columns: Their names.
        after: Names of the parts whose columns it reads.
    """

    compute: Callable[[Kept, ColumnsSoFar], dict[str, Filled]]
    columns: tuple[str, ...]
    after: tuple[str, ...] = ()


PARTS: Mapping[str, ColumnPart] = {
    "held_out": ColumnPart(_held_out, ("held_out.probabilities", "prediction")),
    "ridge": ColumnPart(_ridge, (
        "features.ridge_suspicion", "features.ridge_answers", "features.ridge_chosen", "features.ridge_leverage",
        "features.cooks_distance",
    )),
    "neighbours": ColumnPart(_neighbours, ("neighbours.labels",)),
    "gaussian": ColumnPart(_gaussian, ("features.gaussian_distances",)),
    "vicinity": ColumnPart(_vicinity, (
        "features.simifeat_votes", "features.two_nearest", "features.nearest_same", "features.nearest_other",
    )),
    "simifeat_ranks": ColumnPart(_simifeat_ranks, ("features.simifeat_ranks",), ("vicinity",)),
    "alignment": ColumnPart(_alignment, ("features.alignment",)),
    "shapley": ColumnPart(_shapley, ("features.shapley",)),
}  # fmt: skip
"""Parts of a run, in the order in which they are computed."""
BASE = (
    "given", "held_out.probabilities", "prediction", "features.ridge_suspicion", "features.ridge_answers",
    "features.ridge_chosen", "features.ridge_leverage", "neighbours.labels",
)  # fmt: skip
"""Columns of every run, and the only ones of version 0.3.0."""


def columns_asked(detectors: str | Sequence[str]) -> set[str]:
    """Names of the columns that a run needs to score some detectors: ``BASE``, and what they read besides.

    Args:
        detectors: Names of detectors that frozen features feed, and sets: ``fast``, ``standard`` or ``all``.

    Raises:
        BadUsage: A detector that frozen features do not feed, or that is in no list of detectors.
        UnknownName: No such detector.
    """
    asked = [detectors] if isinstance(detectors, str) else as_list(detectors, "detectors", "give names of detectors")
    wanted = {*BASE}
    sets = get_args(DetectorSet)
    for spec in asked:
        check_kind(spec, str, "each of the detectors", "give the name of one, or fast, standard or all")
        if spec in sets:
            within = sets[: sets.index(spec) + 1]
            fed = (find("detectors", name) for name in names("detectors"))
            chosen = [one for one in fed if "features" in one.fed_by and one.smallest_set in within]
        else:
            chosen = [_one_asked(spec)]
        wanted |= {need for detector in chosen for need in detector.needs}
    return wanted


def _one_asked(name: str) -> Detector:
    detector: Detector = find("detectors", name)
    if "features" not in detector.fed_by:
        msg = f"detector '{name}' is not scored from frozen features; 'noisybench list detectors {name}' says from what"
        raise BadUsage(msg)
    if name not in names("detectors"):
        msg = f"detector '{name}' is none of 'noisybench list detectors', whose columns frozen features leave; add it there"
        raise BadUsage(msg)
    return detector


def columns_from(
    features: Features,
    variant: Variant,
    groups: Labels,
    *,
    seed: int,
    lacking: Collection[str] = BASE,
    index: IndexName | None = None,
) -> tuple[dict[str, Floats32], dict[str, float]]:
    """The columns of a run's trace by name, and the seconds that each part of them took; see ``frozen_columns``.

    A sample that a person dropped takes part in nothing: the columns of the others are those of a data set without it.
    Its own are undecided: every class alike, a suspicion, margin and leverage of 0, and no neighbours.

    Args:
        features: Shape (n, d).
        variant: The labels.
        groups: Number of each sample's group, shape (n,), see ``find_groups``.
        seed: Of the folds.
        lacking: Names of the columns that are asked for.
        index: By which the labels of neighbours are found, see ``neighbours_by``; what else is near, by all pairs.
    """
    frozen = FrozenFeatures(features, groups, ~variant.dropped, index)
    return frozen_columns(frozen, variant, seed=seed, lacking=lacking, keep=False)


def frozen_columns(
    frozen: FrozenFeatures, variant: Variant, *, seed: int, lacking: Collection[str] = BASE, keep: bool = True
) -> tuple[dict[str, Floats32], dict[str, float]]:
    """The columns by name, and the seconds that each part of them took: those lacking, and of their parts.

    Args:
        frozen: The features, of which those samples are kept that the variant keeps.
        variant: The labels.
        seed: Of the folds.
        lacking: Names of the columns that are asked for.
        keep: Whether what no label decides stays in memory for further labels; else no longer than its part needs it.
    """
    labels, k = variant.labels[frozen.kept], variant.num_classes
    check_room(len(labels), k, "an answer for each class for each sample", "take fewer samples")
    check_several(labels)
    fold = deal_folds(labels, frozen.members, FOLDS, seed)
    kept = Kept(frozen, labels, k, fold, np.flatnonzero(frozen.kept))
    made: dict[str, Filled] = {}
    seconds: dict[str, float] = {}
    needed = _parts_of(lacking)
    for name, part in PARTS.items():
        if name in needed:
            began = time.perf_counter()
            made |= part.compute(kept if keep else kept._replace(frozen=replace(frozen)), made)
            seconds[name] = time.perf_counter() - began
    columns: dict[str, NDArray[Any]] = {"given": variant.labels}
    columns |= {name: with_dropped(filled.values, variant, filled.neutral) for name, filled in made.items()}
    found = {name: values.astype(np.float32) for name, values in columns.items()}
    if "held_out.probabilities" in found:
        answers = found["held_out.probabilities"]
        found["prediction"] = answers.argmax(1).astype(np.float32)  # as whoever reads the column finds it
    return found, seconds


def _parts_of(columns: Collection[str]) -> set[str]:
    """Names of the parts that compute some columns, and of those that come before them."""
    own = {name for name, part in PARTS.items() if {*part.columns} & {*columns}}
    return own | {before for name in own for before in PARTS[name].after}


def write_timing(folder: Path, parts: Mapping[str, float] | None, kinds: Mapping[str, Kind]) -> None:
    """Write what a run and each detector took, with what is told of before; nobody knows it of columns that were there.

    Args:
        folder: Of the run.
        parts: Seconds of ``features``, and of each part that was computed now; None where none was.
        kinds: Name of each detector that was scored now → what it is.
    """
    told = read_timing(folder)
    costs: dict[str, Mapping[str, float | int | None]] = dict(told.get("detectors", {}))
    for name in kinds:
        detector: Detector = find("detectors", name)
        needed = _parts_of(detector.needs)
        if parts is not None and needed <= {*parts}:
            costs[name] = {"seconds": parts["features"] + sum(parts[part] for part in needed), "passes": 0.0}
        else:
            costs.setdefault(name, {"seconds": None, "passes": 0.0})
    before = told.get("seconds", 0.0)
    total = None if parts is None or before is None else before + sum(parts.values())
    write_json({"seconds": total, "detectors": dict(sorted(costs.items()))}, folder / TIMING, sync=False)
