"""Retraining: many models on random subsets of a variant, in blocks of 50 that are written once they are whole.

Each model is what ``training`` makes of its subset: same loop, same recipe, same objective, with a seed of its own.
Perceptrons that minimise cross-entropy without augmentation, by SGD, are trained many at a time as batched matrix products,
to the same weights. Other models that minimise it are trained many at a time by ``torch.func`` on a GPU where that is
faster, or where it is asked for, and the record says so; all else one by one.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from noisybench.data.inputs import AnyInputs
from noisybench.data.source import Source, check_unchanged
from noisybench.ground.arrays import Bools
from noisybench.ground.checks import check_room, unknown, whole
from noisybench.ground.engine import Progress, check_sendable
from noisybench.ground.errors import TrainingFailed, UnknownName
from noisybench.ground.random_streams import derive
from noisybench.memorization.block_tasks import BlockTask, Retraining, fill_pool
from noisybench.memorization.kept_blocks import TOGETHER, kept_together
from noisybench.memorization.pool import BLOCK, PURPOSES, Block, Purpose, class_type, write_block
from noisybench.memorization.stacking import (
    STACK_BYTES,
    STACKED_BATCH,
    stacks_perceptrons,
    train_together,
    untrained,
)
from noisybench.memorization.subset_plan import SubsetPlan, seen_by
from noisybench.memorization.subsets import check_fraction, group_size, subsets
from noisybench.memorization.tested_blocks import digest_of_asked, tested_beside, write_tested
from noisybench.memorization.vectorised import models_together, train_vectorised
from noisybench.training.batches import Inputs
from noisybench.training.loop import EVALUATION_BATCH, RunInProgress
from noisybench.training.machine import Machine, deterministic_torch, surroundings, wait_for
from noisybench.training.model import check_model, errors_as_training_failed
from noisybench.training.objective import Objective
from noisybench.training.objective_contract import check_begin
from noisybench.training.plan import Plan
from noisybench.variants.variant import Variant, check_source

log = logging.getLogger("noisybench")


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
    ask_test: bool = False,
    machine: Machine = Machine(),
    progress: Progress = lambda: None,
) -> Retraining:
    """Train models on random subsets of the variant and leave what they say of every sample in ``folder``.

    Model i depends on the learner, the labels, the seed, the purpose and i alone: not on how many are asked for, nor on
    the number of processes. A block that is there already is not trained again, and a call that was stopped goes on
    after its last whole block, to the same bytes. Perceptrons trained together are in float32 whatever the recipe's precision.
    Where other models are trained together, see ``Machine.together``, their last bits depend on how many at a time, which is
    recorded and kept to; what layers such as dropout draw depends on the models of the same block, too.

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
        ask_test: Ask each model about the test set as well, and leave that beside the blocks, which stay the same.
        machine: Its device, its workers with a block at a time and one thread each, and its shard of the blocks.
        progress: Called after each model.

    Raises:
        BadUsage: A number or a purpose that cannot be meant, an objective that must know what nobody knows, or no test set
            to ask about.
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
    seen = seen_by(source, learner, features)
    tested = digest_of_asked(source, learner.features) if ask_test else None
    record = _record(variant, learner, features, machine, purpose=purpose, seed=seed)
    _check_plan(learner.plan, seen, variant, machine.device)  # before anything is written
    if machine.runner.sends and models > 1:
        check_sendable(learner.plan.build, f"model '{learner.plan.model}'")
    together = models_together(seen, learner.plan, machine, kept_together(Path(folder), variant), BLOCK)
    if together is not None:
        record["setup"][TOGETHER] = together
    shared = _Shared(seen, variant, learner, record, source.test_inputs if ask_test else None, tested)
    how: dict[str, Any] = {"models": models, "machine": machine, "tested": tested, "progress": progress}
    return fill_pool(_train_block, shared, Path(folder), variant, record, **how)


