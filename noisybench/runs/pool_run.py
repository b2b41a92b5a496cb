"""Pooling: many models on random subsets of a variant, as a measurement of memorization or as detectors.

The two never share a model. A measurement lies beside the runs of its variant, and they are held against it; detectors
are a run themselves, which has a pool in place of a training.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Source
from noisybench.ground.arrays import Features
from noisybench.ground.checks import check_kind, unknown, whole
from noisybench.ground.durability import synced_together
from noisybench.ground.engine import Progress
from noisybench.ground.engines.shards import WHOLE, each_share
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.files import file_name, write_columns, write_json
from noisybench.ground.locks import locked, patient
from noisybench.ground.random_streams import derive
from noisybench.ground.version import __version__
from noisybench.memorization.block_tasks import Retraining
from noisybench.memorization.fitted_plan import FittedPlan
from noisybench.memorization.held_out import held_out_answers, shares_fitted
from noisybench.memorization.pool import PURPOSES, Pool, read_pool
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.subsets import check_fraction, group_size, subsets
from noisybench.runs.column_scoring import score_added, score_columns
from noisybench.runs.folder import begin, digests_of, finish, keep_variant
from noisybench.runs.kept_rows import kept_rows, neighbour_labels_of_kept
from noisybench.runs.mending import mend, recognise
from noisybench.runs.pool_training import train_pool
from noisybench.runs.record import RunRecord, about_labels
from noisybench.statistics.confident_learning import NoiseEstimate, estimate_noise
from noisybench.training.machine import Machine, given_machine, limited_threads
from noisybench.training.trace import write_observation
from noisybench.variants.variant import Variant, check_source, check_variant

NEIGHBOURS = 20
"""Neighbours of a sample that ``knn`` asks."""
LONGEST_SCORING = 3600.0
"""Seconds that a shard waits for another one that scores what both have trained."""


class DetectorPool(NamedTuple):
    """What a detector pool left.

    Attributes:
        path: Folder of the run.
        noise: What confident learning estimates of the noise.
    """

    path: Path
    noise: NoiseEstimate


def score_pool(
    source: Source,
    variant: Variant,
    learner: SubsetPlan | FittedPlan,
    out: str | Path = "runs",
    *,
    fractions: Sequence[float] = (),
    models: int = 500,
    seed: int = 0,
    features: Features | None = None,
    machine: Machine | None = None,
    progress: Progress = lambda: None,
) -> DetectorPool:
    """Score the detectors of held-out answers with a pool that shares no model with any measurement of memorization.

    Nothing finished is done twice: blocks of models are kept, and so is a run that is there.

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
        machine: How the models are trained; None takes one worker, on a GPU where there is one.
        progress: Called after each model.

    Raises:
        BadUsage: A fraction twice, or what ``retrain`` raises.
        BadData: The folder holds a run that was made differently.
        Unfinished: The models of the machine's shard are there, and others are not.
    """
    check_variant(variant)
    check_kind(learner, (SubsetPlan, FittedPlan), "learner", "plan_learner(source) and plan_fitted(source) give one")
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    machine = given_machine(machine)
    shares = tuple(sorted(fractions)) or (learner.fraction,)
    if len(set(shares)) < len(shares):
        msg = f"a fraction is given twice in {', '.join(f'{share:g}' for share in fractions)}"
        raise BadUsage(msg)
    learners = [replace(learner, fraction=share) for share in shares]
    home = Path(out) / variant.name
    folder = home / folder_of_pools([one.setup for one in learners]) / f"seed-{seed}"
    check_source(source, variant)
    for one in learners:
        _check_held_out(one, variant, models, seed)
    kept = keep_variant(variant, home / "variant", source.sample_names)
    record = _record(learners[-1], kept, shares, models=models, seed=seed)
    if machine.threads > 1:
        record = replace(record, threads=machine.threads)

    def train(one: SubsetPlan | FittedPlan) -> Retraining:
        return train_pool(
            source,
            variant,
            one,
            folder / f"fraction-{one.fraction:g}",
            models=models,
            seed=seed,
            purpose="detector",
            features=features,
            machine=machine,
            progress=progress,
        )

    if not machine.shard.is_whole:
        with patient(LONGEST_SCORING):
            _train_share(folder, record, [partial(train, one) for one in learners])
            alone = replace(machine, shard=WHOLE)  # every model is there: one of the shards scores them
            told: Any = {"fractions": fractions, "models": models, "seed": seed, "features": features}
            return score_pool(source, variant, learner, out, machine=alone, **told)
    with locked(folder):
        # A lost record is made again with all else: how its models were made, their blocks say themselves.
        found = recognise(folder, record, ignore=("models",))
        if found is None:
            begin(folder, record)
        else:
            mend(folder, found)
        pools, seconds = [], 0.0
        for one in learners:
            done = train(one)
            seconds += models / done.models_per_second  # over every call that trained some of them
            pools.append(read_pool(done.folder, variant, models=models))
        if found is None or not _is_whole(folder, found, models):
            begin(folder, record)  # what is scored again is no finished run meanwhile
            with limited_threads(machine.threads):
                _score_all(folder, pools, variant, record, near=where_to_look(source, features), seconds=seconds)
        else:
            score_added(folder, found, variant)
    rows = kept_rows(variant)
    return DetectorPool(folder, estimate_noise(variant.labels[rows], pools[-1].held_out[rows]))


def _train_share(folder: Path, record: RunRecord, trainings: Iterable[Callable[[], Retraining]]) -> None:
    """Begin the run, and train a shard's models of each of its pools; raises ``Unfinished`` unless all are there."""
    with locked(folder, shared=True):
        if recognise(folder, record, ignore=("models",)) is None:
            begin(folder, record)
        each_share(trainings)


