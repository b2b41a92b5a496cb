"""Susceptibility: how fast a model would fit random labels now. A property of the model, one number an epoch."""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisybench.data.source import Augmentation
from noisybench.ground.checks import check_kind, unknown
from noisybench.ground.digests import named_options
from noisybench.ground.errors import BadUsage, UnknownName
from noisybench.ground.random_streams import derive
from noisybench.training.batches import Inputs
from noisybench.training.observing import evaluating
from noisybench.training.optimizers import RecipeOptimizer

AUTHORS_BATCH = 128
PART = AUTHORS_BATCH * 3 * 32 * 32
"""Floats of inputs at a time: 128 images of CIFAR, whose activations a CPU's cache holds, or all of the digits at once."""


StepKind = Literal["fixed", "authors"]
IMAGES = ("training", "test", "source", "noise")
"""Whose images random labels are given to: the training set's, the test set's, another source's, or Gaussian noise."""
READINGS = tuple(f"{kind}.{images}" for kind, images in product(get_args(StepKind), IMAGES))
"""Names of what can be measured beside a training, all of it at once."""


@dataclass(frozen=True, slots=True)
class Susceptibility:
    """How susceptibility is measured.

    Attributes:
        kind: ``fixed``: the same inputs and random labels at every epoch, eval mode, one fresh SGD step at a constant
            rate. ``authors``: the choices of the released code (see ``SusceptibilityTracker``).
        samples: Training inputs whose labels are stripped and drawn uniformly (``fixed``).
        lr: Learning rate of the step (``fixed``). Large ones overshoot: in the README's runs on CIFAR-10 the loss rose
            by up to 3 nats after a step of 0.1 (``--set susceptibility_lr=0.1 --recipe overfit``), never at 0.01.
        also: Further readings of the same training, of ``READINGS``.
        source: Name of the other source, for readings ``….source``; None where there are none.
    """

    kind: StepKind = "fixed"
    samples: int = 512
    lr: float = 0.01
    also: tuple[str, ...] = ()
    source: str | None = None

    def __post_init__(self) -> None:
        check_kind(self.also, (tuple, list), "also", f"give readings, as ('{READINGS[0]}',)")
        for name in self.also:
            if name not in READINGS:
                raise UnknownName(unknown(name, READINGS, "reading of susceptibility"))
        if len({*self.also}) != len(self.also):
            msg = f"each reading of susceptibility is named once, got {', '.join(self.also)}"
            raise BadUsage(msg)
        if any(name.endswith(".source") for name in self.also) != (self.source is not None):
            msg = (
                f"readings of another source's images and the name of that source go together, got susceptibility_source="
                f"{self.source} and readings {', '.join(self.also) or 'none'}; say susceptibility_source=NAME and "
                f"susceptibility_also=authors.source"
            )
            raise BadUsage(msg)
        if self.samples < 1 or not 0 <= self.lr < float("inf"):
            msg = f"susceptibility needs at least 1 sample and lr >= 0, got {self.samples} samples and lr={self.lr:g}"
            raise BadUsage(msg)


def measured_as(how: Susceptibility) -> dict[str, Any]:
    """Option → value as JSON knows it, without further readings where there are none, which older runs do not name."""
    told = named_options(how, ("kind", "samples", "lr"))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