def _check_plan(plan: Plan, seen: Source, variant: Variant, device: str) -> None:
    """Raise what a training would for a model that cannot be built or run, or an objective that cannot begin with it."""
    if not plan.chosen.is_default:
        rows, classes = np.flatnonzero(~variant.dropped), seen.num_classes
        check_begin(plan.objective, variant, variant.labels, rows, classes=classes, epochs=plan.recipe.epochs)
    check_model(plan.build, seen, device=device, ends_linear=type(plan.objective).branch is not Objective.branch)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What every block needs."""

    source: Source
    variant: Variant
    learner: SubsetPlan
    record: Mapping[str, Any]
    test_inputs: AnyInputs | None
    tested: str | None
    """Digest of the test set, where models are asked about it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What some models took that were trained and thrown away, in seconds.

    Attributes:
        training: Of all of them.
        asking: Of one of them, about so many samples as each was trained on.
    """

    training: float
    asking: float


def try_models(
    source: Source,
    variant: Variant,
    learner: SubsetPlan,
    included: Bools,
    *,
    features: NDArray[np.float32] | None = None,
    device: str = "cpu",
    together: int | None = None,
    alone: bool = False,
    clock: Callable[[], float] = time.process_time,
) -> Tried:
    """Train models as a block trains them, ask one, and keep nothing: what it took.

    Args:
        source: See ``retrain``; also ``variant``, ``learner`` and ``features``.
        variant: Whose labels.
        learner: What is trained.
        included: The samples of each model, shape (m, n).
        features: What the models see in place of the inputs.
        device: Where.
        together: Models at a time by ``torch.func``; None is one.
        alone: Train perceptrons one by one as well.
        clock: By which time is taken.
    """
    setup = {} if together is None else {TOGETHER: together}
    shared = _Shared(seen_by(source, learner, features), variant, learner, {"setup": setup}, None, None)
    where = torch.device(device)
    with deterministic_torch(where, 1):
        data = Inputs(shared.source.inputs, where)
        stacked = together is not None or (not alone and stacks_perceptrons(shared.source, learner.plan))
        began = clock()
        for _, model in (_together if stacked else _one_by_one)(shared, data, included, range(len(included))):
            last = model
        wait_for(where)
        trained = clock()
        rows = np.flatnonzero(included[0])
        few = data.subset(rows)
        answers = _Answers(included[:1, rows], torch.tensor(variant.labels[rows], device=where), variant.num_classes)
        answers.ask(0, last, few, batch_size=STACKED_BATCH if stacked else EVALUATION_BATCH)
        return Tried(trained - began, clock() - trained)


def _train_block(task: BlockTask, shared: _Shared, progress: Progress) -> None:
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
        tests = None if shared.test_inputs is None else Inputs(shared.test_inputs, device, like=data)
        answers = _Answers(included, torch.tensor(variant.labels, device=device), variant.num_classes, tests)
        train = (
            _together if stacks_perceptrons(shared.source, learner.plan) or TOGETHER in record["setup"] else _one_by_one
        )
        for row, model in train(shared, data, included, seeds):
            answers.ask(row, model, data, batch_size=EVALUATION_BATCH if train is _one_by_one else STACKED_BATCH)
            progress()
    own = {**record, "first": task.first, "models": task.count}
    if shared.tested is not None:  # before the block, which says that all of this is there
        write_tested(answers.tested, {**own, "test_sha256": shared.tested}, tested_beside(task.path))
    write_block(answers.block(own), task.path)


def _fresh(shared: _Shared, device: torch.device, seed: int) -> nn.Module:
    """The untrained model of a seed."""
    return untrained(shared.source, shared.learner.plan, device, derive(seed, "weights"))


def _one_by_one(
    shared: _Shared, data: Inputs, included: Bools, seeds: Sequence[int]
) -> Iterator[tuple[int, nn.Module]]:
    """Row and model of every model of a block, each trained by the loop of ``training``."""
    plan, labels = shared.learner.plan, shared.variant.labels
    for row, seed in enumerate(seeds):
        chosen = np.flatnonzero(included[row])
        subset = data.subset(chosen)  # an objective is not shown the label of any other sample
        model = _fresh(shared, data.device, seed)
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
    recipe, most = shared.learner.plan.recipe, shared.record["setup"].get(TOGETHER)
    train: Callable[[Sequence[nn.Module], Tensor, Sequence[int]], None]
    if most is None:
        inputs: Tensor | Inputs = data  # those that are read lazily stay where they are
        if data.is_held:
            inputs = torch.cat([batch.flatten(1) for batch in data.batches(STACKED_BATCH)])
        one = sum(parameter.nbytes for parameter in _fresh(shared, data.device, seeds[0]).parameters())
        most = max(1, STACK_BYTES // one) if data.device.type == "cpu" else len(seeds)

        def train(models: Sequence[nn.Module], chosen: Tensor, own: Sequence[int]) -> None:
            train_together(models, inputs, labels, chosen, recipe=recipe, seeds=own)
    else:

        def train(models: Sequence[nn.Module], chosen: Tensor, own: Sequence[int]) -> None:
            with errors_as_training_failed("models of the pool cannot be trained together", but=OSError):
                train_vectorised(models, data, labels, chosen, recipe=recipe, seeds=own)

    sizes = included.sum(1)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        for part in np.array_split(rows, -(-len(rows) // most)):
            models = [_fresh(shared, data.device, seeds[row]) for row in part]
            chosen = torch.tensor(np.stack([np.flatnonzero(included[row]) for row in part]), device=data.device)
            train(models, chosen, [seeds[row] for row in part])
            yield from zip(part.tolist(), models, strict=True)


class _Answers:
    """What the models of a block say of every sample, and predict of the test set where there is one to ask about."""

    def __init__(self, included: Bools, labels: Tensor, num_classes: int, tests: Inputs | None = None) -> None:
        self._included = included
        self._tests = tests
        shape = len(included), 0 if tests is None else len(tests)
        self.tested: NDArray[Any] = np.zeros(shape, dtype=class_type(num_classes))
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
        if self._tests is not None:
            predicted = [model(batch).argmax(1) for batch in self._tests.batches(batch_size)]
            self.tested[row] = torch.cat(predicted).cpu().numpy()

    def block(self, record: Mapping[str, Any]) -> Block:
        held_out = self._held_out.float().cpu().numpy()
        return Block(self._included, self._predictions, self._margins, held_out, record)


HALF = float(np.finfo(np.float16).max)
"""Number of greatest size in float16, in which margins are kept."""