def _check_held_out(learner: SubsetPlan | FittedPlan, variant: Variant, models: int, seed: int) -> None:
    """Raise ``BadUsage`` for subsets that cannot be drawn, or where each of the models would see some sample."""
    rows = kept_rows(variant)
    n = len(variant.labels[rows])
    check_fraction(learner.fraction, n)
    included = subsets(
        range(models),
        n,
        learner.fraction,
        seed=derive(seed, "detector"),
        balanced=learner.balanced,
        groups=None if variant.copies is None else variant.copies[rows],
    )
    seen = int(included.all(0).sum())
    if seen:
        more = f"at least {group_size(learner.fraction)}" if learner.balanced else "more, or balanced subsets"
        msg = f"{seen} of {n} samples would be in the subset of each of {models} models, and none could be asked; train {more}"
        raise BadUsage(msg)


def where_to_look(source: Source, features: Features | None) -> Features | None:
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
    record: RunRecord,
    *,
    near: Features | None,
    seconds: float,
) -> None:
    """Write the held-out answers, the shares fitted, every detector's scores and what they took, and run.json last."""
    began = time.perf_counter()
    neighbours = None if near is None else neighbour_labels_of_kept(near, variant, NEIGHBOURS, variant.copies)
    apart = time.perf_counter() - began
    answers = held_out_answers(pools, variant, epoch=record.epochs, neighbours=neighbours)
    with synced_together():
        write_observation(answers, folder / "trace", variant_id=variant.provenance.variant_id)
        _write_history(pools[-1], variant, record.epochs, folder / "history.parquet")
        kinds = score_columns(folder, variant)
    took = None if isnan(seconds) else seconds
    passes = float(len(pools[0].included) * record.epochs * sum(record.fractions or ()))
    costs = {
        name: {"seconds": apart, "passes": 0.0} if name == "knn" else {"seconds": took, "passes": passes}
        for name in kinds
    }
    write_json({"seconds": took, "detectors": costs}, folder / "timing.json", sync=False)
    detectors = {name: name for name in sorted(kinds)}
    finish(folder, record, detectors, kinds)


def check_purpose(purpose: str, fractions: Sequence[float]) -> None:
    """Raise ``BadUsage`` for a purpose that does not exist, or for several fractions where one is measured."""
    if purpose not in PURPOSES:
        raise UnknownName(unknown(purpose, PURPOSES, "purpose of a pool"))
    if purpose == "truth" and len(fractions) > 1:
        msg = (
            "memorization is of one subset fraction; several are for --pool detector, where c_score averages over them"
        )
        raise BadUsage(msg)


def folder_of_pools(setups: Sequence[Mapping[str, Any]]) -> str:
    """Name of a run's folder, safe on every file system and alike for all seeds, from what decides its pools."""
    largest = setups[-1]
    digest = hashlib.sha256(json.dumps(setups, sort_keys=True).encode()).hexdigest()[:8]
    word = str(largest["features"]).partition("(")[0]
    return f"{file_name(largest['model'])}-{largest['recipe']}-{file_name(word)}-pool-{digest}"


def digest_of_setup(setup: Mapping[str, Any]) -> str:
    """Digest of what decides a pool of subset models but labels, purpose and seed."""
    return hashlib.sha256(json.dumps(setup, sort_keys=True).encode()).hexdigest()


def _record(
    learner: SubsetPlan | FittedPlan, variant: Variant, fractions: Sequence[float], *, models: int, seed: int
) -> RunRecord:
    """Everything that decides a run; how its models were made, their blocks say."""
    return RunRecord(
        regime="pool",
        **about_labels(variant),
        setup=digest_of_setup(learner.setup),
        **learner.recorded,
        observe="held out",
        features=learner.features,
        fractions=list(fractions),
        balanced=learner.balanced,
        models=models,
        neighbours=NEIGHBOURS,
        seed=seed,
        versions={"noisybench": __version__, "numpy": np.__version__},
        detectors={},
    )


def _is_whole(folder: Path, found: RunRecord, models: int) -> bool:
    """Whether the scores of a run are those of so many models, and all its files those that it left."""
    return (
        found.models == models
        and bool(found.detectors)
        and (folder / "timing.json").is_file()
        and found.files_sha256 == digests_of(folder, found.detectors)
    )


def _write_history(pool: Pool, variant: Variant, epochs: int, path: Path) -> None:
    """Shares of wrong and of right labels that models give which were trained on them, as a history of one epoch."""
    columns = {"epoch": np.array([epochs], dtype=np.int64)}
    columns |= {name: np.array([share]) for name, share in shares_fitted(pool, variant).items()}
    write_columns(columns, path)
