"""Asking: a model, some samples, and the logits that it gives for them."""

import time
from collections.abc import Callable, Mapping
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


class Batch:
    """A model and some samples. What several probes need, such as the forward pass, is done when first asked for.

    Attributes:
        model: In eval mode while it is asked.
        given: What the model is asked about: one tensor (b, ...), or one for each input that it takes by name.
        labels: Given labels, shape (b,), int64.
        start: Index of the first sample, for probes that draw: what sample i gets must not depend on the batch size.
        seed: Of this observation, for probes that draw.
        num_classes: Logits that the model must give for each sample; None takes more than the labels need.
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
    ) -> None:
        self.model = model
        self.given = inputs
        self.labels = labels
        self.start = start
        self.seed = seed
        self.num_classes = num_classes
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
        with torch.no_grad():
            logits = ask(self.model, self.given)
        k = self.num_classes
        if k is None:
            width = logits.shape[-1] if isinstance(logits, Tensor) and logits.ndim else 0
            k = max(width, int(self.labels.max()) + 1)
        return check_logits(logits, len(self.labels), k).float()

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
