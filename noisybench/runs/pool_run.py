"""Pooling: many models on random subsets of a variant, as a measurement of memorization or as detectors.

The two never share a model. A measurement lies beside the runs of its variant, and they are held against it; detectors
are a run themselves, which has a pool in place of a training.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from noisybench.board.agreement import read_truths
from noisybench.board.truths import digests_of, judge, truths_beside
from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Source
from noisybench.detection.scoring import Kind, Scores, read_scores, score, scores_path, write_scores
from noisybench.ground.arrays import Features
from noisybench.ground.checks import unknown, whole
from noisybench.ground.digests import file_digest
from noisybench.ground.engines.processes import Progress
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.files import file_name, read_record, write_columns, write_json
from noisybench.ground.locks import locked
from noisybench.ground.lookup import find, names
from noisybench.ground.random_streams import derive
from noisybench.memorization.held_out import held_out_answers
from noisybench.memorization.learner import Learner
from noisybench.memorization.pool import PURPOSES, Pool, read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subsets import check_fraction, group_size, subsets
from noisybench.runs.folder import keep_variant
from noisybench.runs.record import HOW_LABELS_CAME, about_labels
from noisybench.statistics.confident_learning import NoiseEstimate, estimate_noise
from noisybench.statistics.neighbours import neighbour_labels
from noisybench.training.trace import read_trace, write_observation
from noisybench.variants.variant import Variant, check_source

NEIGHBOURS = 20
"""Of a sample, for ``knn``."""


class Detected(NamedTuple):
    """What a detector pool left.

    Attributes:
        folder: Of the run.
        detectors: Names of those that were scored.
        noise: What confident learning estimates of the noise.
    """

    folder: Path
    detectors: tuple[str, ...]
    noise: NoiseEstimate


def detect(
    source: Source,
    variant: Variant,
    learner: Learner,
    out: str | Path = "runs",
    *,
    fractions: Sequence[float] = (),
    models: int = 500,
    seed: int = 0,
    features: Features | None = None,
    workers: int = 1,
    progress: Progress = lambda: None,
) -> Detected:
    """Score the detectors of held-out answers with a pool that shares no model with any measurement of memorization.

    Nothing finished is done twice: blocks of models are kept, and a run that is there is only held against what has been
    measured since.

    Args:
        source: See ``retrain``; also ``variant``, ``learner``, ``seed``, ``features`` and ``workers``.
        variant: Whose labels.
        learner: What is trained.
        out: Folder of runs.
        fractions: Of the samples in a subset, a pool each, where there shall be several, as ``c_score`` needs; none
            takes the learner's.
        models: How many are trained for each fraction.
        seed: Of subsets and training.
        features: What the models see in place of the inputs, and where neighbours are looked for.
        workers: Processes.
        progress: Called after each model.

    Raises:
        BadUsage: A fraction twice, or what ``retrain`` raises.
        BadData: The folder holds a run that was made differently.
    """
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    shares = tuple(sorted(fractions)) or (learner.fraction,)
    if len(set(shares)) < len(shares):
        msg = f"a fraction is given twice in {', '.join(f'{share:g}' for share in fractions)}"
        raise BadUsage(msg)
    learners = [replace(learner, fraction=share) for share in shares]
    home = Path(out) / variant.name
    folder = home / _folder(learners) / f"seed-{seed}"
    check_source(source, variant)
    for one in learners:
        _check_held_out(one, len(variant.labels), models, seed)
    record = _record(learners[-1], variant, shares, models=models, seed=seed)
    with locked(folder):
        there = _is_there(folder, record)
        if not (folder / "run.json").is_file():
            write_json({**record, "detectors": {}}, folder / "run.json")  # a run that has begun
        pools, seconds = [], 0.0
        for one in learners:
            place = folder / f"fraction-{one.fraction:g}"
            done = retrain(
                source,
                variant,
                one,
                place,
                models=models,
                seed=seed,
                purpose="detector",
                features=features,
                workers=workers,
                progress=progress,
            )
            seconds += models / done.models_per_second  # over every call that trained some of them
            pools.append(read_pool(place, variant, models=models))
        keep_variant(variant, home / "variant", source)
        if not there:
            (folder / "agreement.parquet").unlink(missing_ok=True)  # first: what has none is no finished run
            _score_all(folder, pools, variant, record, near=_where_to_look(source, features), seconds=seconds)
        detectors = _judge(folder, variant, seed)
    return Detected(folder, detectors, estimate_noise(variant.labels, pools[-1].held_out))


def _check_held_out(learner: Learner, n: int, models: int, seed: int) -> None:
    """Raise ``BadUsage`` for subsets that cannot be drawn, or where each of the models would see some sample."""
    check_fraction(learner.fraction, n)
    included = subsets(range(models), n, learner.fraction, seed=derive(seed, "detector"), balanced=learner.balanced)
    seen = int(included.all(0).sum())
    if seen:
        more = f"at least {group_size(learner.fraction)}" if learner.balanced else "more, or balanced subsets"
        msg = f"{seen} of {n} samples would be in the subset of each of {models} models, and none could be asked; train {more}"
        raise BadUsage(msg)


def _where_to_look(source: Source, features: Features | None) -> Features | None:
    """Where neighbours are looked for: given features, pixels, or columns brought to one scale, shape (n, d).

    None where inputs are read when they are asked for: they are then looked for in features or not at all.
    """
    if features is not None or not isinstance(source.inputs, np.ndarray):
        return features
    inputs = source.inputs.reshape(len(source.labels), -1).astype(np.float32)
    if source.inputs.ndim == IMAGE_DIMENSIONS:
        return inputs
    deviation = inputs.std(0)
    scaled: Features = (inputs - inputs.mean(0)) / np.where(deviation > 0, deviation, 1)
    return scaled


def _score_all(
    folder: Path,
    pools: Sequence[Pool],
    variant: Variant,
    record: Mapping[str, Any],
    *,
    near: Features | None,
    seconds: float,
) -> None:
    """Write the held-out answers, the shares fitted, every detector's scores and what they took, and run.json last."""
    began = time.perf_counter()
    k = min(NEIGHBOURS, len(variant.labels) - 1)
    neighbours = None if near is None else neighbour_labels(near, variant.labels, variant.num_classes, k)
    apart = time.perf_counter() - began
    answers = held_out_answers(pools, variant, epoch=record["epochs"], neighbours=neighbours)
    write_observation(answers, folder / "trace", variant_id=variant.provenance.variant_id)
    _write_history(pools[-1], variant, record["epochs"], folder / "history.parquet")
    scored = _score(folder, names("detectors"))
    took = None if isnan(seconds) else seconds
    passes = float(record["models"] * record["epochs"] * sum(record["fractions"]))
    costs = {
        name: {"seconds": apart, "passes": 0.0} if name == "knn" else {"seconds": took, "passes": passes}
        for name in scored
    }
    write_json({"seconds": took, "detectors": costs}, folder / "timing.json")
    detectors = {name: name for name in sorted(scored)}
    write_json({**record, "detectors": detectors, "files_sha256": _digests(folder, detectors)}, folder / "run.json")


