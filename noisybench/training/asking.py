"""Asking: a model, some samples, and the logits that it gives for them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisybench.ground.errors import BadUsage, TrainingFailed
from noisybench.training.activations import States, states_noted
from noisybench.training.machine import full_precision

CPU_PART = 64 * 3 * 32 * 32
"""Floats differentiated at a time on a CPU, whose cache the activations then fit: 64 images of CIFAR took 0.80 to 0.96 of
the time of 128 in two runs. Values on small_cnn and mlp were bit-equal."""
FEWEST = 16  # samples differentiated at a time

Take = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Inputs (b, ...) that have a gradient, their logits (b, k) and labels (b,) → anything of a row a sample."""

HEAD_TOLERANCE = 1e-3
"""Share of the largest logit by which weight times features plus bias may differ from the logits."""


class Batch:
    """A model and some samples. What several probes need, such as the forward pass, is done when first asked for.

    Attributes:
        model: In eval mode while it is asked.
        given: What the model is asked about: one tensor (b, ...), or one for each input that it takes by name.
        labels: Given labels, shape (b,), int64.
        start: Index of the first sample, for probes that draw: what sample i gets must not depend on the batch size.
        seed: Of this observation, for probes that draw.
        num_classes: Logits that the model must give for each sample; None takes more than the labels need.
        learning_rate: At the end of the epoch that is observed; None where nobody said it.
        beside: Columns that probes leave beside their own, shape (b,) each: what comes of their passes at no cost.
        seconds: Seconds of passes that several probes share, by the name of the property, until somebody takes them.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor | Mapping[str, Tensor],
        labels: Tensor,
        *,
        start: int = 0,
        seed: int = 0,
        num_classes: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        self.model = model
        self.given = inputs
        self.labels = labels
        self.start = start
        self.seed = seed
        self.num_classes = num_classes
        self.learning_rate = learning_rate
        self._head: tuple[nn.Linear, Tensor] | None = None  # of the pass that gives the logits
        self.beside: dict[str, Tensor] = {}
        self.seconds: dict[str, float] = {}

    @property
    def inputs(self) -> Tensor:
        """Shape (b, ...), float32, normalised as in training.

        Raises:
            BadUsage: The model takes several inputs by name, so that there is not one tensor.
        """
        if not isinstance(self.given, Tensor):
            msg = (
                f"a probe asks for one tensor of inputs, and this model takes several by name ({', '.join(self.given)}); "
                f"leave out the probes that ask for more than logits"
            )
            raise BadUsage(msg)
        return self.given

    @cached_property
    def logits(self) -> Tensor:
        """Shape (b, k), float32, no gradient."""
        k = self.num_classes
        with torch.no_grad(), _heads_watched(self.model, k) as heads:
            logits = ask(self.model, self.given)
        self._head = heads[-1] if heads else None
        if k is None:
            width = logits.shape[-1] if isinstance(logits, Tensor) and logits.ndim else 0
            k = max(width, int(self.labels.max()) + 1)
        return check_logits(logits, len(self.labels), k).float()

    @cached_property
    def features(self) -> Tensor:
        """What the model's last linear layer is given, shape (b, d), float32, no gradient; of the pass of ``logits``.

        Its weight times these plus its bias are the logits; that is looked at in the first batch.

        Raises:
            BadUsage: The logits are not what an ``nn.Linear`` of the model gives.
        """
        logits = self.logits
        if self._head is not None:
            layer, given = self._head
            if given.shape[0] == len(logits) and given.numel() == len(logits) * layer.in_features:
                features = given.reshape(len(logits), -1)
                if self.start > 0 or _is_head(layer, features, logits):
                    return features.float()
        msg = (
            f"the logits of {type(self.model).__name__} are not what an nn.Linear of it gives, and a probe asks what its "
            f"last linear layer is given; leave that probe out, or let the model end in one"
        )
        raise BadUsage(msg)

    @property
    def input_gradient(self) -> Tensor:
        """Gradient of each sample's own loss at its input, shape of ``inputs``, in full precision: one backward pass."""
        return self._at_inputs[0]

    @property
    def states(self) -> list[States]:
        """What the units of the model did at the inputs, some samples at a time; see ``activations``."""
        return self._at_inputs[1]

    @cached_property
    def _at_inputs(self) -> tuple[Tensor, list[States]]:
        began = time.perf_counter()
        found = self.loss_gradient(self.inputs)
        self.seconds["input_gradient"] = time.perf_counter() - began
        return found

    def loss_gradient(self, inputs: Tensor) -> tuple[Tensor, list[States]]:
        """Gradient of each sample's own loss at other inputs, shape of these, and what the units did there."""
        states: list[States] = []
        return self.differentiate(inputs, _gradient_of_loss, states), states

    def differentiate(self, inputs: Tensor, take: Take, states: list[States] | None = None) -> Tensor:
        """What ``take`` gives of these inputs, as many samples at a time as a cache holds; no parameter has a gradient.

        Args:
            inputs: One for each label, shape (b, ...).
            take: In eval mode no sample's logits depend on another, so of a sum over samples each has its own gradient.
            states: Receives what the units of the model did, if it is given.
        """
        device = inputs.device.type
        part = max(FEWEST, CPU_PART // inputs[0].numel()) if device == "cpu" else len(inputs)
        taken = []
        with full_precision(device), torch.enable_grad():
            for x, y in zip(inputs.split(part), self.labels.split(part), strict=True):
                at = x.detach().requires_grad_()
                if states is None:
                    logits = ask(self.model, at)
                else:
                    with states_noted(self.model, len(x)) as noted:
                        logits = ask(self.model, at)
                    states.append(noted)
                taken.append(take(at, logits, y).detach())
        return torch.cat(taken)


def _gradient_of_loss(inputs: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    # Summed, not averaged: each row is then the gradient of its own sample's loss.
    return torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), inputs)[0]


