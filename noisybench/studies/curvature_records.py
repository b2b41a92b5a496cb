"""What the runs of the curvature study say, as flat records: every number that its tables, pictures and verdicts need."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from noisybench.board.flags_table import HIGH_MEMORIZATION
from noisybench.data.source import Source
from noisybench.ground.arrays import Bools, Floats
from noisybench.memorization.estimate import Memorization
from noisybench.runs.reading import read_run
from noisybench.statistics.detection_metrics import auroc
from noisybench.statistics.memorization_metrics import (
    Compared,
    chance_of_top,
    cosine,
    cosine_constant,
    cosine_permuted,
    pearson,
    share_count,
    spearman,
)
from noisybench.statistics.ranking import rank
from noisybench.studies.curvature_runs import (
    CURVATURE,
    CurvatureCell,
    CurvatureGrid,
    GridLabels,
    GridPlace,
    TrainedCell,
)
from noisybench.studies.study import plain
from noisybench.training.trace import read_trace
from noisybench.variants.variant import Variant

LAST = "curvature of the last epoch"
MEMORIZATION = "memorization"
"""Names of measures that are no detectors."""
SHOWN = 24
"""Images of the contact sheet."""
IMAGE = (3, 4)
"""Dimensions of images, one or three channels last, without and with that of samples."""

PlainRecord = dict[str, Any]


class Targets(NamedTuple):
    """Which samples are what; none is of two kinds.

    Attributes:
        flips: Planted or known wrong labels that are in no pair of duplicates, shape (n,).
        copies: The copy of a pair, whose label conflicts with that of its twin, shape (n,).
        twins: The other of the pair, with its own right label, shape (n,).
        right: Right labels that are in no pair: what the others are told from, shape (n,).
    """

    flips: Bools
    copies: Bools
    twins: Bools
    right: Bools

    @property
    def sought(self) -> dict[str, Bools]:
        """Name → samples that are told from those of right labels."""
        return {
            "flips": self.flips,
            "pairs": self.copies | self.twins,
            "copies": self.copies,
            "twins": self.twins,
        }


def targets_of(source: Source, variant: Variant) -> Targets:
    """The kinds of the samples of a label column; a twin whose own label was flipped is of none."""
    nothing = np.zeros(len(variant.labels), dtype=bool)
    paired = source.marks.get("duplicate", nothing)
    copies = source.marks.get("conflicting", nothing)
    known_right = (variant.labels == variant.clean) & (variant.clean >= 0)
    alone = ~paired & ~variant.dropped
    return Targets(
        flips=variant.mislabeled & alone,
        copies=copies & ~variant.dropped,
        twins=paired & ~copies & known_right & ~variant.dropped,
        right=known_right & alone,
    )


class Watched(NamedTuple):
    """What one training says of every sample: measure → (n,), and curvature and loss by epoch."""

    trained: TrainedCell
    measures: Mapping[str, Floats]
    by_epoch: Mapping[str, tuple[tuple[int, ...], Floats]]
    """Measure → epochs (e,) and values (e, n)."""
    history: Mapping[str, float]
    model: str
    epochs: int


def see(trained: TrainedCell, path: Path) -> Watched:
    """Read a finished training from its folder."""
    run, trace = read_run(path), read_trace(path / "trace")
    curvature = trace.column("curvature")
    epochs = tuple(int(one) for one in curvature.epochs)
    measures = {name: run.scores(name).values for name in run.kinds}
    measures[LAST] = np.asarray(curvature.values[-1], dtype=np.float64)
    loss = trace.column("loss")
    at = [int(np.flatnonzero(np.asarray(loss.epochs) == one)[0]) for one in epochs]
    by_epoch = {
        "curvature": (epochs, np.asarray(curvature.values, dtype=np.float64)),
        "loss": (epochs, np.asarray(loss.values, dtype=np.float64)[at]),
    }
    return Watched(trained, measures, by_epoch, run.history, run.record.model, run.record.epochs)


def records_of(
    grid: CurvatureGrid,
    labelled: Mapping[GridPlace, GridLabels],
    trained: Sequence[TrainedCell],
    truths: Mapping[GridPlace, Memorization],
) -> list[PlainRecord]:
    """Every record of the study, of the kinds run, score, epoch, agreement, top, kind_of_top, steps and image."""
    found: list[PlainRecord] = [
        {"record": "failure", **_about(one), "why": one.failure} for one in trained if one.path is None
    ]
    seen: dict[tuple[CurvatureCell, int, int], Watched] = {}
    for one in trained:
        if one.path is not None:
            seen[one.setting, one.draw, one.seed] = see(one, one.path)
    for place, column in labelled.items():
        targets = targets_of(column.source, column.variant)
        here = [one for one in seen.values() if (one.trained.setting[:2], one.trained.draw) == (place[:2], place[2])]
        for own in here:
            found += _of_run(own, targets, column.variant)
        truth = truths.get(place)
        if truth is not None:
            centre = grid.centre(place[0])
            about = {**centre._asdict(), "draw": place[2], "seed": grid.seeds[0]}
            alike = [one for one in here if one.trained.setting._replace(step=centre.step) == centre]
            found += _of_truth(about, truth, alike, targets)
        if place[1] == grid.centre(place[0]).rate:
            found += _of_tops(grid, place, seen, targets, truth)
            found += _of_steps(grid, place, seen)
    for name in grid.sources:
        found += _images(grid, name, labelled, seen)
    return [plain(one) for one in found]


def _about(one: TrainedCell) -> PlainRecord:
    return {**one.setting._asdict(), "draw": one.draw, "seed": one.seed}


def _of_run(one: Watched, targets: Targets, variant: Variant) -> Iterator[PlainRecord]:
    """The record of a run, and the AUROC of each measure and of each epoch for each kind."""
    about = _about(one.trained)
    counts = {name: int(mask.sum()) for name, mask in targets._asdict().items()}
    fits = {name: one.history.get(name, np.nan) for name in ("mislabeled_fit", "clean_fit", "activation_change")}
    yield {
        "record": "run", **about, "model": one.model, "epochs": one.epochs, "samples": len(variant.labels), **counts, **fits,
    }  # fmt: skip
    for name, values in one.measures.items():
        yield from _scores(about, name, values, targets)
    for name, (epochs, values) in one.by_epoch.items():
        for epoch, row in zip(epochs, values, strict=True):
            for target, mask in targets.sought.items():
                value = _auroc(row, mask, targets.right)[0]
                yield {"record": "epoch", **about, "measure": name, "epoch": epoch, "target": target, "auroc": value}


def _scores(about: PlainRecord, name: str, values: Floats, targets: Targets) -> Iterator[PlainRecord]:
    """AUROC of a measure for each kind."""
    for target, mask in targets.sought.items():
        value, low, high = _auroc(values, mask, targets.right)
        yield {
            "record": "score", **about, "measure": name, "target": target, "auroc": value, "low": low, "high": high,
        }  # fmt: skip


def _auroc(values: Floats, sought: Bools, right: Bools) -> tuple[float, float, float]:
    """AUROC of some samples against those of right labels, with its interval over samples; samples without a value out."""
    taken = (sought | right) & ~np.isnan(values)
    if not (sought & taken).any() or not (right & taken).any():
        return np.nan, np.nan, np.nan
    return auroc(rank(values[taken], sought[taken]))


def _of_truth(
    about: PlainRecord, truth: Memorization, here: Sequence[Watched], targets: Targets
) -> Iterator[PlainRecord]:
    """Agreement of each measure with memorization, beside its nulls; and memorization's own AUROC.

    Args:
        about: Where the truth stands: the centre of its source, a draw, and a seed.
        truth: Of these labels.
        here: Trainings that the truth's subset models are like.
        targets: Kinds of the samples.
    """
    values = truth.values
    memorized = float(np.mean(values[targets.flips] >= HIGH_MEMORIZATION)) if targets.flips.any() else np.nan
    yield {
        "record": "truth", **about, "learner": truth.learner.name, "models": truth.models, "flips_memorized": memorized,
        "right_memorized": float(np.mean(values[targets.right] >= HIGH_MEMORIZATION)),
        "copies_memorized": float(np.mean(values[targets.copies] >= HIGH_MEMORIZATION)) if targets.copies.any() else np.nan,
    }  # fmt: skip
    yield from _scores(about, MEMORIZATION, values, targets)
    known = ~np.isnan(values)
    strata = {"all": targets.flips | targets.right, "right labels": targets.right, "wrong labels": targets.flips}
    for one in here:
        for name, scores in one.measures.items():
            for stratum, mask in strata.items():
                chosen = mask & known
                compared = Compared(scores[chosen], values[chosen], np.nan, np.zeros(0))
                rank, angle = spearman(compared), cosine(compared)
                yield {
                    "record": "agreement", **_about(one.trained), "measure": name, "stratum": stratum,
                    "samples": int(chosen.sum()), "pearson": pearson(compared).value, "spearman": rank.value, "spearman_low": rank.low,
                    "spearman_high": rank.high, "cosine": angle.value, "cosine_low": angle.low, "cosine_high": angle.high,
                    "cosine_constant": cosine_constant(compared).value, "cosine_permuted": cosine_permuted(compared).value,
                }  # fmt: skip


def top_of(values: Floats, share: float) -> Floats:
    """Chance of each sample to be among that share of the highest, ties broken at random, shape (n,)."""
    return chance_of_top(values, share_count(len(values), 100 * share))


def _of_tops(
    grid: CurvatureGrid,
    place: GridPlace,
    seen: Mapping[tuple[CurvatureCell, int, int], Watched],
    targets: Targets,
    truth: Memorization | None,
) -> Iterator[PlainRecord]:
    """What the most curved samples are, and how many of them two trainings have in common."""
    name, _, draw = place
    centre = grid.centre(name)
    tops: dict[tuple[float, int], Floats] = {}
    for decay in grid.weight_decays:
        for seed in grid.seeds:
            one = seen.get((centre._replace(weight_decay=decay), draw, seed))
            if one is None:
                continue
            top = tops[decay, seed] = top_of(one.measures[CURVATURE], grid.top)
            shares = {kind: float(top @ mask) / float(top.sum()) for kind, mask in targets._asdict().items()}
            if truth is not None:
                memorized = targets.right & (np.nan_to_num(truth.values, nan=-1) >= HIGH_MEMORIZATION)
                shares["right_memorized"] = float(top @ memorized) / float(top.sum())
            yield {"record": "kind_of_top", **_about(one.trained), "count": float(top.sum()), **shares}
    for (first, own), (second, other) in combinations(tops.items(), 2):
        same_decay, same_seed = first[0] == second[0], first[1] == second[1]
        between = "seeds" if same_decay else "weight decays" if same_seed else "weight decays and seeds"
        yield {
            "record": "top", **centre._asdict(), "draw": draw, "between": between,
            "weight_decay": first[0], "other_weight_decay": second[0], "seed": first[1], "other_seed": second[1],
            "overlap": float(np.minimum(own, other).sum() / own.sum()),
        }  # fmt: skip


def _of_steps(
    grid: CurvatureGrid, place: GridPlace, seen: Mapping[tuple[CurvatureCell, int, int], Watched]
) -> Iterator[PlainRecord]:
    """Rank agreement of curvature at two steps in one training, and of two trainings at one step."""
    name, _, draw = place
    centre = grid.centre(name)
    for activation in grid.activations:
        found = {
            (step, seed): seen[key].measures[CURVATURE]
            for step in grid.steps
            for seed in grid.seeds
            if (key := (centre._replace(activation=activation, step=step), draw, seed)) in seen
        }
        for (first, one), (second, other) in combinations(found.items(), 2):
            if (first[0] == second[0]) == (first[1] == second[1]):
                continue  # one thing alone is another
            compared = Compared(one, other, np.nan, np.zeros(0))
            rank = spearman(compared)
            yield {
                "record": "steps", **centre._asdict(), "activation": activation, "draw": draw, "seed": first[1],
                "other_seed": second[1], "step": first[0], "other_step": second[0], "spearman": rank.value,
                "low": rank.low, "high": rank.high,
            }  # fmt: skip


def _images(
    grid: CurvatureGrid,
    name: str,
    labelled: Mapping[GridPlace, GridLabels],
    seen: Mapping[tuple[CurvatureCell, int, int], Watched],
) -> Iterator[PlainRecord]:
    """The most curved images of the first draw and training, with their pixels."""
    centre = grid.centre(name)
    place = (name, centre.rate, grid.draws[0])
    one = seen.get((centre, place[2], grid.seeds[0]))
    source, variant = labelled[place]
    if one is None or not isinstance(source.inputs, np.ndarray) or source.inputs.ndim != IMAGE[1]:
        return
    targets, curvature = targets_of(source, variant), one.measures[CURVATURE]
    for number, sample in enumerate(np.argsort(-curvature, kind="stable")[:SHOWN]):
        kinds = [kind for kind, mask in targets._asdict().items() if mask[sample]]
        clean = int(variant.clean[sample])
        pixels = np.ascontiguousarray(source.inputs[sample])
        yield {
            "record": "image", "source": name, "place": number, "sample": int(sample),
            "given": variant.class_names[int(variant.labels[sample])],
            "clean": variant.class_names[clean] if clean >= 0 else None, "kind": kinds[0] if kinds else "other",
            "curvature": float(curvature[sample]), "shape": ",".join(map(str, pixels.shape)),
            "pixels": base64.b64encode(pixels.tobytes()).decode(),
        }  # fmt: skip


def pixels_of(record: Mapping[str, Any]) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """The image of a record, shape (h, w, c)."""
    shape = tuple(int(one) for one in record["shape"].split(","))
    return np.frombuffer(base64.b64decode(record["pixels"]), dtype=np.uint8).reshape(shape)