def _judge(folder: Path, variant: Variant, seed: int) -> tuple[str, ...]:
    """Hold the scores against every truth, unless they were; their detectors."""
    detectors = tuple(read_record(folder / "run.json")["detectors"])
    agreement = folder / "agreement.parquet"
    current = digests_of(truths_beside(folder.parent.parent, variant))
    if not agreement.is_file() or read_truths(agreement) != current:
        kinds: dict[str, Kind] = {
            name: "control" if find("detectors", name).control else "detector" for name in detectors
        }
        kept = {name: (read_scores(scores_path(folder, name)), kinds[name]) for name in detectors}
        judge(folder, variant, kept, seed=seed)
    return detectors


def check_purpose(purpose: str, fractions: Sequence[float]) -> None:
    """Raise ``BadUsage`` for a purpose that does not exist, or for several fractions where one is measured."""
    if purpose not in PURPOSES:
        raise UnknownName(unknown(purpose, PURPOSES, "purpose of a pool"))
    if purpose == "truth" and len(fractions) > 1:
        msg = (
            "memorization is of one subset fraction; several are for --pool detector, where c_score averages over them"
        )
        raise BadUsage(msg)


def _folder(learners: Sequence[Learner]) -> str:
    """Name of a pool's folder, safe on every file system, which is alike for all seeds."""
    what = json.dumps([one.setup for one in learners], sort_keys=True)
    plan, word = learners[-1].plan, learners[-1].features.partition("(")[0]
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    return f"{file_name(plan.model)}-{plan.recipe_name}-{file_name(word)}-pool-{digest}"


