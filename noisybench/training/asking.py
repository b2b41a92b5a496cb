"""Asking: a model, some samples, and the logits that it gives for them."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from noisybench.ground.errors import BadUsage, TrainingFailed


class Batch:
    """A model and some samples. The forward pass is shared by all probes, and done when first asked for.

    Attributes:
        model: In eval mode while it is asked.
        given: What the model is asked about: one tensor (b, ...), or one for each input that it takes by name.
        labels: Given labels, shape (b,), int64.
        start: Index of the first sample, for probes that draw: what sample i gets must not depend on the batch size.
        seed: Of this observation, for probes that draw.
        num_classes: Logits that the model must give for each sample; None takes more than the labels need.
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
