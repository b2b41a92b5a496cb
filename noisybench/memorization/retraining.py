"""Retraining: many models on random subsets of a variant, in blocks of 50 that are written once they are whole.

Each model is what ``training`` makes of its subset: same loop, same recipe, same objective, with a seed of its own.
Perceptrons that minimise cross-entropy without augmentation, by SGD, are trained many at a time as batched matrix products,
to the same weights; all else one by one.
"""

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from noisybench.data.source import Source, check_unchanged, untested
from noisybench.ground.arrays import Bools
from noisybench.ground.checks import check_room, unknown, whole
from noisybench.ground.engine import Progress, check_sendable
from noisybench.ground.engines.shards import unfinished
from noisybench.ground.errors import BadUsage, TrainingFailed, UnknownName
from noisybench.ground.locks import locked
from noisybench.ground.random_streams import derive
from noisybench.memorization.kept_blocks import check_block, mend_block, pace
from noisybench.memorization.pool import (
    BLOCK,
    PURPOSES,
    Block,
    Purpose,
    block_path,
    blocks,
    class_type,
    write_block,
)
from noisybench.memorization.stacking import STACK_BYTES, STACKED_BATCH, can_stack, train_together
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.memorization.subsets import check_fraction, group_size, subsets
from noisybench.training.batches import Inputs
from noisybench.training.loop import EVALUATION_BATCH, RunInProgress
from noisybench.training.machine import Machine, deterministic_torch, surroundings
from noisybench.training.model import check_model, errors_as_training_failed
from noisybench.training.objective import Objective
from noisybench.training.objective_contract import check_begin
from noisybench.training.plan import Plan
from noisybench.variants.variant import Variant, check_source