def _record(
    learner: Learner, variant: Variant, fractions: Sequence[float], *, models: int, seed: int
) -> dict[str, Any]:
    """Everything that decides a run but the labels' history; how its models were made, their blocks say."""
    plan = learner.plan
    return {
        "regime": "pool",
        "learner": learner.name,
        **about_labels(variant),
        "model": plan.model,
        "recipe": plan.recipe_name,
        "trained": plan.trained,
        "setup": hashlib.sha256(json.dumps(learner.setup, sort_keys=True).encode()).hexdigest(),
        **asdict(plan.recipe),
        "observe": "held out",
        "features": learner.features,
        "fractions": list(fractions),
        "balanced": learner.balanced,
        "models": models,
        "neighbours": NEIGHBOURS,
        "seed": seed,
    }


def _is_there(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether the folder holds the scores of this run, whole.

    Raises:
        BadData: It holds a run that was made differently.
    """
    if not (folder / "run.json").is_file():
        return False
    found = read_record(folder / "run.json")
    detectors, digests = found.get("detectors"), found.get("files_sha256")
    differs = [key for key in record if key not in (*HOW_LABELS_CAME, "models") and found.get(key) != record[key]]
    if differs:
        key = differs[0]
        msg = (
            f"{folder} holds a run with {key} = {found.get(key)}, now it is {record[key]}; give another --out, or delete "
            f"that folder to run it again"
        )
        raise BadData(msg)
    if found.get("models") != record["models"] or not isinstance(detectors, dict):
        return False
    return bool(detectors) and digests == _digests(folder, detectors)


def _digests(folder: Path, detectors: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the answers, the history and the scores of a run, by their places in it; of those that are there."""
    paths = [*sorted((folder / "trace").glob("epoch-*.parquet")), folder / "history.parquet"]
    paths += [scores_path(folder, name) for name in detectors]
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths if path.is_file()}


def _score(folder: Path, detectors: Sequence[str]) -> list[str]:
    """Score with every detector whose columns the trace has, but for those of trainings; their names."""
    trace = read_trace(folder / "trace")
    scored = []
    for name in detectors:
        detector = find("detectors", name)
        if detector.needs_pool and set(detector.needs) <= set(trace.columns):
            found: Scores = score(trace, detector)
            write_scores(found, scores_path(folder, name))
            scored.append(name)
    return scored


def _write_history(pool: Pool, variant: Variant, epochs: int, path: Path) -> None:
    """Shares of wrong and of right labels that models give which were trained on them, as a history of one epoch."""
    seen = pool.included.sum(0)
    fitted = ((pool.predictions == variant.labels) & pool.included).sum(0) / np.where(seen > 0, seen, np.nan)
    wrong = variant.mislabeled
    columns = {"epoch": np.array([epochs], dtype=np.int64)}
    for name, members in (("mislabeled_fit", wrong), ("clean_fit", variant.known & ~wrong)):
        shares = fitted[members]
        columns[name] = np.array([np.nanmean(shares) if np.isfinite(shares).any() else np.nan])
    write_columns(columns, path)