@contextmanager
def _heads_watched(model: nn.Module, k: int | None) -> Iterator[list[tuple[nn.Linear, Tensor]]]:
    """Linear layers that may give the logits, each with what it is given, in the order in which they run.

    No other layer is looked at: attention takes another way, with other last bits, where one of its own is.
    """
    seen: list[tuple[nn.Linear, Tensor]] = []

    def look(layer: nn.Module, unnamed: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = unnamed[0] if unnamed else named.get("input")
        if isinstance(layer, nn.Linear) and isinstance(given, Tensor):
            seen[:] = [(layer, given.detach())]

    heads = [each for each in model.modules() if isinstance(each, nn.Linear) and k in (None, each.out_features)]
    handles = [head.register_forward_pre_hook(look, with_kwargs=True) for head in heads]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def head_of(model: nn.Module, inputs: Tensor, num_classes: int) -> nn.Linear | None:
    """The linear layer whose outputs are the logits of a model in eval mode; None where there is no such layer."""
    with _heads_watched(model, num_classes) as heads:
        logits = ask(model, inputs)
    if not heads or heads[-1][1].numel() != len(inputs) * heads[-1][0].in_features:
        return None
    layer, given = heads[-1]
    return layer if _is_head(layer, given.reshape(len(inputs), -1), logits.float()) else None


def _is_head(layer: nn.Linear, features: Tensor, logits: Tensor) -> bool:
    """Whether a linear layer makes these logits (b, k) of these features (b, d); those of a diverged model are let pass."""
    with torch.no_grad():
        again = F.linear(features, layer.weight, layer.bias).float()
    if again.shape != logits.shape:
        return False
    apart = (again - logits).abs().max()
    return not apart.isfinite() or bool(apart <= HEAD_TOLERANCE * logits.abs().max())


def ask(model: nn.Module, inputs: Tensor | Mapping[str, Tensor]) -> Any:  # noqa: ANN401 - whatever a model gives
    """What a model answers, or its ``logits`` where its answer holds such, as those of Hugging Face do.

    Args:
        model: To be asked.
        inputs: One tensor; or several by the names under which ``forward`` takes them.
    """
    answer = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    return getattr(answer, "logits", answer)


def check_logits(logits: Any, b: int, k: int) -> Tensor:  # noqa: ANN401 - whatever a model gives
    """What a model gave for ``b`` inputs, if that is a logit for each of ``k`` classes, shape (b, k).

    Raises:
        TrainingFailed: It is something else.
    """
    if not isinstance(logits, Tensor) or logits.shape != (b, k):
        got = f"outputs of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        inputs = "one input" if b == 1 else f"{b} inputs"
        msg = f"the model gives {got} for {inputs}, expected a tensor of shape ({b}, {k}): a logit a class"
        raise TrainingFailed(msg)
    return logits