log = logging.getLogger("noisybench")


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a call of ``retrain`` did.

    Attributes:
        folder: Where the blocks are, for ``read_pool``.
        models: Of the pool.
        trained: How many of them this call trained; the others were there.
        models_per_second: All processes together, over every call that trained; NaN where no such call ended.
    """

    folder: Path
    models: int
    trained: int
    models_per_second: float


def retrain(
    source: Source,
    variant: Variant,
    learner: SubsetPlan,
    folder: str | Path,
    *,
    models: int = 500,
    seed: int = 0,
    purpose: Purpose = "truth",
    features: NDArray[np.float32] | None = None,
    machine: Machine = Machine(),
    progress: Progress = lambda: None,
) -> Retraining:
    """Train models on random subsets of the variant and leave what they say of every sample in ``folder``.

    Model i depends on the learner, the labels, the seed, the purpose and i alone: not on how many are asked for, nor on
    the number of processes. A block that is there already is not trained again, and a call that was stopped goes on
    after its last whole block, to the same bytes. Perceptrons trained together are in float32 whatever the recipe's precision.

    What an objective keeps is begun anew with each model, and it is told of the truth what it is told in ``train_and_score``:
    the rate or the transition matrix of the whole variant.

    Args:
        source: The inputs; its labels are not used.
        variant: The labels to train on and to be asked for.
        learner: Model, recipe, objective and fraction.
        folder: Of this pool alone, such as ``out / variant.name / "memorization" / learner.folder(...)``.
        models: How many.
        seed: Decides every subset, weight and order.
        purpose: ``truth`` or ``detector``: their models have nothing in common, so that one may judge the other.
        features: What the models see in place of the inputs, shape (n, d), where the learner says so.
        machine: Its device, its workers with a block at a time and one thread each, and its shard of the blocks.
        progress: Called after each model.

    Raises:
        BadUsage: A number or a purpose that cannot be meant, or an objective that must know what nobody knows.
        BadData: The folder holds models that were made differently, or another process works on it.
        Mismatch: The variant was made from another source.
        TrainingFailed: The model cannot be built or run, or a loss is not finite.
        Unfinished: The blocks of the machine's shard are there, and others are not.
    """
    check_source(source, variant)
    check_unchanged(source)
    models, seed = whole(models, "models", least=2), whole(seed, "seed", least=0)
    if purpose not in PURPOSES:
        raise UnknownName(unknown(purpose, PURPOSES, "purpose of a pool"))
    check_fraction(learner.fraction, int((~variant.dropped).sum()))
    check_room(len(variant.labels), variant.num_classes, "an answer for each class", "take fewer samples")
    seen = _seen(source, learner, features)
    record = _record(variant, learner, features, machine, purpose=purpose, seed=seed)
    _check_plan(learner.plan, seen, variant, machine.device)  # before anything is written
    if machine.runner.sends and models > 1:
        check_sendable(learner.plan.build, f"model '{learner.plan.model}'")
    home, shard = Path(folder), machine.shard
    with locked(home, shared=not shard.is_whole):
        tasks: list[_Task] = []
        there: list[_Task] = []
        every = [
            _Task(number * BLOCK, count, machine.device_of(number), block_path(home, number, count))
            for number, count in blocks(models)
        ]
        own = shard.share(every)
        for task in own:
            if task.path.is_file() and mend_block(task.path, variant):
                there.append(task)
                for _ in range(task.count):
                    progress()
            else:
                tasks.append(task)
        for task in there:  # versions guard the training: they matter where some models are still to be trained
            of_block = {**record, "first": task.first, "models": task.count}
            check_block(task.path, of_block, variant, ignore=() if tasks else ("versions",))
        began = time.perf_counter()
        machine.runner.run(_train_block, tasks, _Shared(seen, variant, learner, record), progress=progress)
        trained = sum(task.count for task in tasks)
        per_second = pace(home, trained, time.perf_counter() - began)
        left = sum(not task.path.is_file() for task in every)
        if left:
            result = "the estimate of memorization" if purpose == "truth" else "the scores of the detectors"
            what = f"blocks of up to {BLOCK} models"
            raise unfinished(shard, done=len(own), of=len(every), left=left, what=what, result=result)
        return Retraining(home, models, trained, per_second)


def _check_plan(plan: Plan, seen: Source, variant: Variant, device: str) -> None:
    """Raise what a training would for a model that cannot be built or run, or an objective that cannot begin with it."""
    if not plan.chosen.is_default:
        rows, classes = np.flatnonzero(~variant.dropped), seen.num_classes
        check_begin(plan.objective, variant, variant.labels, rows, classes=classes, epochs=plan.recipe.epochs)
    check_model(plan.build, seen, device=device, ends_linear=type(plan.objective).branch is not Objective.branch)


def _seen(source: Source, learner: SubsetPlan, features: NDArray[np.float32] | None) -> Source:
    """The source as the models see it: without a test set, and with features for inputs where there are any.

    Raises:
        BadUsage: The learner is on other inputs, or the features are of more or fewer samples.
    """
    if (features is None) != (learner.features == "input"):
        msg = f"the learner is one on '{learner.features}'; give features with any learner that is not on 'input'"
        raise BadUsage(msg)
    seen = untested(source)
    if features is None:
        return seen
    if len(features) != len(source.labels):
        msg = f"there are {len(features)} rows of features for {len(source.labels)} samples; expected one each"
        raise BadUsage(msg)
    return replace(seen, inputs=features, augmentation="none")


def _record(
    variant: Variant,
    learner: SubsetPlan,
    features: NDArray[np.float32] | None,
    machine: Machine,
    *,
    purpose: Purpose,
    seed: int,
) -> dict[str, Any]:
    """Everything that decides the blocks of a pool, as JSON."""
    digest = None if features is None else hashlib.sha256(np.ascontiguousarray(features).tobytes()).hexdigest()
    around = surroundings(torch.device(machine.device), 1)
    return {
        "variant_id": variant.provenance.variant_id,
        "learner": learner.learner.name,
        "purpose": purpose,
        "seed": seed,
        "group_size": group_size(learner.fraction) if learner.balanced else 1,
        "setup": {
            **learner.setup,
            "features_sha256": digest,
            "device": around["device"],
            "versions": around["versions"],
        },
    }


@dataclass(frozen=True, slots=True)
class _Task:
    """One block: the unit that is distributed. It writes its own file."""

    first: int
    count: int
    device: str
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What every block needs."""

    source: Source
    variant: Variant
    learner: SubsetPlan
    record: Mapping[str, Any]


def _train_block(task: _Task, shared: _Shared, progress: Progress) -> None:
    """Train the models of a block, ask each about every sample, and write what they said."""
    variant, learner, record = shared.variant, shared.learner, shared.record
    numbers = range(task.first, task.first + task.count)
    seed = derive(record["seed"], record["purpose"])
    included = subsets(
        numbers,
        len(variant.labels),
        learner.fraction,
        seed=seed,
        balanced=learner.balanced,
        dropped=variant.dropped,
        groups=variant.copies,
    )
    seeds = [derive(seed, "model", number) for number in numbers]
    device = torch.device(task.device)
    with deterministic_torch(device, 1):
        data = Inputs(shared.source.inputs, device)
        answers = _Answers(included, torch.tensor(variant.labels, device=device), variant.num_classes)
        augmented = data.is_image and learner.plan.recipe.augmentation != "none"
        together = learner.plan.chosen.is_default and not augmented
        stackable = together and can_stack(_fresh(shared, data, seeds[0]), learner.plan.recipe)
        for row, model in (_together if stackable else _one_by_one)(shared, data, included, seeds):
            answers.ask(row, model, data, batch_size=STACKED_BATCH if stackable else EVALUATION_BATCH)
            progress()
    write_block(answers.block({**record, "first": task.first, "models": task.count}), task.path)


