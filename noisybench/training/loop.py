"""The one loop of training."""

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from noisybench.data.source import Source
from noisybench.ground.arrays import Labels
from noisybench.ground.errors import TrainingFailed
from noisybench.ground.random_streams import derive
from noisybench.training.asking import check_logits
from noisybench.training.batches import Inputs
from noisybench.training.branch import Branch, last_linear
from noisybench.training.checkpoint import weights_of
from noisybench.training.machine import generator_of, seed_torch
from noisybench.training.objective import Objective, State, Step, Task, plain_objective
from noisybench.training.objective_contract import Shapes, begin_objective, check_kept, checked_loss, shapes_of, task_of
from noisybench.training.observing import evaluating
from noisybench.training.optimizers import RecipeOptimizer, optimizer_of
from noisybench.training.ranks import ALONE, Ranks
from noisybench.training.recipe import Recipe, learning_rate
from noisybench.training.recorder import Recorder
from noisybench.training.shared_batch import SharedBatches
from noisybench.training.susceptibility import SusceptibilityTracker
from noisybench.training.trace import Observation
from noisybench.variants.variant import Variant


@dataclass(slots=True)
class RunInProgress:
    """A run in progress: the model and all that an epoch of its training needs.

    Attributes:
        source: The test set, and what the model is built for.
        variant: The labels.
        recipe: How to train.
        model: What is trained.
        data: Inputs of the training set.
        seed: Decides order, augmentation and what layers draw.
        rows: Samples of ``data`` that are trained on, ascending; None: all.
        objective: What is minimised.
        given: Labels of ``data`` to train on, shape (n,); None takes those of the variant.
        ranks: Processes that train it together, each on a part of every batch.
        branch: What the objective adds to the model; None where it adds nothing.
        optimizer: Of all parameters of model and branch.
        labels: The labels that are trained on, shape (n,), int64.
        task: What the objective is told.
        state: What the objective keeps.
        test: Inputs and labels of the test set; None without one.
        history: Column → its value at each epoch so far.
        seconds: What was spent, by purpose: training and testing.
    """

    source: Source
    variant: Variant
    recipe: Recipe
    model: nn.Module
    data: Inputs
    seed: int
    rows: Tensor | None = None
    objective: Objective = field(default_factory=plain_objective)
    given: Labels | None = None
    ranks: Ranks = ALONE
    branch: Branch | None = field(init=False, default=None)
    optimizer: RecipeOptimizer = field(init=False)
    labels: Tensor = field(init=False)
    task: Task = field(init=False)
    state: State = field(init=False)
    test: tuple[Inputs, Tensor] | None = field(init=False, default=None)
    history: dict[str, list[float]] = field(init=False, default_factory=dict)
    seconds: dict[str, float] = field(init=False)
    _kept: Shapes = field(init=False, default_factory=dict)
    _loss: float = field(init=False, default=float("nan"))
    _accuracy: float = field(init=False, default=float("nan"))

    def __post_init__(self) -> None:
        self.branch = self._branch()
        self.optimizer = optimizer_of(self._parameters(), self.recipe)
        labels = self.variant.labels if self.given is None else self.given
        self.labels = torch.tensor(labels, device=self.data.device)
        rows = torch.arange(len(self.labels), device=self.data.device) if self.rows is None else self.rows
        self.task = task_of(
            self.objective, self.variant, self.labels, rows, classes=self.source.num_classes, epochs=self.recipe.epochs
        )
        self.state = begin_objective(self.objective, self.task)
        self._kept = shapes_of(self.state)
        if self.source.test_inputs is not None and self.source.test_labels is not None:
            workers = self.data.loader_workers
            inputs = Inputs(self.source.test_inputs, self.data.device, like=self.data, loader_workers=workers)
            self.test = inputs, torch.tensor(self.source.test_labels, device=self.data.device)
        self.seconds = {"training": 0.0, "testing": 0.0}

    @property
    def weights(self) -> dict[str, Tensor]:
        """Every parameter and buffer by name, those of the branch under ``objective.``."""
        added = {} if self.branch is None else weights_of(self.branch.module)
        return {**weights_of(self.model), **{f"objective.{name}": tensor for name, tensor in added.items()}}

    def _parameters(self) -> list[nn.Parameter]:
        added = [] if self.branch is None else [*self.branch.module.parameters()]
        return [*self.model.parameters(), *added]

    def _branch(self) -> Branch | None:
        """What the objective adds, its weights drawn from a stream of their own; None where it adds nothing."""
        if type(self.objective).branch is Objective.branch:
            return None
        seed_torch(derive(self.seed, "objective"), self.data.device)
        head = last_linear(self.model, self.data.batch(slice(0, 2)), self.source.num_classes)
        module: Any = self.objective.branch(head.in_features)  # of a user, until it is looked at
        if module is None:
            return None
        if not isinstance(module, nn.Module):
            msg = f"{self.objective!r} adds a {type(module).__name__} as its branch; expected an nn.Module or None"
            raise TrainingFailed(msg)
        return Branch(module.to(self.data.device), head)

    def probabilities(self, epoch: int) -> Tensor:
        """What the model says of every sample, un-augmented and in eval mode, shape (n, k), float32; model left as it was."""
        own = derive(self.seed, "objective", epoch)
        with torch.no_grad(), evaluating(self.model, seed=own, device=self.data.device):
            parts = [self.model(batch).float().softmax(1) for batch in self.data.batches(EVALUATION_BATCH)]
        return torch.cat(parts)

    def epoch(self, epoch: int, recorder: Recorder | None) -> None:
        """One pass over the training set. ``recorder`` is given each batch's own logits."""
        began = time.perf_counter()
        recipe, device = self.recipe, self.data.device
        size = len(self.data) if self.rows is None else len(self.rows)
        order = torch.randperm(size, generator=generator_of(self.seed, "order", epoch)).to(device)
        order = order if self.rows is None else self.rows[order]
        augment = generator_of(self.seed, "augment", epoch)
        own = generator_of(self.seed, "objective", epoch)
        parameters = self._parameters()
        seed_torch(derive(self.seed, "layers", epoch, *self.ranks.purpose), device)
        batches = batches_of(order, recipe.batch_size)
        shared = SharedBatches(self.ranks)
        shared.check(batches)
        total, hits = torch.zeros((), device=device), torch.zeros((), device=device)

        def ask(numbers: Tensor) -> Tensor:
            shared.check([numbers])
            inputs = self.data.augmented(numbers, recipe.augmentation, own)
            return shared.whole(self._logits(inputs[shared.part(len(numbers))], shared), len(numbers)).float()

        self.model.train()
        listening = nullcontext() if self.branch is None else self.branch.listening()
        stream = zip(batches, self.data.stream(batches, recipe.augmentation, augment), strict=True)
        with listening:
            for step, (chosen, inputs) in enumerate(stream, start=(epoch - 1) * len(batches)):
                self.optimizer.lr = learning_rate(recipe, step, recipe.epochs * len(batches))
                labels = self.labels[chosen]
                part, b = shared.part(len(chosen)), len(chosen)
                own_logits = self._logits(inputs[part], shared)
                logits = shared.whole(own_logits, b)
                if not logits.requires_grad:
                    msg = "the model's outputs depend on no parameter that is trained; expected logits with a gradient"
                    raise TrainingFailed(msg)
                with shared.sharing_statistics():
                    branch = None if self.branch is None else shared.whole(self.branch.answer(), b)
                seen = Step(logits.float(), labels, chosen, epoch, self.state, self.task, own, ask, branch)
                loss = checked_loss(self.objective, self.objective.loss(seen))
                self.optimizer.zero_grad()
                loss.backward()
                shared.average(parameters)
                self.objective.after_backward(parameters, self.task, epoch)
                self.optimizer.step()
                total += loss.detach() * len(chosen)
                hits += (logits.detach().argmax(1) == labels).sum()
                if recorder is not None:
                    recorder.update(own_logits, chosen[part])
        self.objective.end_epoch(self.state, self.task, epoch, partial(self.probabilities, epoch))
        check_kept(self.objective, self.state, self._kept, self.task)
        self._loss = float(total) / len(order)
        self._accuracy = float(hits) / len(order)
        self.seconds["training"] += time.perf_counter() - began
        if not np.isfinite(self._loss):
            msg = f"the training loss is {self._loss} in epoch {epoch}; lower the learning rate (now lr={recipe.lr:g})"
            raise TrainingFailed(msg)

    def _logits(self, inputs: Tensor, shared: SharedBatches) -> Tensor:
        """What the model gives for a batch in train mode, at the precision of the recipe.

        Raises:
            TrainingFailed: It is no logit a class.
        """
        is_half = self.recipe.precision == "bfloat16"
        with shared.sharing_statistics(), torch.autocast(self.data.device.type, torch.bfloat16, enabled=is_half):
            return check_logits(self.model(inputs), len(inputs), self.source.num_classes)

    def note(self, epoch: int, seen: Observation, tracker: SusceptibilityTracker | None, *, tested: bool) -> None:
        """Add this epoch's line to the history, with the accuracy on the test set if that is to be ``tested``."""
        row = {
            "epoch": float(epoch),
            "learning_rate": self.optimizer.lr,
            "train_loss": self._loss,
            "train_accuracy": self._accuracy,
            "mislabeled_fit": float("nan"),
            "clean_fit": float("nan"),
            "activation_change": _mean(seen.values.get("activation_change", np.zeros(0))),
            "test_accuracy": self.test_accuracy() if tested else float("nan"),
            "susceptibility": float("nan") if tracker is None else tracker.value,
            "susceptibility_drop": float("nan") if tracker is None else tracker.drop,
            **({} if tracker is None else tracker.columns),
        }
        if "correct" in seen.values:
            correct, mislabeled = seen.values["correct"], self.variant.mislabeled
            row["mislabeled_fit"] = _mean(correct[mislabeled])
            row["clean_fit"] = _mean(correct[self.variant.known & ~mislabeled])
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)

    def test_accuracy(self) -> float:
        """Accuracy on the test set; NaN without one."""
        if self.test is None:
            return float("nan")
        began = time.perf_counter()
        inputs, labels = self.test
        hits = torch.zeros((), device=labels.device)
        with torch.no_grad(), evaluating(self.model, seed=0, device=labels.device):
            for batch, expected in zip(inputs.batches(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
                hits += (self.model(batch).argmax(1) == expected).sum()
        self.seconds["testing"] += time.perf_counter() - began
        return float(hits) / len(labels)


EVALUATION_BATCH = 128
"""Samples that are asked at a time: their activations stay in a CPU's cache; 256 and 512 were slower, most for gradients."""


def batches_of(order: Tensor, size: int) -> list[Tensor]:
    """Batches of ``size``; a last one of a single sample, which batch norm cannot take, joins the one before."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