class SusceptibilityTracker:
    """Mean over epochs of the loss drop on randomly labelled inputs after one step, which is then undone.

    Higher means that wrong labels would be fitted faster. ``fixed``: zeta(t) = (1/t) * sum over epochs 1..t of
    [loss before - loss after one step]. ``authors``: before each epoch, a new batch of 128 augmented training images
    with labels drawn once for each image, train mode, a step of the training optimiser with its momentum and weight
    decay at its current rate; zeta(t) = sum of the drops of epochs 2..t, divided by t.

    Source: Forouzesh, Sedghi and Thiran 2023, arXiv:2212.04461, Algorithm 1; ``authors``: their experiments.py and
    results.ipynb, which differ from it.

    Attributes:
        drop: Of the last measurement, in nats.
        value: Susceptibility so far, in nats.
        total: Sum of the drops so far; the one thing that a resumed run must be given back.
        further: Reading of the same training → its tracker, which measures when this one does.
    """

    def __init__(
        self,
        how: Susceptibility,
        data: Inputs,
        num_classes: int,
        augmentation: Augmentation,
        *,
        seed: int,
        rows: Tensor | None = None,
        purpose: str = "susceptibility",
        further: "Mapping[str, SusceptibilityTracker] | None" = None,
    ) -> None:
        """Draw the random labels, and whose.

        Args:
            how: See ``Susceptibility``.
            data: Inputs of the training set.
            num_classes: Of the model.
            augmentation: Of the training.
            seed: Decides labels and batches.
            rows: Samples of ``data`` that are trained on; None: all.
            purpose: Name of the streams that draw.
            further: See the attribute.
        """
        self.further = further or {}
        self.drop = float("nan")
        self.value = float("nan")
        self._spent = 0.0
        self._how = how
        self._data = data
        self._augmentation = augmentation
        self._seed = seed
        self._purpose = purpose
        self.total = 0.0
        generator = torch.Generator().manual_seed(derive(seed, purpose))
        self._rows = torch.arange(len(data)) if rows is None else rows.cpu()
        n = len(data)
        # Random labels are of the inputs, drawn once: the same question at every epoch.
        self._labels = torch.randint(num_classes, (n,), generator=generator).to(data.device)
        self._samples = self._some(how.samples, generator)

    @property
    def kind(self) -> StepKind:
        """How a step is taken."""
        return self._how.kind

    @property
    def seconds(self) -> float:
        """Seconds spent, those of further readings among them."""
        return self._spent + sum(one.seconds for one in self.further.values())

    @property
    def columns(self) -> dict[str, float]:
        """Value and last drop of each further reading, by the name of their columns in the history."""
        found: dict[str, float] = {}
        for name, one in self.further.items():
            found |= {f"susceptibility.{name}": one.value, f"susceptibility_drop.{name}": one.drop}
        return found

    def before_epoch(self, model: nn.Module, optimizer: RecipeOptimizer, epoch: int) -> None:
        """Measure before training epoch ``epoch`` (from 1), where the authors' code does."""
        for one in self.further.values():
            one.before_epoch(model, optimizer, epoch)
        if self._how.kind == "authors":
            began = time.perf_counter()
            generator = torch.Generator().manual_seed(derive(self._seed, self._purpose, epoch))
            chosen = self._some(AUTHORS_BATCH, generator)
            inputs = self._data.augmented(chosen, self._augmentation, generator)
            self.drop = drop_of_training_step(model, optimizer, inputs, self._labels[chosen], seed=epoch)
            self.total += self.drop if epoch > 1 else 0.0
            self.value = self.total / epoch
            self._spent += time.perf_counter() - began

    def _some(self, most: int, generator: torch.Generator) -> Tensor:
        """Random samples of those that are trained on."""
        order = torch.randperm(len(self._rows), generator=generator)[:most]
        return self._rows[order].to(self._data.device)

    def after_epoch(self, model: nn.Module, epoch: int) -> None:
        """Measure after training epoch ``epoch`` (from 1), where the paper does."""
        for one in self.further.values():
            one.after_epoch(model, epoch)
        if self._how.kind == "fixed":
            began = time.perf_counter()
            inputs = self._data.batch(self._samples)
            self.drop = drop_of_fresh_step(model, inputs, self._labels[self._samples], lr=self._how.lr)
            self.total += self.drop
            self.value = self.total / epoch
            self._spent += time.perf_counter() - began


def drop_of_fresh_step(model: nn.Module, inputs: Tensor, labels: Tensor, *, lr: float) -> float:
    """Mean loss before minus after one plain SGD step on it, in nats, eval mode. The model is left bit-equal."""
    size = max(AUTHORS_BATCH, PART // inputs[0].numel())
    parts = list(zip(inputs.split(size), labels.split(size), strict=True))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with evaluating(model, seed=0, device=labels.device):
        before = 0.0
        gradients = [torch.zeros_like(parameter) for parameter in parameters]
        for x, y in parts:
            loss = F.cross_entropy(model(x).float(), y, reduction="sum") / len(labels)
            before += float(loss.detach())
            shares = torch.autograd.grad(loss, parameters, allow_unused=True)
            for gradient, share in zip(gradients, shares, strict=True):
                if share is not None:
                    gradient.add_(share)

        def step() -> None:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=lr)

        def loss_now() -> float:
            return sum(float(F.cross_entropy(model(x).float(), y, reduction="sum")) for x, y in parts) / len(labels)

        return before - _undone([*model.parameters()], step, loss_now)


def drop_of_training_step(
    model: nn.Module, optimizer: RecipeOptimizer, inputs: Tensor, labels: Tensor, *, seed: int
) -> float:
    """Loss before minus after a step of the training optimiser, train mode. Model and optimiser are left bit-equal."""
    modes = [(module, module.training) for module in model.modules()]
    state = copy.deepcopy(optimizer.state)
    stepped = optimizer.parameters  # an objective's branch, too
    gradients = [parameter.grad for parameter in stepped]
    buffers = [buffer.clone() for buffer in model.buffers()]
    with evaluating(model, seed=seed, device=labels.device):
        model.train()
        try:
            loss = F.cross_entropy(model(inputs).float(), labels)
            for parameter in stepped:
                parameter.grad = None

            def step() -> None:
                with torch.enable_grad():
                    loss.backward()
                optimizer.step()

            return float(loss.detach()) - _undone(
                stepped, step, lambda: float(F.cross_entropy(model(inputs).float(), labels))
            )
        finally:
            optimizer.state = state
            for parameter, gradient in zip(stepped, gradients, strict=True):
                parameter.grad = gradient
            with torch.no_grad():
                for buffer, kept in zip(model.buffers(), buffers, strict=True):
                    buffer.copy_(kept)
            for module, training in modes:
                module.training = training


def _undone(parameters: list[nn.Parameter], step: Callable[[], None], loss: Callable[[], float]) -> float:
    """The loss after a step, with every parameter put back bit for bit, also when something fails."""
    kept = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        try:
            step()
            return loss()
        finally:
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)