def _fresh(shared: _Shared, data: Inputs, seed: int) -> nn.Module:
    """The untrained model of a seed."""
    # torch.manual_seed would seed the GPUs too, and where none is in use keep a list of every time that it was asked to.
    torch.default_generator.manual_seed(derive(seed, "weights"))
    model = shared.learner.plan.build(num_classes=shared.source.num_classes, input_shape=shared.source.input_shape)
    return model.to(data.device)


def _one_by_one(
    shared: _Shared, data: Inputs, included: Bools, seeds: Sequence[int]
) -> Iterator[tuple[int, nn.Module]]:
    """Row and model of every model of a block, each trained by the loop of ``training``."""
    plan, labels = shared.learner.plan, shared.variant.labels
    for row, seed in enumerate(seeds):
        chosen = np.flatnonzero(included[row])
        subset = data.subset(chosen)  # an objective is not shown the label of any other sample
        model = _fresh(shared, data, seed)
        if data.is_image:
            model = model.to(memory_format=torch.channels_last)
        told = shared.source, shared.variant, plan.recipe, model, subset, seed
        with errors_as_training_failed("a model of the pool cannot be trained", but=OSError):
            run = RunInProgress(*told, objective=plan.objective, given=labels[chosen])
            for epoch in range(1, plan.recipe.epochs + 1):
                run.epoch(epoch, None)
        yield row, run.model


def _together(shared: _Shared, data: Inputs, included: Bools, seeds: Sequence[int]) -> Iterator[tuple[int, nn.Module]]:
    """Row and model of every model of a block, those with subsets of one size trained together, some at a time."""
    labels = torch.tensor(shared.variant.labels, device=data.device)
    inputs: Tensor | Inputs = data  # those that are read lazily stay where they are
    if data.is_held:
        inputs = torch.cat([batch.flatten(1) for batch in data.batches(STACKED_BATCH)])
    one = sum(parameter.nbytes for parameter in _fresh(shared, data, seeds[0]).parameters())
    most = max(1, STACK_BYTES // one) if data.device.type == "cpu" else len(seeds)
    sizes = included.sum(1)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        for part in np.array_split(rows, -(-len(rows) // most)):
            models = [_fresh(shared, data, seeds[row]) for row in part]
            chosen = torch.tensor(np.stack([np.flatnonzero(included[row]) for row in part]), device=data.device)
            own = [seeds[row] for row in part]
            train_together(models, inputs, labels, chosen, recipe=shared.learner.plan.recipe, seeds=own)
            yield from zip(part.tolist(), models, strict=True)


class _Answers:
    """What the models of a block say of every sample."""

    def __init__(self, included: Bools, labels: Tensor, num_classes: int) -> None:
        self._included = included
        self._labels = labels
        self._predictions: NDArray[Any] = np.zeros(included.shape, dtype=class_type(num_classes))
        self._margins = np.zeros(included.shape, dtype=np.float16)
        self._held_out = torch.zeros(len(labels), num_classes, dtype=torch.float64, device=labels.device)

    @torch.no_grad()
    def ask(self, row: int, model: nn.Module, data: Inputs, *, batch_size: int) -> None:
        """Put every sample to a model, un-augmented and in eval mode."""
        model.eval()
        logits = torch.cat([model(batch).float() for batch in data.batches(batch_size)])
        if not logits.isfinite().all():
            msg = "a model of the pool gives outputs that are not finite; lower the learning rate"
            raise TrainingFailed(msg)
        given = self._labels[:, None]
        margins = logits.gather(1, given)[:, 0] - logits.scatter(1, given, -torch.inf).amax(1)
        self._predictions[row] = logits.argmax(1).cpu().numpy()
        self._margins[row] = margins.clamp(-HALF, HALF).half().cpu().numpy()
        left_out = torch.tensor(~self._included[row], device=logits.device)
        self._held_out += logits.softmax(1).mul_(left_out[:, None])

    def block(self, record: Mapping[str, Any]) -> Block:
        held_out = self._held_out.float().cpu().numpy()
        return Block(self._included, self._predictions, self._margins, held_out, record)


HALF = float(np.finfo(np.float16).max)
"""Number of greatest size in float16, in which margins are kept."""
